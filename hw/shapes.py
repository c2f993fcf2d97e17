"""The one definition of each stream payload, so that producers and consumers agree by name."""

from collections.abc import Iterable

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["beat_layout", "cell_members", "result_layout", "signed_width", "unit_members"]


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


def cell_members(activation_width: int, weight_width: int, sum_width: int) -> dict[str, wiring.Member]:
    """Members of a cell of an array, of whatever kind.

    Parameters
    ----------
    activation_width, weight_width : int
        Bits of a word.
    sum_width : int
        Width of the total, unsigned.

    Returns
    -------
    dict
        `activations`, `weights` (In, a word), `accumulate`, `restart`, `double` (In(1)) and `total` (Out); see
        `signfold.hw.cell.Cell`.
    """
    return {
        "activations": In(activation_width),
        "weights": In(weight_width),
        "accumulate": In(1),
        "restart": In(1),
        "double": In(1),
        "total": Out(sum_width),
    }


def unit_members(lanes: int, sum_width: int, bits: int) -> dict[str, wiring.Member]:
    """Members of a unit that beats go through at the edge of an array, without flow control.

    Parameters
    ----------
    lanes : int
        Sums of a beat.
    sum_width : int
        Width of a sum, unsigned.
    bits : int
        Width of what becomes of it.

    Returns
    -------
    dict
        `sums` (In, array of `lanes`) and `valid` (In(1), a beat is there); `codes` (Out, array of `lanes`) and `known`
        (Out(1)), the same beat some cycles later.
    """
    return {
        "sums": In(data.ArrayLayout(unsigned(sum_width), lanes)),
        "valid": In(1),
        "codes": Out(data.ArrayLayout(unsigned(bits), lanes)),
        "known": Out(1),
    }


def signed_width(values: Iterable[int]) -> int:
    """Return the bits of a two's complement number that holds each of `values`."""
    return 1 + max((value if value >= 0 else ~value).bit_length() for value in values)
