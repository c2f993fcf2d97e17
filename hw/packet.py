"""Packets of bytes between a host and an accelerator: stream layouts, and the words of the protocol.

docs/link.md is the normative text of the protocol; the numbers below are its only other copy.
"""

import enum
from dataclasses import dataclass

from amaranth.hdl import unsigned
from amaranth.lib import crc, data

from signfold.hw.check import check_integer

__all__ = [
    "CRC",
    "CRC_BYTES",
    "DELIMITER",
    "HEADER_BYTES",
    "PROTOCOL_VERSION",
    "RESPONSE_FLAG",
    "HASH_BYTES",
    "Geometry",
    "Hashes",
    "RequestType",
    "Status",
    "checked_layout",
    "header_layout",
    "packet_layout",
]

#: Version that an identify request returns. A host refuses a device of another version.
PROTOCOL_VERSION = 1

#: Byte before and after each frame; COBS keeps it out of them.
DELIMITER = 0x00

#: Check of every packet: CRC-16/GENIBUS, most significant byte first. Its inverted output matters: without it, a packet
#: with a right checksum and a 0 appended has a right checksum too, and a damaged delimiter can append that 0.
CRC = crc.catalog.CRC16_GENIBUS(data_width=8)
CRC_BYTES = 2

#: Type and sequence number, before a request's payload.
HEADER_BYTES = 2

#: Set in the type of a response.
RESPONSE_FLAG = 0x80

#: Bytes by which a device names its network, its plan and its build: the first ones of a SHA-256.
HASH_BYTES = 16


class RequestType(enum.IntEnum):
    """What a request asks for."""

    IDENTIFY = 0x01
    INFER = 0x02
    #: Of devices whose weights are loaded; to others an unknown type.
    LOAD = 0x03
    #: Of devices whose network can be replaced while they run, as the next one; to others unknown types.
    RELOAD = 0x04
    ID = 0x05


class Status(enum.IntEnum):
    """How a request went."""

    OK = 0
    BAD_LENGTH = 1
    UNKNOWN_TYPE = 2
    BAD_CODE = 3
    #: Of reload requests: another build's image, or a damaged one; a chunk that is not the next one.
    BAD_IMAGE = 4
    BAD_ORDER = 5


def packet_layout() -> data.StructLayout:
    """Payload of a stream of packets: `data` (8 bits) and `last` (1 on the final byte of a packet)."""
    return data.StructLayout({"data": unsigned(8), "last": 1})


def checked_layout() -> data.StructLayout:
    """Payload of a stream of packets under check: as `packet_layout`, and with `last` whether the packet is `bad`."""
    return data.StructLayout({"data": unsigned(8), "last": 1, "bad": 1})


def header_layout() -> data.StructLayout:
    """Payload of the stream of requests to answer: `type`, sequence number `seq`, `status`."""
    return data.StructLayout({"type": unsigned(8), "seq": unsigned(8), "status": unsigned(8)})


@dataclass(frozen=True)
class Geometry:
    """What both ends of a link must agree on: the answer to an identify request.

    Parameters
    ----------
    identity : bytes
        First 16 bytes of the network's content hash.
    elements : int
        Codes of a frame, 1 .. 65535.
    bits : int
        Width of a code, 1 .. 8.
    classes : int
        Number of classes, 1 .. 65535.
    score_width : int
        Width of a signed score, 1 .. 255.
    window : int
        Requests that the host may have outstanding, 1 .. 255.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    identity: bytes
    elements: int
    bits: int
    classes: int
    score_width: int
    window: int = 2

    def __post_init__(self):
        if not isinstance(self.identity, bytes):
            raise TypeError(f"identity must be bytes, not {self.identity!r}")
        if len(self.identity) != HASH_BYTES:
            raise ValueError(f"identity must be {HASH_BYTES} bytes, not {self.identity!r}")
        check_integer("elements", self.elements, minimum=1, maximum=65535)
        check_integer("bits", self.bits, minimum=1, maximum=8)
        check_integer("classes", self.classes, minimum=1, maximum=65535)
        check_integer("score width", self.score_width, minimum=1, maximum=255)
        check_integer("window", self.window, minimum=1, maximum=255)

    @property
    def score_bytes(self) -> int:
        """Bytes of a score on the line: little-endian, sign-extended."""
        return -(-self.score_width // 8)

    @property
    def class_bytes(self) -> int:
        """Bytes of a class on the line: little-endian."""
        return 1 if self.classes <= 256 else 2

    @property
    def result_bytes(self) -> int:
        """Bytes of the payload that answers an infer request: every score, then the class."""
        return self.classes * self.score_bytes + self.class_bytes

    def pack(self) -> bytes:
        """Return the payload that answers an identify request."""
        return bytes(
            [
                PROTOCOL_VERSION,
                self.window,
                *self.elements.to_bytes(2, "little"),
                self.bits,
                *self.classes.to_bytes(2, "little"),
                self.score_width,
                *self.identity,
            ]
        )

    @classmethod
    def unpack(cls, payload: bytes) -> "Geometry":
        """Return the geometry in the payload of an identify response.

        Raises
        ------
        ValueError
            If the payload has another length or version, or holds values out of range.
        """
        if len(payload) < 1 or payload[0] != PROTOCOL_VERSION:
            raise ValueError(f"protocol version must be {PROTOCOL_VERSION}, not {payload[:1].hex() or 'absent'!r}")
        if len(payload) != 8 + HASH_BYTES:
            raise ValueError(f"identify response must hold {8 + HASH_BYTES} bytes, not {len(payload)!r}")
        return cls(
            identity=payload[8:],
            elements=int.from_bytes(payload[2:4], "little"),
            bits=payload[4],
            classes=int.from_bytes(payload[5:7], "little"),
            score_width=payload[7],
            window=payload[1],
        )


@dataclass(frozen=True)
class Hashes:
    """What a device runs: the answer to an id request.

    Parameters
    ----------
    network : bytes
        First 16 bytes of the network's content hash, as in `Geometry`.
    plan : bytes
        First 16 bytes of the plan's hash.
    build : bytes
        First 16 bytes of the hash of all of the design but the contents of tables.

    Raises
    ------
    ValueError
        If one is not 16 bytes.
    """

    network: bytes
    plan: bytes
    build: bytes

    def __post_init__(self):
        for name in ("network", "plan", "build"):
            if len(getattr(self, name)) != HASH_BYTES:
                raise ValueError(f"hash of {name} must be {HASH_BYTES} bytes, not {getattr(self, name)!r}")

    @classmethod
    def unpack(cls, payload: bytes) -> "Hashes":
        """Return the hashes in the payload of an id response.

        Raises
        ------
        ValueError
            If it has another length.
        """
        if len(payload) != 3 * HASH_BYTES:
            raise ValueError(f"id response must hold {3 * HASH_BYTES} bytes, not {len(payload)!r}")
        return cls(*(payload[at : at + HASH_BYTES] for at in range(0, 3 * HASH_BYTES, HASH_BYTES)))
