"""Constant sums: the outputs of adder logic made unsigned, with one origin for all channels and positions."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Const, Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.adder_logic import AdderLogicParameters
from signfold.hw.border import BorderClasses
from signfold.hw.check import check_integer, frozen_array

__all__ = ["ConstantSum", "ConstantSumParameters"]


@dataclass(frozen=True, eq=False)
class ConstantSumParameters:
    """What is added to outputs: u = factor * output + constant, never negative.

    Parameters
    ----------
    logic : AdderLogicParameters
        What gives the terms.
    factor : int
        At least 1.
    constants : array of int
        Classes x channels.
    largest : int
        Largest u.
    border : BorderClasses or None
        Class of each position of a frame; None where there is one class only.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    logic: AdderLogicParameters
    factor: int
    constants: np.ndarray
    largest: int
    border: BorderClasses | None = None

    #: Cycles from terms to sums.
    latency = 1

    def __post_init__(self):
        check_integer("factor", self.factor, minimum=1)
        check_integer("largest", self.largest, minimum=0)
        classes = 1 if self.border is None else self.border.count
        shape = (classes, len(self.logic.graph.outputs))
        object.__setattr__(self, "constants", frozen_array("constants", self.constants, shape=shape))

    @property
    def output_width(self) -> int:
        """Bits of what goes out: a sum."""
        return max(1, self.largest.bit_length())

    def compute(self, terms: np.ndarray) -> np.ndarray:
        """Return the sums of terms (frames x positions x channels)."""
        sequence = [0] if self.border is None else list(self.border.sequence)
        outputs = self.logic.graph.outputs
        scales = np.array([(-1 if output.minus else 1) << output.shift for output in outputs])
        return self.factor * (np.asarray(terms) * scales) + self.constants[sequence]

    def create(self) -> "ConstantSum":
        """Return the gateware."""
        return ConstantSum(self)


class ConstantSum(wiring.Component):
    """Add. Latency 1 cycle, throughput one position a cycle, no flow control.

    Parameters
    ----------
    parameters : ConstantSumParameters
        Constants.

    Members
    -------
    terms : In(array of terms)
        Terms of a position.
    number : In
        Its class.
    codes : Out(array of sums)
        Sums of the position of the cycle before.
    """

    def __init__(self, parameters: ConstantSumParameters):
        self.parameters = p = parameters
        channels = len(p.logic.graph.outputs)
        super().__init__(
            {
                "terms": In(data.ArrayLayout(signed(p.logic.width), channels)),
                "number": In(range(len(p.constants))),
                "codes": Out(data.ArrayLayout(unsigned(p.output_width), channels)),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        for k, output in enumerate(p.logic.graph.outputs):
            low, high = p.logic.bounds(k)
            term = Signal(range(min(low, 0), high + 1), name=f"term_{k}")
            m.d.comb += term.eq(self.terms[k])
            constants = p.constants[:, k].tolist()
            constant = Const(constants[0])
            if len(set(constants)) > 1:
                constant = Signal(range(min(0, *constants), max(constants) + 1), name=f"constant_{k}")
                with m.Switch(self.number):
                    for number, value in enumerate(constants):
                        with m.Case(number):
                            m.d.comb += constant.eq(value)
            value = p.factor * (term << output.shift)
            total = Signal(p.output_width, name=f"sum_{k}", reset_less=True)
            m.d.sync += total.eq(constant - value if output.minus else constant + value)
            m.d.comb += self.codes[k].eq(total)
        return m
