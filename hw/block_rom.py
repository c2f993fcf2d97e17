"""Block ROM: a table in block RAMs by name, so that one knows where each of its bits lies in the FPGA.

Synthesis by itself lays memories out as it likes, drops bits that are constant and puts small tables into lookup
tables. A table of block RAM primitives stays what it is, whatever its contents: two designs that differ in contents
alone give the same netlist but for initial values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from signfold.hw.check import check_identifier, check_integer

__all__ = ["BLOCK_FAMILIES", "BlockRomParameters"]

#: Of each family: bits of a block that hold contents, and widths in which a block can be read.
BLOCK_FAMILIES = {"ice40": (4096, (16, 8, 4, 2)), "ecp5": (18432, (36, 18, 9, 4, 2, 1))}


@dataclass(frozen=True)
class BlockRomParameters:
    """A table of `depth` words of `width` bits in block RAMs of an FPGA family.

    Blocks stand in `banks` of consecutive words, each `columns` blocks side by side, column 0 in the low bits.

    The contents of a block are a vector of bits. iCE40 (SB_RAM40_4K): bit 16*r + c is bit c of row r, 256 rows; bit n
    is bit n % 256 of INIT_(n // 256). A block of words of w bits has bit j of word a in row a % 256,
    c = (16/w)*j + a // 256. ECP5 (DP16KD): bit 9*b + c is bit c of byte b, 2,048 bytes; byte b is bits
    [20*(b//2 % 16) + 9*(b%2) +: 9] of INITVAL_(b // 32). A block of words of 9, 18 or 36 bits has them in bytes one
    after another; of 1, 2 or 4 bits, 8 bits of each byte are used, the words in the low bits first. (Lattice
    FPGA-TN-02002, "Memory Usage Guide for iCE40 Devices"; FPGA-TN-02204, "ECP5 and ECP5-5G Memory User Guide"; the
    cells' use in Yosys.)

    Parameters
    ----------
    family : str
        "ice40" or "ecp5".
    width : int
        Bits of a word, at least 1.
    depth : int
        Words, at least 1.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    family: str
    width: int
    depth: int

    def __post_init__(self):
        if self.family not in BLOCK_FAMILIES:
            raise ValueError(f"family must be one of {', '.join(BLOCK_FAMILIES)}, not {self.family!r}")
        check_integer("block ROM width", self.width, minimum=1)
        check_integer("block ROM depth", self.depth, minimum=1)

    @cached_property
    def block_width(self) -> int:
        """Bits of a word that a block holds: the width that takes the fewest blocks, then the fewest banks."""
        return min(
            BLOCK_FAMILIES[self.family][1],
            key=lambda w: (-(-self.width // w) * -(-self.depth // self._words(w)), -(-self.depth // self._words(w))),
        )

    def _words(self, width: int) -> int:
        """Return how many words of a width a block holds."""
        if self.family == "ice40":
            return 4096 // width
        return 2048 * (8 if width < 9 else 9) // width

    @property
    def block_bits(self) -> int:
        """Bits of a block's contents."""
        return BLOCK_FAMILIES[self.family][0]

    @property
    def block_depth(self) -> int:
        """Words of a block."""
        return self._words(self.block_width)

    @property
    def columns(self) -> int:
        """Blocks side by side."""
        return -(-self.width // self.block_width)

    @property
    def banks(self) -> int:
        """Blocks one after another."""
        return -(-self.depth // self.block_depth)

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks' instances, bank by bank."""
        return tuple(f"block_{bank}_{column}" for bank in range(self.banks) for column in range(self.columns))

    @cached_property
    def _places(self) -> np.ndarray:
        """Place of each bit in a block's contents, words x bits."""
        address, bit = np.arange(self.block_depth)[:, None], np.arange(self.block_width)
        if self.family == "ice40":
            return 16 * (address % 256) + 16 // self.block_width * bit + address // 256
        if self.block_width >= 9:
            return address * self.block_width + bit
        number = address * self.block_width + bit
        return 9 * (number // 8) + number % 8

    def compute(self, words: Sequence[int]) -> np.ndarray:
        """Return the contents of the blocks that hold `words`, uint8, blocks x `block_bits`; 0 where no word is."""
        if len(words) != self.depth:
            raise ValueError(f"block ROM must hold {self.depth} words, not {len(words)!r}")
        size = -(-self.width // 8)
        stored = np.frombuffer(b"".join(int(word).to_bytes(size, "little") for word in words), np.uint8)
        bits = np.zeros((self.banks * self.block_depth, self.columns * self.block_width), np.uint8)
        bits[: self.depth, : self.width] = np.unpackbits(stored.reshape(-1, size), axis=1, bitorder="little")[
            :, : self.width
        ]
        shape = (self.banks, self.block_depth, self.columns, self.block_width)
        blocks = bits.reshape(shape).transpose(0, 2, 1, 3).reshape(-1, self.block_depth, self.block_width)
        contents = np.zeros((len(self.blocks), self.block_bits), np.uint8)
        contents[:, self._places] = blocks
        return contents

    def words(self, contents: np.ndarray) -> tuple[int, ...]:
        """Return the words that blocks hold, the inverse of `compute`.

        Raises
        ------
        ValueError
            If a bit that belongs to no word is 1.
        """
        contents = np.asarray(contents, np.uint8).reshape(len(self.blocks), self.block_bits)
        blocks = contents[:, self._places].reshape(self.banks, self.columns, self.block_depth, self.block_width)
        bits = blocks.transpose(0, 2, 1, 3).reshape(self.banks * self.block_depth, -1)
        packed = np.packbits(bits[: self.depth, : self.width], axis=1, bitorder="little")
        words = tuple(int.from_bytes(row.tobytes(), "little") for row in packed)
        if (self.compute(words) != contents).any():
            raise ValueError("blocks must hold zeros where no word is")
        return words

    def verilog(self, name: str, words: Sequence[int], address: str = "address") -> str:
        """Return a module that holds `words` in named block RAMs.

        Its ports are those of a ROM's module: `clk`, `rst` (not looked at), the address, and `data`, the word at the
        address of the cycle before.

        Parameters
        ----------
        name : str
            Name of the module.
        words : sequence of int
            Contents.
        address : str
            Name of the address port.
        """
        check_identifier("module name", name)
        bits = max(1, (self.depth - 1).bit_length())
        lines = [
            f"module {name}(clk, rst, data, {address});",
            "  input clk, rst;",
            f"  input [{bits - 1}:0] {address};",
            f"  output [{self.width - 1}:0] data;",
        ]
        low = (self.block_depth - 1).bit_length()
        used = min(bits, low)
        place = f"{{{low - used}'d0, {address}[{used - 1}:0]}}" if low > used else f"{address}[{low - 1}:0]"
        lines.append(f"  wire [{low - 1}:0] place = {place};")
        contents = self.compute(words)
        block = {"ice40": self._ice40, "ecp5": self._ecp5}[self.family]
        for bank in range(self.banks):
            lines.append(f"  wire [{self.columns * self.block_width - 1}:0] bank_{bank};")
            for column in range(self.columns):
                number = bank * self.columns + column
                read = [f"bank_{bank}[{column * self.block_width + j}]" for j in range(self.block_width)]
                lines += block(self.blocks[number], contents[number], read)
        value = "bank_0"
        if self.banks > 1:
            lines += [
                f"  reg [{bits - low - 1}:0] bank;",
                f"  always @(posedge clk) bank <= {address}[{bits - 1}:{low}];",
            ]
            for bank in range(1, self.banks):
                value = f"bank == {bank} ? bank_{bank} : {value}"
        lines.append(f"  assign data = {value};")
        return "\n".join([*lines, "endmodule"])

    def _ice40(self, name: str, contents: np.ndarray, read: list[str]) -> list[str]:
        """Instantiate a block; a word's bits leave on every (16/w)-th pin."""
        width = self.block_width
        spread, first = 16 // width, {16: 0, 8: 0, 4: 1, 2: 3}[width]
        rows = [f".INIT_{k:X}(256'h{_hexadecimal(contents[256 * k :][:256])})" for k in range(16)]
        mode = {16: 0, 8: 1, 4: 2, 2: 3}[width]
        high = 11 - (self.block_depth - 1).bit_length()
        address = f"{{{high}'d0, place}}" if high else "place"
        return [
            f"  wire [15:0] pins_{name};",
            *(f"  assign {read[j]} = pins_{name}[{spread * j + first}];" for j in range(width)),
            f"  SB_RAM40_4K #({', '.join(rows)}, .READ_MODE({mode}), .WRITE_MODE(0)) {name} (",
            f"    .RDATA(pins_{name}), .RADDR({address}), .RCLK(clk), .RCLKE(1'b1), .RE(1'b1),",
            "    .WCLK(1'b0), .WCLKE(1'b0), .WE(1'b0), .WADDR(11'd0), .WDATA(16'd0), .MASK(16'd0));",
        ]

    def _ecp5(self, name: str, contents: np.ndarray, read: list[str]) -> list[str]:
        """Instantiate a block, read at port A; words of 36 bits at port B, whose lower half leaves on port A's pins."""
        width = self.block_width
        padded = np.zeros((1024, 20), np.uint8)
        padded[:, :18] = contents.reshape(1024, 18)
        parameters = [f".INITVAL_{k:02X}(320'h{_hexadecimal(row)})" for k, row in enumerate(padded.reshape(64, 320))]
        for port in "AB":
            parameters += [f".DATA_WIDTH_{port}({width})", f'.REGMODE_{port}("NOREG")', f'.CSDECODE_{port}("0b000")']
            parameters += [f'.WRITEMODE_{port}("NORMAL")', f'.CLK{port}MUX("CLK{port}")']
        parameters += ['.RESETMODE("SYNC")', '.ASYNC_RESET_RELEASE("SYNC")', '.GSR("DISABLED")']
        reading = "B" if width == 36 else "A"
        pins = []
        for port in "AB":
            clock, enable = ("clk", "1'b1") if port == reading else ("1'b0", "1'b0")
            pins += [f".CLK{port}({clock})", f".CE{port}({enable})", f".OCE{port}({enable})", f".WE{port}(1'b0)"]
            pins += [f".RST{port}(1'b0)", *(f".CS{port}{k}(1'b0)" for k in range(3))]
        # The address counts bits of data: the lowest of its 14 bits are 0 in wide words.
        zeros = 14 - (self.block_depth - 1).bit_length()
        lines = ["1'b0"] * zeros + [f"place[{k}]" for k in range(14 - zeros)]
        pins += [f".AD{reading}{k}({line})" for k, line in enumerate(lines)]
        outputs = [("A", k) for k in range(18)] + [("B", k) for k in range(18)]
        pins += [f".DO{port}{k}({read[j]})" for j, (port, k) in enumerate(outputs[:width])]
        return [f"  DP16KD #({', '.join(parameters)}) {name} (", f"    {', '.join(pins)});"]


def _hexadecimal(bits: np.ndarray) -> str:
    """Return bits, the lowest first, as hexadecimal digits."""
    return np.packbits(bits[::-1]).tobytes().hex()
