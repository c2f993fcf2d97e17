"""Words as prefix parities, in which a cell finds the carries of its first adders by looking at three bits each.

Agreements x_i = ~(a_i ^ w_i) of an activation and a weight word are counted. A chain of full adders that takes two of
them at a time needs the parities P_i = x_1 ^ ... ^ x_i, and gives a carry maj(P_2j-2, x_2j-1, x_2j) a pair. Parities
are linear: P_i is the parity of i activation bits, that of i inverted weight bits, and the exclusive or of the two. So
where both words come as their prefix parities, each P_i is one exclusive or, x_i = P_i-1 ^ P_i, and all carries are
there at once, as functions of three parities: the chain is gone. The map is a bijection, words keep their width, the
parities of the weights are stored in their tables, and those of the activations are made once for a row of cells.
"""

from dataclasses import dataclass
from functools import reduce
from operator import xor

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.module_library import shared

__all__ = ["ParityEncoder", "ParityParameters", "weight_parities"]


def weight_parities(bits: np.ndarray) -> np.ndarray:
    """Return weight bits as cells on prefix parities read them: bit i is the parity of the inverted bits 0 .. i.

    Parameters
    ----------
    bits : numpy.ndarray
        0 and 1; words along the last axis.
    """
    return (np.bitwise_xor.accumulate(1 - np.asarray(bits), axis=-1)).astype(np.uint8)


@dataclass(frozen=True)
class ParityParameters:
    """Prefix parities of words side by side.

    Parameters
    ----------
    simd : int
        Bits of a word.
    lanes : int
        Words side by side, each with parities of its own.
    radix : int
        Bits, and then blocks, whose parities are found in one cycle; at least 2. More make the encoder smaller, and its
        paths longer.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    simd: int
    lanes: int = 1
    radix: int = 8

    def __post_init__(self):
        check_integer("simd", self.simd, minimum=1)
        check_integer("parity lanes", self.lanes, minimum=1)
        check_integer("parity radix", self.radix, minimum=2)

    @property
    def latency(self) -> int:
        """Cycles from a word to its parities: as many as the radix needs powers to reach the word's width."""
        cycles, reach = 1, self.radix
        while reach < self.simd:
            cycles, reach = cycles + 1, reach * self.radix
        return cycles

    @property
    def width(self) -> int:
        """Bits at the input and at the output."""
        return self.simd * self.lanes

    def compute(self, word: int) -> int:
        """Return the parities: bit i of each lane is that of its bits 0 .. i."""
        result = 0
        for lane in range(self.lanes):
            parity = 0
            for index in range(lane * self.simd, (lane + 1) * self.simd):
                parity ^= word >> index & 1
                result |= parity << index
        return result

    def create(self) -> "ParityEncoder":
        """Return the gateware."""
        return ParityEncoder(self)


class ParityEncoder(wiring.Component):
    """Turn words into prefix parities. Latency `parameters.latency`, throughput one word a cycle, no flow control.

    Parameters
    ----------
    parameters : ParityParameters
        Widths.

    Members
    -------
    word : In(width)
        Words.
    parities : Out(width)
        Parities of the word of `latency` cycles before.
    """

    def __init__(self, parameters: ParityParameters):
        self.parameters = parameters
        super().__init__({"word": In(parameters.width), "parities": Out(parameters.width)})

    @shared
    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        word, size = self.word, 1
        for step in range(p.latency):
            found = self.parities if step == p.latency - 1 else Signal(p.width, name=f"blocks_{step}")
            # Parities inside blocks of `size` bits become those inside blocks of `radix` as many.
            for lane in range(p.lanes):
                for index in range(p.simd):
                    first = index - index % (size * p.radix)
                    ends = range(first + size - 1, index - index % size, size)
                    terms = [word[lane * p.simd + end] for end in [*ends, index]]
                    m.d.sync += found[lane * p.simd + index].eq(reduce(xor, terms))
            word, size = found, size * p.radix
        return m
