"""Constant thresholds: all channels of a position compared at once, with constants instead of tables."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.adder_logic import AdderLogicParameters
from signfold.hw.border import BorderClasses
from signfold.hw.check import frozen_array

__all__ = ["ConstantThreshold", "ConstantThresholdParameters"]


@dataclass(frozen=True, eq=False)
class ConstantThresholdParameters:
    """Thresholds on the outputs of adder logic.

    Parameters
    ----------
    logic : AdderLogicParameters
        What gives the terms.
    thresholds : array of int
        Shape (classes, channels, levels), with 2**k - 1 levels for codes of k = 1 .. 8 bits, not decreasing from level
        to level: the code is the number of thresholds that the output reaches.
    border : BorderClasses or None
        Class of each position of a frame; None where there is one class only.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    logic: AdderLogicParameters
    thresholds: np.ndarray
    border: BorderClasses | None = None

    def __post_init__(self):
        classes = 1 if self.border is None else self.border.count
        shape = (classes, len(self.logic.graph.outputs), None)
        object.__setattr__(self, "thresholds", frozen_array("thresholds", self.thresholds, shape=shape))
        levels = self.thresholds.shape[-1]
        if levels + 1 not in [1 << bits for bits in range(1, 9)]:
            raise ValueError(f"thresholds must have 2**k - 1 levels for k from 1 to 8, not {levels!r}")
        if (np.diff(self.thresholds) < 0).any():
            raise ValueError("thresholds must not decrease from level to level")

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.thresholds.shape[-1].bit_length()

    @property
    def output_width(self) -> int:
        """Bits of what goes out: a code."""
        return self.bits

    @property
    def latency(self) -> int:
        """Cycles from terms to codes: one a bit."""
        return self.bits

    @cached_property
    def bounds(self) -> np.ndarray:
        """Thresholds on the terms, classes x channels x levels: a code counts the terms that are at least this.

        Of a negated output, those that are less. Thresholds that no term or each term reaches are one past its range.
        """
        bounds = np.empty_like(self.thresholds)
        for k, output in enumerate(self.logic.graph.outputs):
            low, high = self.logic.bounds(k)
            least = -(-self.thresholds[:, k] >> output.shift)
            bounds[:, k] = np.clip(1 - least if output.minus else least, low, high + 1)
        return bounds

    def compute(self, terms: np.ndarray) -> np.ndarray:
        """Return the codes of terms (frames x positions x channels)."""
        sequence = [0] if self.border is None else list(self.border.sequence)
        minus = np.array([output.minus for output in self.logic.graph.outputs])
        return ((np.asarray(terms)[..., None] >= self.bounds[sequence]) ^ minus[:, None]).sum(axis=-1)

    def create(self) -> "ConstantThreshold":
        """Return the gateware."""
        return ConstantThreshold(self)


class ConstantThreshold(wiring.Component):
    """Compare: a binary search, a cycle a bit. Throughput one position a cycle, no flow control.

    Parameters
    ----------
    parameters : ConstantThresholdParameters
        Thresholds.

    Members
    -------
    terms : In(array of terms)
        Terms of a position.
    number : In
        Its class.
    codes : Out(array of codes)
        Codes of the position of `latency` cycles ago.
    """

    def __init__(self, parameters: ConstantThresholdParameters):
        self.parameters = p = parameters
        channels = len(p.logic.graph.outputs)
        super().__init__(
            {
                "terms": In(data.ArrayLayout(signed(p.logic.width), channels)),
                "number": In(range(len(p.thresholds))),
                "codes": Out(data.ArrayLayout(unsigned(p.bits), channels)),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        numbers = [self.number]
        for stage in range(1, p.bits):
            numbers.append(Signal.like(self.number, name=f"number_{stage}", reset_less=True))
            m.d.sync += numbers[-1].eq(numbers[-2])
        for k, output in enumerate(p.logic.graph.outputs):
            # As wide as the term is, which may be less than the port.
            low, high = p.logic.bounds(k)
            term = Signal(range(min(low, 0), high + 1), name=f"term_{k}")
            m.d.comb += term.eq(self.terms[k])
            code = Const(0, 0)
            for stage in range(p.bits):
                half = 1 << (p.bits - 1 - stage)
                # Class by class, and by the code so far.
                table = p.bounds[:, k, half - 1 :: 2 * half].reshape(-1).tolist()
                reached = Signal(name=f"reached_{k}_{stage}")
                least = _least(m, term, Cat(code, numbers[stage]), table, f"{k}_{stage}")
                m.d.comb += reached.eq(least ^ 1 if output.minus else least)
                following = Signal(stage + 1, name=f"code_{k}_{stage}", reset_less=True)
                m.d.sync += following.eq(Cat(reached, code))
                if stage < p.bits - 1:
                    passed = Signal.like(term, name=f"term_{k}_{stage + 1}", reset_less=True)
                    m.d.sync += passed.eq(term)
                    term = passed
                code = following
            m.d.comb += self.codes[k].eq(code)
        return m


def _least(m, term, index, table, name):
    """Return whether a term is at least the entry of a table, of which each index is a constant."""
    if len(set(table)) == 1:
        return _at_least(term, table[0])
    (common, _), *others = Counter(table).most_common()
    bound = Signal(range(min(0, *table), max(table) + 1), name=f"bound_{name}")
    m.d.comb += bound.eq(common)
    with m.Switch(index):
        for value, _ in others:
            with m.Case(*[place for place, entry in enumerate(table) if entry == value]):
                m.d.comb += bound.eq(value)
    return term >= bound


def _at_least(term, constant):
    """Return whether a term is at least a constant, as gates: a comparison with a constant needs no carry chain."""
    shape = term.shape()
    least = -(1 << (shape.width - 1)) if shape.signed else 0
    if constant <= least:
        return Const(1, 1)
    # Counted from the lowest value of its width: the sign bit turns over.
    constant -= least
    if constant >= 1 << shape.width:
        return Const(0, 1)
    result = Const(1, 1)
    for k in range(shape.width):
        bit = ~term[k] if shape.signed and k == shape.width - 1 else term[k]
        result = (bit & result) if constant >> k & 1 else (bit | result)
    return result
