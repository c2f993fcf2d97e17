"""The one definition of each stream payload, so that producers and consumers agree by name."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

__all__ = ["beat_layout", "result_layout"]


def beat_layout(lanes: int, bits: int) -> data.StructLayout:
    """Payload of a packet of codes: `lanes` codes a beat, lane 0 first in the least significant bits.

    Parameters
    ----------
    lanes : int
        Codes carried side by side.
    bits : int
        Width of one code.

    Returns
    -------
    amaranth.lib.data.StructLayout
        Members `codes` (array of `lanes` unsigned codes) and `last` (1 on the final beat of a frame).
    """
    return data.StructLayout({"codes": data.ArrayLayout(unsigned(bits), lanes), "last": 1})


def result_layout(score_width: int, classes: int) -> data.StructLayout:
    """Payload of a result: one beat a class, in class order.

    Parameters
    ----------
    score_width : int
        Width of the signed score.
    classes : int
        Number of classes, at least 1.

    Returns
    -------
    amaranth.lib.data.StructLayout
        Members `score` (signed score of this beat's class), `best` (class of the highest score so far, the lowest
        index among equals; on the final beat the frame's class) and `last` (1 on the final beat of a frame).
    """
    return data.StructLayout(
        {"score": signed(score_width), "best": unsigned(max(1, (classes - 1).bit_length())), "last": 1}
    )
