"""Words as prefix parities, in which a cell finds the carries of its first adders by looking at three bits each.

Agreements x_i = ~(a_i ^ w_i) of an activation and a weight word are counted. A chain of full adders that takes two of
them at a time needs the parities P_i = x_1 ^ ... ^ x_i, and gives a carry maj(P_2j-2, x_2j-1, x_2j) a pair. Parities
are linear: P_i is the parity of i activation bits, that of i inverted weight bits, and the exclusive or of the two. So
where both words come as their prefix parities, each P_i is one exclusive or, x_i = P_i-1 ^ P_i, and all carries are
there at once, as functions of three parities: the chain is gone. The map is a bijection, words keep their width, the
parities of the weights are stored in their tables, and those of the activations are made once for a row of cells.
"""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.shared import shared

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

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    simd: int
    lanes: int = 1

    #: Cycles from a word to its parities.
    LATENCY = 1

    def __post_init__(self):
        check_integer("simd", self.simd, minimum=1)
        check_integer("parity lanes", self.lanes, minimum=1)

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
    """Turn words into prefix parities. Latency 1 cycle, throughput one word a cycle, no flow control.

    Parameters
    ----------
    parameters : ParityParameters
        Widths.

    Members
    -------
    word : In(width)
        Words.
    parities : Out(width)
        Parities of the word of the cycle before.
    """

    def __init__(self, parameters: ParityParameters):
        self.parameters = parameters
        super().__init__({"word": In(parameters.width), "parities": Out(parameters.width)})

    @shared
    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        result = []
        for lane in range(p.lanes):
            # Blocks of four bits, then the parities of the blocks before: prefixes of prefixes, in three levels of
            # four-input tables for 64 bits.
            result += self._prefixes(m, [self.word[lane * p.simd + k] for k in range(p.simd)], f"lane_{lane}")
        m.d.sync += self.parities.eq(Cat(result))
        return m

    def _prefixes(self, m, bits, name):
        block = 4
        inside = []
        for start in range(0, len(bits), block):
            parity = bits[start]
            for k, bit in enumerate(bits[start : start + block]):
                parity = bit if k == 0 else parity ^ bit
                inside.append(parity)
        if len(bits) <= block:
            return inside
        ends = []
        for k, parity in enumerate(inside[block - 1 :: block]):
            end = Signal(name=f"{name}_{k}")
            m.d.comb += end.eq(parity)
            ends.append(end)
        before = self._prefixes(m, ends, f"{name}_up")
        result = inside[:block]
        for k in range(block, len(bits)):
            result.append(inside[k] ^ before[k // block - 1])
        return result
