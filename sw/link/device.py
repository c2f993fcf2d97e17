"""Host driver: frames to scores and classes through a device on a link."""

import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from signfold.hw.packet import RESPONSE_FLAG, Geometry, Hashes, RequestType, Status
from signfold.sw.errors import LinkError
from signfold.sw.link.abstract import Link
from signfold.sw.link.answers import FINAL, RefusedError, Results, contradiction, described, named, unpack_result
from signfold.sw.link.frames import FrameReader, encode_frame

__all__ = ["Device", "Results"]

#: No response is longer: identify, or the scores of the largest geometry.
_LONGEST_RESPONSE = 3 + 65535 * 32 + 2 + 2


@dataclass
class _Attempt:
    """A request under way."""

    index: int
    deadline: float


class Device:
    """Accelerator at the other end of a link.

    Every request is repeated until it is answered: inference has no side effects. A response counts only if its
    checksum holds, its type and sequence number are those of a request under way, and it is well-formed; everything
    else on the line is left out. Each attempt has a sequence number of its own and a device answers in order, so no
    late answer is taken for another's.

    Parameters
    ----------
    link : Link
        Line to the device; the caller closes it.
    timeout : float
        Seconds to wait for an answer beside the time that the bytes take on the line.
    attempts : int
        Times that a request is sent before the driver gives up, at least 1.
    seq : int, optional
        First sequence number, random by default, so that answers to an earlier program are not taken for this one's.

    Attributes
    ----------
    repeated : int
        Requests sent again so far.
    """

    def __init__(self, link: Link, *, timeout: float = 1.0, attempts: int = 5, seq: int | None = None):
        if not timeout > 0:
            raise ValueError(f"timeout must be a positive number of seconds, not {timeout!r}")
        if attempts < 1:
            raise ValueError(f"attempts must be an integer of at least 1, not {attempts!r}")
        self.link = link
        self.timeout = timeout
        self.attempts = attempts
        self.repeated = 0
        self._seq = secrets.randbelow(256) if seq is None else seq % 256
        self._reader = FrameReader(_LONGEST_RESPONSE)
        self._geometry: Geometry | None = None

    def identify(self) -> Geometry:
        """Ask the device what it is.

        Raises
        ------
        LinkError
            If it does not answer, or speaks another version of the protocol.
        """
        (payload,) = self._ask(RequestType.IDENTIFY, [b""], window=1, answer_bytes=32, check=lambda payload: None)
        try:
            self._geometry = Geometry.unpack(payload)
        except ValueError as error:
            raise LinkError(f"device does not fit this version of signfold: {error}") from None
        return self._geometry

    def infer(self, frames: np.ndarray, *, progress: Callable[[int], object] | None = None) -> Results:
        """Compute scores and classes on the device.

        Parameters
        ----------
        frames : numpy.ndarray
            uint8 codes ``[n, ...]``, as many a frame as the device's network takes, in C order; for networks on images
            position by position, as `signfold.sw.lower.stream_order` puts them.
        progress : callable, optional
            Called with the number of frames done since the last call.

        Raises
        ------
        TypeError
            If `frames` is not a uint8 array.
        ValueError
            If a frame has another number of elements, or holds a code that is too large for the device.
        LinkError
            If the device does not answer, refuses a request each time, or contradicts itself.
        """
        # Asking first also makes sure that answers to whoever used the line before have passed.
        geometry = self.identify()
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8:
            raise TypeError(f"frames must be a uint8 array, not {getattr(frames, 'dtype', type(frames).__name__)}")
        elements = frames[0].size if len(frames) else geometry.elements
        if frames.ndim < 2 or elements != geometry.elements:
            raise ValueError(f"frames must have {geometry.elements} elements each, not shape {frames.shape}")
        limit = (1 << geometry.bits) - 1
        if frames.size and frames.max() > limit:
            raise ValueError(f"frames must hold codes from 0 to {limit}, not {int(frames.max())!r}")
        payloads = [frame.tobytes() for frame in frames]

        def check(payload: bytes) -> str | None:
            return contradiction(payload, geometry)

        answers = self._ask(
            RequestType.INFER, payloads, window=geometry.window, answer_bytes=geometry.result_bytes, check=check,
            progress=progress,
        )  # fmt: skip
        results = [unpack_result(answer, geometry) for answer in answers]
        return Results(
            np.array([scores for scores, _ in results], np.int64).reshape(len(frames), geometry.classes),
            np.array([best for _, best in results], np.int64),
        )

    def load(self, chunks: Sequence[bytes], *, progress: Callable[[int], object] | None = None) -> None:
        """Fill the device's memories of weights, before its first frame.

        Parameters
        ----------
        chunks : sequence of bytes
            Packets with their numbers, as `AcceleratorConfig.chunks` and the file of a build hold them.
        progress : callable, optional
            Called with the number of chunks done since the last call.

        Raises
        ------
        LinkError
            If the device does not answer, or has nothing to load.
        """
        geometry = self._geometry or self.identify()
        self._ask(
            RequestType.LOAD, list(chunks), window=geometry.window, answer_bytes=0,
            check=lambda payload: "the answer must be empty" if payload else None, progress=progress,
        )  # fmt: skip

    def identify_all(self) -> Hashes | None:
        """Ask the device which network, plan and build it runs; None if it cannot tell, and its network cannot change.

        Raises
        ------
        LinkError
            If it does not answer.
        """
        try:
            (payload,) = self._ask(RequestType.ID, [b""], window=1, answer_bytes=64, check=lambda payload: None)
            return Hashes.unpack(payload)
        except RefusedError as error:
            if error.status != Status.UNKNOWN_TYPE:
                raise
            return None
        except ValueError as error:
            raise LinkError(f"device does not fit this version of signfold: {error}") from None

    def reload(self, packets: Sequence[bytes], *, progress: Callable[[int], object] | None = None) -> None:
        """Replace the device's network while it runs; the old one stays in force until all of the new one is there.

        Parameters
        ----------
        packets : sequence of bytes
            Chunks of the image with their numbers, as `signfold.hw.reload_image.ReloadImage.packets` gives them.
        progress : callable, optional
            Called with the number of chunks done since the last call.

        Raises
        ------
        LinkError
            If the device does not answer, refuses the image, or cannot be reloaded. It computes the old network then,
            unless the answer to the last chunk alone was lost: ask it.
        """
        # One at a time: chunks must come in order, also where one is repeated.
        self._ask(
            RequestType.RELOAD, list(packets), window=1, answer_bytes=0,
            check=lambda payload: "the answer must be empty" if payload else None, progress=progress,
        )  # fmt: skip

    def _ask(
        self,
        kind: RequestType,
        payloads: list[bytes],
        *,
        window: int,
        answer_bytes: int,
        check: Callable[[bytes], str | None],
        progress: Callable[[int], object] | None = None,
    ) -> list[bytes]:
        """Send a request for each payload, at most `window` at a time, and return the payloads of the answers."""
        answers: list[bytes | None] = [None] * len(payloads)
        tries = [0] * len(payloads)
        waiting = deque(range(len(payloads)))
        under_way: dict[int, _Attempt] = {}
        while waiting or under_way:
            while waiting and len(under_way) < window:
                index = waiting.popleft()
                frame = encode_frame(bytes([kind, self._seq]) + payloads[index])
                tries[index] += 1
                # All that may be ahead of this answer: the requests of the window, and their answers.
                line_time = window * (len(frame) + answer_bytes + 16) * self.link.byte_time
                under_way[self._seq] = _Attempt(index, self.link.clock() + line_time + self.timeout)
                self._seq = (self._seq + 1) % 256
                self.link.write(frame)
            failures = {}
            patience = min(attempt.deadline for attempt in under_way.values()) - self.link.clock()
            for packet in self._reader.feed(self.link.read(max(0.0, patience))):
                attempt = self._match(packet, kind, under_way)
                if attempt is None:
                    continue
                if packet[2] in FINAL and kind in (RequestType.ID, RequestType.RELOAD):
                    raise RefusedError(f"{described(kind, attempt.index)}: {FINAL[packet[2]]}", packet[2])
                if packet[2] != Status.OK:
                    failures[attempt.index] = f"the device answers with status {named(packet[2])}"
                elif problem := check(packet[3:]):
                    failures[attempt.index] = problem
                else:
                    answers[attempt.index] = packet[3:]
                    if progress is not None:
                        progress(1)
            now = self.link.clock()
            for seq in [seq for seq, attempt in under_way.items() if attempt.deadline <= now]:
                failures[under_way.pop(seq).index] = f"no answer within {self.timeout} s"
            for index, problem in failures.items():
                if tries[index] == self.attempts:
                    raise LinkError(f"{described(kind, index)} failed {self.attempts} times, at last because {problem}")
                self.repeated += 1
                waiting.appendleft(index)
        return answers

    @staticmethod
    def _match(packet: bytes, kind: RequestType, under_way: dict[int, _Attempt]) -> _Attempt | None:
        """Return, and end, the attempt that a packet answers; None for any other packet."""
        if len(packet) < 3 or packet[0] != kind | RESPONSE_FLAG:
            return None
        return under_way.pop(packet[1], None)
