"""The systolic array: a grid of cells that activations cross from left to right and weights from top to bottom."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Const, Module, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.cell import CellParameters
from signfold.hw.check import check_integer
from signfold.hw.column import ColumnParameters
from signfold.hw.delay import delayed
from signfold.hw.fabric import FABRICS, Fabric
from signfold.hw.multiplier_cell import MultiplierCellParameters
from signfold.hw.parity import ParityParameters
from signfold.hw.planes import PlaneParameters

__all__ = ["ArrayParameters", "SystolicArray"]


@dataclass(frozen=True)
class ArrayParameters:
    """A grid of `rows` x `cols` cells, output-stationary.

    Parameters
    ----------
    rows : int
        Output positions worked on at once.
    cols : int
        Output channels worked on at once; a multiple of `hop`.
    simd : int
        Bits of a word.
    words : int
        Words of a play. A pass, which is a play for each pair of planes in time, has at least cols / hop words in all,
        so that the sums of one pass have left before those of the next.
    hop : int
        Columns that an activation word passes in one cycle.
    stages : int
        Pipeline registers between XNOR and accumulator, or before it in cells that multiply.
    planes : PlaneParameters
        Bit planes, and whether cells count them or multiply whole codes.
    fabric : Fabric
        What the cells are made of.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    rows: int
    cols: int
    simd: int
    words: int
    hop: int = 1
    stages: int = 1
    planes: PlaneParameters = PlaneParameters()
    fabric: Fabric = FABRICS["plain"]

    def __post_init__(self):
        check_integer("rows", self.rows, minimum=1)
        check_integer("cols", self.cols, minimum=1)
        check_integer("hop", self.hop, minimum=1)
        if self.cols % self.hop:
            raise ValueError(f"hop must divide cols = {self.cols}, not {self.hop!r}")
        _ = self.cell
        if self.groups > self.pass_words:
            least = -(-self.cols // self.pass_words)
            raise ValueError(
                f"hop must be at least cols / words = {self.cols} / {self.pass_words}, so {least} or more, "
                f"not {self.hop!r}"
            )

    @property
    def cell(self) -> CellParameters | MultiplierCellParameters:
        """Parameters of each cell."""
        if self.planes.multiplies:
            return MultiplierCellParameters(self.simd, self.words, self.stages, self.planes, self.fabric)
        return CellParameters(self.simd, self.words, self.stages, self.planes, self.fabric, self.encoded)

    @property
    def encoded(self) -> bool:
        """Whether cells work on words as prefix parities, which weight tables then hold: see `signfold.hw.parity`."""
        return 0 < self.fabric.encode_columns <= self.cols and self.simd > 1 and not self.planes.multiplies

    @property
    def encoder(self) -> ParityParameters:
        """Parameters of the encoder at the left end of each row."""
        return ParityParameters(self.simd, self.planes.activation_lanes, self.fabric.parity_radix)

    @property
    def lead(self) -> int:
        """Cycles from a word at the input to the same word at the first cells."""
        return self.encoder.latency if self.encoded else 0

    @property
    def registers_weights(self) -> bool:
        """Whether weights should come through a register: it fits into the cycles before the first cells."""
        return self.lead > 0 and self.fabric.table_registers

    def column(self, j: int, r: int) -> ColumnParameters:
        """Return the parameters of column group `j`, from the left, of row `r`."""
        return ColumnParameters(self.cell, self.hop, j == 0, j == self.groups - 1, r == self.rows - 1)

    @property
    def pass_words(self) -> int:
        """Words of a pass: of all its plays."""
        return self.words * len(self.planes.plays)

    @property
    def groups(self) -> int:
        """Number of column groups of `hop` columns."""
        return self.cols // self.hop

    @property
    def latency(self) -> int:
        """Cycles from the last word of a pass to the first sums of row 0."""
        return self.lead + self.stages + 1 + self.groups - 1

    def weight_delay(self, group: int) -> int:
        """Cycles from a word to the moment that the weights of column group `group` are due: group 0 last."""
        return self.lead + self.groups - 1 - group

    def compute(self, words: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the sums of one pass.

        Parameters
        ----------
        words : numpy.ndarray
            Activation codes, rows x words x simd.
        weights : numpy.ndarray
            Weight codes, cols x words x simd.

        Returns
        -------
        numpy.ndarray
            Agreements times their scales, rows x cols, 0 .. words * simd * planes.top; of cells that multiply, what
            `MultiplierCellParameters` says.
        """
        return self.cell.count(words.reshape(len(words), 1, -1), weights.reshape(1, len(weights), -1))

    def create(self) -> "SystolicArray":
        """Return the gateware."""
        return SystolicArray(self)


class SystolicArray(wiring.Component):
    """Multiply activation words by weight words, one pass of `words` words after another.

    Throughput one word a row and cycle; passes may follow one another without a gap and words may be apart by any
    number of idle cycles. The array never stalls: there is no flow control, and whoever feeds it has kept room for the
    sums. Every net joins neighbours only, except that a word fans out to the `hop` columns of a group.

    A pass's sums leave at the right edge: row r shows column group b (columns b * hop on) `latency + r + b` cycles
    after the pass's last word. Column group 0 is the rightmost, so that sums leave in column order.

    Parameters
    ----------
    parameters : ArrayParameters
        Size and pipelining.

    Members
    -------
    words : In(array of rows words)
        One activation word a row. All rows take their word in the same cycle.
    valid : In(1)
        A word is there.
    first, last : In(1)
        It is the first, the last of its pass.
    double : In(1)
        It is the first of a play before which the sums count twice.
    weights : In(array of groups x (hop * cell.weight_width) bits)
        Weight words of a column group, column b * hop in the low bits; for the word of cycle t due in cycle
        t + weight_delay(b). Where the array is `encoded`, as `signfold.hw.parity.weight_parities` makes them.
    sums : Out(array of rows x hop sums)
        Agreements of one column group a row.
    done : Out(rows)
        Bit r: in this cycle row r shows column group 0 of a pass; group b follows b cycles later.
    """

    def __init__(self, parameters: ArrayParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "words": In(data.ArrayLayout(unsigned(p.cell.activation_width), p.rows)),
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "double": In(1),
                # A signal a group: Amaranth writes none of more than 65,536 bits.
                "weights": In(unsigned(p.hop * p.cell.weight_width)).array(p.groups),
                "sums": Out(data.ArrayLayout(data.ArrayLayout(unsigned(p.cell.sum_width), p.hop), p.rows)),
                "done": Out(p.rows),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        weights = [self.weights[p.groups - 1 - j] for j in range(p.groups)]
        # A cell wants control with the count of its word.
        control = Cat(self.valid, self.first, self.last, self.double if len(p.planes.plays) > 1 else Const(0, 1))
        control = delayed(m, control, p.lead + p.stages, "control")
        for r in range(p.rows):
            # Row r works r cycles behind row 0, because the weights reach it r cycles later.
            if r > 0:
                control = delayed(m, control, 1, f"control_{r}")
            word = delayed(m, self.words[r], r, f"word_{r}")
            if p.encoded:
                m.submodules[f"encoder_{r}"] = encoder = p.encoder.create()
                m.d.comb += encoder.word.eq(word)
                word = encoder.parities
            weights = self._elaborate_row(m, r, word, control, weights)
        return m

    def _elaborate_row(self, m, r, word, control, weights):
        """Lay out one row from left to right, and return the weights for the one below.

        Sums finish one cycle apart from left to right and travel at half that speed: those of the right columns pass
        first and no two meet.
        """
        p = self.parameters
        below, left = [], None
        for j in range(p.groups):
            column = p.column(j, r).create()
            m.submodules[f"column_{r}_{j}"] = column
            m.d.comb += [column.word.eq(word), column.control.eq(control), column.weights.eq(weights[j])]
            if left is not None:
                m.d.comb += column.passing.eq(left.leaving)
            if j < p.groups - 1:
                word, control = column.word_on, column.control_on
            if r < p.rows - 1:
                below.append(column.weights_on)
            left = column
        m.d.comb += [Cat(self.sums[r]).eq(left.leaving), self.done[r].eq(left.done)]
        return below
