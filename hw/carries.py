"""First level of a popcount of words as prefix parities: the carries of a chain of full adders, all at once."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.module_library import shared
from signfold.hw.xilinx import carries_verilog

__all__ = ["Carries", "CarriesParameters"]


@dataclass(frozen=True)
class CarriesParameters:
    """Agreements of two words of prefix parities, as bits of weight 1 and 2; see `signfold.hw.parity`.

    Parameters
    ----------
    simd : int
        Bits of a word.
    mapped : bool
        Synthesis gets a LUT6 a carry; where tables are smaller, it finds a better form by itself.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    simd: int
    mapped: bool = False

    def __post_init__(self):
        check_integer("simd", self.simd, minimum=1)

    @property
    def count(self) -> int:
        """Carries. Each stands for two agreements."""
        return self.simd // 2

    def compute(self, activations: int, weights: int) -> tuple[int, int]:
        """Return the parity of all agreements, and the carries."""
        parities = activations ^ weights
        carries = 0
        for index, k in enumerate(range(1 + self.simd % 2, self.simd, 2)):
            low, middle, high = (parities >> n & 1 if n >= 0 else 0 for n in (k - 2, k - 1, k))
            carries |= ((low + (low ^ middle) + (middle ^ high)) >> 1) << index
        return parities >> self.simd - 1 & 1, carries

    def primitives(self, name: str) -> str | None:
        """Return the gateware as a Verilog module of Xilinx primitives, for synthesis; None where not `mapped`."""
        return carries_verilog(name, self.simd) if self.mapped else None

    def create(self) -> "Carries":
        """Return the gateware."""
        return Carries(self)


class Carries(wiring.Component):
    """Find the parity of the agreements, and a carry for each pair of them. Combinational.

    Parameters
    ----------
    parameters : CarriesParameters
        Width.

    Members
    -------
    activations, weights : In(simd)
        Prefix parities of the activations and of the inverted weights.
    parity : Out(1)
        Weight 1.
    carries : Out(count)
        Weight 2 each.
    """

    def __init__(self, parameters: CarriesParameters):
        self.parameters = p = parameters
        super().__init__(
            {"activations": In(p.simd), "weights": In(p.simd), "parity": Out(1)}
            | ({"carries": Out(p.count)} if p.count else {})
        )

    @shared
    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        parity = Signal(p.simd)
        m.d.comb += [parity.eq(self.activations ^ self.weights), self.parity.eq(parity[-1])]
        carries = []
        # A word of an odd number of bits has one to begin with, the others begin with a half adder.
        for k in range(1 + p.simd % 2, p.simd, 2):
            x, y = parity[k - 1], parity[k] ^ parity[k - 1]
            if k > 1:
                before = parity[k - 2]
                x = x ^ before
                carries.append((x & y) | (before & (x | y)))
            else:
                carries.append(x & y)
        if carries:
            m.d.comb += self.carries.eq(Cat(carries))
        return m
