"""Adder logic: the gateware of an adder graph, with registers between its levels."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.adder_graph import AdderGraph
from signfold.hw.check import check_integer

__all__ = ["AdderLogic", "AdderLogicParameters"]

#: Sums of so few bits are written as gates: they take a table a bit, and carry chains would cost more.
_GATES = 6


@dataclass(frozen=True)
class AdderLogicParameters:
    """Terms of a graph for unsigned inputs; signs and shifts of its outputs are left to who reads the terms.

    Integers of several bits go through the graph as they are. Their bit planes one by one would take as many adders a
    plane, each narrower by bits - 1: never fewer tables for two bits or more.

    Parameters
    ----------
    graph : AdderGraph
        What is added.
    bits : int
        Width of an input.
    stages : int
        Registers between the inputs and the terms that go out, 0 to 16: the levels are split into stages + 1 parts as
        equal as they can be.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    graph: AdderGraph
    bits: int = 1
    stages: int = 1

    def __post_init__(self):
        if not isinstance(self.graph, AdderGraph):
            raise TypeError(f"graph must be an AdderGraph, not {self.graph!r}")
        check_integer("bits", self.bits, minimum=1, maximum=62)
        check_integer("stages", self.stages, minimum=0, maximum=16)

    @cached_property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Smallest and largest value of each term."""
        return self.graph.ranges((1 << self.bits) - 1)

    @cached_property
    def parts(self) -> tuple[int, ...]:
        """Registers that lie before each term."""
        # What reads the outputs counts as one level more.
        depth = self.graph.depth + 1
        return tuple(max(0, level - 1) * (self.stages + 1) // depth for level in self.graph.levels)

    def bounds(self, output: int) -> tuple[int, int]:
        """Return the smallest and largest value of an output's term."""
        term = self.graph.outputs[output].term
        return (0, 0) if term is None else self.ranges[term]

    @cached_property
    def width(self) -> int:
        """Width of a term that goes out, signed."""
        ends = [self.bounds(k) for k in range(len(self.graph.outputs))]
        return 1 + max(max(high.bit_length(), (~low if low < 0 else low).bit_length()) for low, high in ends)

    @property
    def latency(self) -> int:
        """Cycles from inputs to terms."""
        return self.stages

    def compute(self, values: np.ndarray) -> np.ndarray:
        """Return the outputs' terms (... x outputs) for inputs (... x inputs)."""
        results = self.graph.compute(values)
        for k, output in enumerate(self.graph.outputs):
            results[..., k] = (-results[..., k] if output.minus else results[..., k]) >> output.shift
        return results

    def create(self) -> "AdderLogic":
        """Return the gateware."""
        return AdderLogic(self)


class AdderLogic(wiring.Component):
    """Add. Latency `stages` cycles, throughput one vector a cycle, no flow control.

    Parameters
    ----------
    parameters : AdderLogicParameters
        Graph and widths.

    Members
    -------
    values : In(array of inputs)
        A vector.
    terms : Out(array of signed terms)
        The outputs' terms of `latency` cycles ago.
    """

    def __init__(self, parameters: AdderLogicParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "values": In(data.ArrayLayout(unsigned(p.bits), p.graph.inputs)),
                "terms": Out(data.ArrayLayout(signed(p.width), len(p.graph.outputs))),
            }
        )

    def elaborate(self, platform):
        p, graph = self.parameters, self.parameters.graph
        m = Module()
        # Of each term the value at its own part, and a cycle later for each part more in which it is read.
        copies = [[self.values[k]] for k in range(graph.inputs)]

        def at(term, part):
            held = copies[term]
            while part - p.parts[term] >= len(held):
                later = Signal.like(held[-1], name=f"t{term}_{len(held)}", reset_less=True)
                m.d.sync += later.eq(held[-1])
                held.append(later)
            return held[part - p.parts[term]]

        for k, entry in enumerate(graph.sums):
            number = graph.inputs + k
            low, high = p.ranges[number]
            left = at(entry.left, p.parts[number]) << entry.left_shift
            right = at(entry.right, p.parts[number]) << entry.right_shift
            total = Signal(range(min(low, 0), high + 1), name=f"t{number}")
            if len(left) + len(right) <= _GATES:
                m.d.comb += total.eq(_gates(m, left, right, entry.minus, len(total), f"t{number}"))
            else:
                m.d.comb += total.eq(left - right if entry.minus else left + right)
            copies.append([total])
        for k, output in enumerate(graph.outputs):
            m.d.comb += self.terms[k].eq(0 if output.term is None else at(output.term, p.stages))
        return m


def _gates(m, left, right, minus, width, name):
    """Return a sum of two narrow values bit by bit."""
    bits, carry = [], Const(int(minus), 1)
    for k in range(width):
        a, b = _bit(left, k), _bit(right, k)
        b = ~b if minus else b
        either, following = Signal(name=f"{name}_x{k}"), Signal(name=f"{name}_c{k}")
        m.d.comb += [either.eq(a ^ b), following.eq((a & b) | (carry & either))]
        bits.append(either ^ carry)
        carry = following
    return Cat(bits)


def _bit(value, k):
    """Return a bit of a value, also past its width."""
    if k < len(value):
        return value[k]
    return value[-1] if value.shape().signed else Const(0, 1)
