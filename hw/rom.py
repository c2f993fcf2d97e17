"""Read-only memories: every table of an accelerator, one module and one image each."""

from dataclasses import dataclass

from amaranth.hdl import Module, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_identifier, check_integer

__all__ = ["BLOCK_BITS", "ROM_STYLES", "Rom", "RomParameters"]

#: Tables of at least this many bits go into block RAM, unless their style says otherwise.
BLOCK_BITS = 1024

#: Where a table may lie, and the attribute that tells synthesis so ("distributed" would ask Yosys for LUTs that are
#: written to).
ROM_STYLES = {"auto": None, "block": "block", "lut": "logic"}


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
    style : str
        "block": in block RAM. "lut": in lookup tables. "auto": in block RAM from `BLOCK_BITS` bits on, else wherever
        synthesis likes. It changes neither contents nor cycles.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    name: str
    width: int
    words: tuple[int, ...]
    style: str = "auto"

    def __post_init__(self):
        check_identifier("ROM name", self.name)
        check_integer("ROM width", self.width, minimum=1)
        if self.style not in ROM_STYLES:
            raise ValueError(f"ROM style must be one of {', '.join(map(repr, ROM_STYLES))}, not {self.style!r}")
        if len(self.words) == 0:
            raise ValueError(f"ROM {self.name!r} must hold at least one word")
        for address, word in enumerate(self.words):
            if not 0 <= word < 1 << self.width:
                raise ValueError(f"ROM {self.name!r} word {address} must fit {self.width} bits, not {word!r}")

    @property
    def attributes(self) -> dict[str, str]:
        """Attributes of the memory for synthesis."""
        style = ROM_STYLES[self.style]
        # Synthesis by itself turns tables of a few kilobits into logic, at hundreds of LUTs each.
        if self.style == "auto" and self.width * self.depth >= BLOCK_BITS:
            style = "block"
        return {} if style is None else {"rom_style": style}

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
        # Where tables can be replaced while the design runs, something else stands for them: see `ReloadBus`.
        if (table := getattr(platform, "table", None)) is not None:
            return table(self)
        p = self.parameters
        m = Module()
        memory = Memory(shape=unsigned(p.width), depth=p.depth, init=p.words, attrs=p.attributes)
        m.submodules.memory = memory
        port = memory.read_port()
        m.d.comb += [port.addr.eq(self.address), self.data.eq(port.data)]
        return m
