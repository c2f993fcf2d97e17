"""Column group: some cells that share an activation word, with the registers that pass everything on."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.cell import CellParameters
from signfold.hw.check import check_integer
from signfold.hw.delay import delayed
from signfold.hw.module_library import shared

__all__ = ["Column", "ColumnParameters"]


@dataclass(frozen=True)
class ColumnParameters:
    """`hop` cells of one row of an array.

    Parameters
    ----------
    cell : CellParameters
        Each cell.
    hop : int
        Cells.
    leftmost : bool
        There is no group to the left, whose sums pass through.
    rightmost : bool
        There is no group to the right, to which words go.
    lowest : bool
        There is no row below, to which weights go.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    cell: CellParameters
    hop: int
    leftmost: bool = True
    rightmost: bool = True
    lowest: bool = True

    #: Cycles that sums from the left take through the group.
    PASSING = 2

    def __post_init__(self):
        check_integer("hop", self.hop, minimum=1)

    @property
    def weight_width(self) -> int:
        """Bits of the cells' weight words."""
        return self.hop * self.cell.weight_width

    @property
    def sum_width(self) -> int:
        """Bits of the cells' sums."""
        return self.hop * self.cell.sum_width

    def compute(self, activations: list[int], weights: list[int]) -> list[int]:
        """Return the cells' sums of a pass, for its words of all plays in order, not encoded."""
        width = self.cell.weight_width
        words = [[word >> lane * width & ((1 << width) - 1) for word in weights] for lane in range(self.hop)]
        return [self.cell.compute(activations, own) for own in words]

    def create(self) -> "Column":
        """Return the gateware."""
        return Column(self)


class Column(wiring.Component):
    """Compute `hop` sums, and pass words to the right, weights down and sums to the right edge.

    Words, weights and control go on one cycle later. Control belongs to the word of `cell.stages` cycles before. One
    cycle after a pass's last word has been counted its sums are at `leaving`; in all other cycles, those from the left
    of two cycles before.

    Parameters
    ----------
    parameters : ColumnParameters
        Cells and neighbours.

    Members
    -------
    word : In
        Activation word.
    control : In(4)
        valid, first, last, double: the word counts, is the first, the last of its pass, and the sums count twice
        before it.
    weights : In
        Weight words, the lowest column in the low bits.
    passing : In
        Sums from the left.
    word_on, control_on, weights_on : Out
        What goes to the right and down.
    leaving : Out
        Sums.
    done : Out(1)
        They are this group's own.
    """

    def __init__(self, parameters: ColumnParameters):
        self.parameters = p = parameters
        members = {"word": In(p.cell.activation_width), "control": In(4), "weights": In(p.weight_width)}
        members |= {"leaving": Out(p.sum_width), "done": Out(1)}
        if not p.leftmost:
            members |= {"passing": In(p.sum_width)}
        if not p.rightmost:
            members |= {"word_on": Out(p.cell.activation_width), "control_on": Out(4)}
        if not p.lowest:
            members |= {"weights_on": Out(p.weight_width)}
        super().__init__(members)

    @shared
    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        if not p.rightmost:
            m.d.sync += [self.word_on.eq(self.word), self.control_on.eq(self.control)]
        if not p.lowest:
            m.d.sync += self.weights_on.eq(self.weights)
        valid, first, last, double = self.control
        totals = []
        for lane in range(p.hop):
            m.submodules[f"cell_{lane}"] = cell = p.cell.create()
            m.d.comb += [
                cell.activations.eq(self.word),
                cell.weights.eq(self.weights.word_select(lane, p.cell.weight_width)),
                cell.accumulate.eq(valid),
                cell.restart.eq(first),
                cell.double.eq(double),
            ]
            totals.append(cell.total)
        m.d.sync += self.done.eq(valid & last)
        if p.leftmost:
            m.d.comb += self.leaving.eq(Cat(totals))
        else:
            passed = Signal(p.sum_width)
            m.d.comb += [
                passed.eq(delayed(m, self.passing, p.PASSING, "passing")),
                self.leaving.eq(Mux(self.done, Cat(totals), passed)),
            ]
        return m
