"""Read-only memories: every table of an accelerator, one module and one image each."""

from dataclasses import dataclass

from amaranth.hdl import Module, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_identifier, check_integer

__all__ = ["BLOCK_BITS", "Rom", "RomParameters"]

#: Tables of at least this many bits go into block RAM.
BLOCK_BITS = 1024


@dataclass(frozen=True)
class RomParameters:
    """A table of unsigned words.

    Parameters
    ----------
    name : str
        Identifier of the table: it becomes the module's and the image's name. Letters, digits and underscores.
    width : int
        Width of a word in bits, at least 1.
    words : tuple of int
        Contents from address 0 on, each in 0 .. 2**width - 1; at least one.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    name: str
    width: int
    words: tuple[int, ...]

    def __post_init__(self):
        check_identifier("ROM name", self.name)
        check_integer("ROM width", self.width, minimum=1)
        if len(self.words) == 0:
            raise ValueError(f"ROM {self.name!r} must hold at least one word")
        for address, word in enumerate(self.words):
            if not 0 <= word < 1 << self.width:
                raise ValueError(f"ROM {self.name!r} word {address} must fit {self.width} bits, not {word!r}")

    @property
    def depth(self) -> int:
        """Number of words."""
        return len(self.words)

    @property
    def address_width(self) -> int:
        """Width of the address in bits, at least 1."""
        return max(1, (self.depth - 1).bit_length())

    def compute(self, address: int) -> int:
        """Return the word at `address`."""
        return self.words[address]

    def create(self) -> "Rom":
        """Return the gateware."""
        return Rom(self)


class Rom(wiring.Component):
    """Table with a registered output.

    Latency 1 cycle: `data` in a cycle is the word at the `address` of the cycle before. Throughput one word a cycle.
    Before the first clock edge `data` is undefined; an address past the last word reads an undefined word.

    Parameters
    ----------
    parameters : RomParameters
        Size and contents.

    Members
    -------
    address : In(address_width)
        Word to read.
    data : Out(width)
        The word, one cycle later.
    """

    LATENCY = 1

    def __init__(self, parameters: RomParameters):
        self.parameters = parameters
        super().__init__({"address": In(parameters.address_width), "data": Out(parameters.width)})

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        # Synthesis by itself turns tables of a few kilobits into logic, at hundreds of LUTs each.
        attributes = {"rom_style": "block"} if p.width * p.depth >= BLOCK_BITS else {}
        memory = Memory(shape=unsigned(p.width), depth=p.depth, init=p.words, attrs=attributes)
        m.submodules.memory = memory
        port = memory.read_port()
        m.d.comb += [port.addr.eq(self.address), self.data.eq(port.data)]
        return m
