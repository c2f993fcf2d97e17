"""What the answers of a device say: results, and what it refuses."""

from dataclasses import dataclass

import numpy as np

from signfold.hw.packet import Geometry, RequestType, Status
from signfold.sw.errors import LinkError

__all__ = ["FINAL", "RefusedError", "Results", "contradiction", "described", "named", "unpack_result"]


@dataclass(frozen=True, eq=False)
class Results:
    """What a device computed.

    Parameters
    ----------
    scores : numpy.ndarray
        int64 ``[n, classes]``.
    classes : numpy.ndarray
        int64 ``[n]``.
    """

    scores: np.ndarray
    classes: np.ndarray


#: Statuses that a repeated request would get again, with what they mean.
FINAL = {
    Status.UNKNOWN_TYPE: "the device knows no such request: it was not built with --reloadable",
    Status.BAD_IMAGE: "the device refuses the image: it is of another build or damaged; the old network stays in force",
    Status.BAD_ORDER: "the device has lost what came before, perhaps by a reset; the old network stays in force",
}


class RefusedError(LinkError):
    """A device's answer that asking again does not change.

    Parameters
    ----------
    message : str
        What was refused, and why.
    status : int
        The answer's status.
    """

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


def described(kind: RequestType, index: int) -> str:
    """Say what a request asks for."""
    chunk = f"chunk {index} of weights"
    whats = {
        RequestType.IDENTIFY: "identify request",
        RequestType.ID: "id request",
        RequestType.LOAD: chunk,
        RequestType.RELOAD: chunk,
    }
    return whats.get(kind, f"frame {index}")


def named(value: int) -> str:
    """Return the name of a status."""
    return Status(value).name if value in list(Status) else f"{value} (unknown)"


def unpack_result(payload: bytes, geometry: Geometry) -> tuple[list[int], int]:
    """Return the scores and the class in the payload of an answer to an infer request."""
    size = geometry.score_bytes
    scores = [
        int.from_bytes(payload[n * size : (n + 1) * size], "little", signed=True) for n in range(geometry.classes)
    ]
    return scores, int.from_bytes(payload[geometry.classes * size :], "little")


def contradiction(payload: bytes, geometry: Geometry) -> str | None:
    """Return what is wrong with a result, or None: the class must follow from the scores."""
    if len(payload) != geometry.result_bytes:
        return f"the result must hold {geometry.result_bytes} bytes, not {len(payload)}"
    scores, best = unpack_result(payload, geometry)
    if best != scores.index(max(scores)):
        return f"the result's class {best} is not that of the highest score"
    return None
