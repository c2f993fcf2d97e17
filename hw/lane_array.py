"""Lane array: cells side by side, each with a channel of its own; for depthwise convolution and pooling."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.cell import CellParameters
from signfold.hw.check import check_integer
from signfold.hw.planes import PlaneParameters

__all__ = ["OPERATIONS", "LaneArray", "LaneArrayParameters"]

#: What a lane does with the codes of a pass.
OPERATIONS = ("multiply", "max", "sum")


@dataclass(frozen=True)
class LaneArrayParameters:
    """Lanes that each work on one channel.

    Parameters
    ----------
    operation : str
        "multiply": sum of the products with the channel's weights, counted as a `Cell` does; "max" and "sum" of the
        codes.
    lanes : int
        Channels side by side.
    words : int
        Words of a play: taps.
    planes : PlaneParameters
        Bit planes; for "max" and "sum" in space, a word then holds whole codes.
    largest : int
        Largest code, for the widths of "max" and "sum".

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    operation: str
    lanes: int
    words: int
    planes: PlaneParameters = PlaneParameters()
    largest: int = 1

    def __post_init__(self):
        if self.operation not in OPERATIONS:
            raise ValueError(f"operation must be one of {', '.join(OPERATIONS)}, not {self.operation!r}")
        for name in ("lanes", "words", "largest"):
            check_integer(name, getattr(self, name), minimum=1)
        if self.operation != "multiply" and not self.planes.space:
            raise ValueError(f"planes must lie in space for operation {self.operation!r}")

    #: Beats of a pass: all lanes at once.
    groups = 1
    #: Cycles from the last word of a pass to its sums.
    latency = 1
    #: Cycles from a word at the input to the same word at the lanes.
    lead = 0
    #: There is no time to register weights.
    registers_weights = False

    @property
    def cell(self) -> CellParameters:
        """Parameters of each lane's cell."""
        return CellParameters(1, self.words, 0, self.planes)

    @property
    def pass_words(self) -> int:
        """Words of a pass: of all its plays."""
        return self.words * len(self.planes.plays)

    @property
    def top(self) -> int:
        """Largest result."""
        if self.operation == "multiply":
            return self.words * self.planes.top
        return self.largest * (self.words if self.operation == "sum" else 1)

    @property
    def sum_width(self) -> int:
        """Width of a result."""
        return self.cell.sum_width if self.operation == "multiply" else self.top.bit_length()

    def weight_delay(self, group: int) -> int:
        """Cycles from a word to the moment that its weights are due."""
        return 0

    def compute(self, codes: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the results (... x lanes) of codes (... x taps x lanes) and weight codes (taps x lanes)."""
        codes = np.asarray(codes, np.int64)
        if self.operation == "multiply":
            return self.planes.count(np.moveaxis(codes, -2, -1), np.moveaxis(np.asarray(weights), -2, -1))
        return codes.max(axis=-2) if self.operation == "max" else codes.sum(axis=-2)

    def create(self) -> "LaneArray":
        """Return the gateware."""
        return LaneArray(self)


class LaneArray(wiring.Component):
    """Work on words of one code a channel.

    Throughput one word a cycle, results one cycle after a pass's last word. No flow control. The ports are those of
    `SystolicArray` with one row and one column group.

    Parameters
    ----------
    parameters : LaneArrayParameters
        Operation and size.

    Members
    -------
    words : In(array of 1 word)
        One plane, or all planes one after another, of a code a lane.
    valid, first, last, double : In(1)
        A word is there; it is the first, the last of its pass; results so far count twice.
    weights : In(array of 1 x (lanes * cell.weight_width) bits)
        Weight words, lane 0 in the low bits, due with the word.
    sums : Out(array of 1 x lanes results)
        Results of the pass.
    done : Out(1)
        They are there.
    """

    def __init__(self, parameters: LaneArrayParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "words": In(data.ArrayLayout(unsigned(p.lanes * p.planes.activation_lanes), 1)),
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "double": In(1),
                "weights": In(data.ArrayLayout(unsigned(p.lanes * p.cell.weight_width), 1)),
                "sums": Out(data.ArrayLayout(data.ArrayLayout(unsigned(p.sum_width), p.lanes), 1)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.d.sync += self.done.eq(self.valid & self.last)
        for lane in range(p.lanes):
            code = Cat(self.words[0][plane * p.lanes + lane] for plane in range(p.planes.activation_lanes))
            if p.operation == "multiply":
                m.submodules[f"cell_{lane}"] = cell = p.cell.create()
                m.d.comb += [
                    cell.activations.eq(code),
                    cell.weights.eq(self.weights[0].word_select(lane, p.cell.weight_width)),
                    cell.accumulate.eq(self.valid),
                    cell.restart.eq(self.first),
                    cell.double.eq(self.double),
                    self.sums[0][lane].eq(cell.total),
                ]
                continue
            total = Signal(p.sum_width, name=f"total_{lane}")
            kept = total & (~self.first).replicate(len(total))
            with m.If(self.valid):
                m.d.sync += total.eq(kept + code if p.operation == "sum" else Mux(code > kept, code, kept))
            m.d.comb += self.sums[0][lane].eq(total)
        return m
