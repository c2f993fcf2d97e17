"""Verilog out: one self-contained file a design, the same bytes every time, with replaceable memories."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from amaranth._toolchain.yosys import find_yosys
from amaranth.hdl import Elaboratable

from signfold.hw.block_rom import BLOCK_FAMILIES, BlockRomParameters
from signfold.hw.canonical import canonical
from signfold.hw.module_library import ModuleLibrary
from signfold.hw.reload_bus import BankedTable
from signfold.hw.rom import RomParameters

__all__ = ["LINT_WAIVERS", "MEMORY_DIRECTORY_MACRO", "MEMORY_MACRO", "SYNTHESIS_MACRO", "convert"]

#: Defined: ROMs are read from `<rom>.mem` when a simulation or synthesis starts, not from the text.
MEMORY_MACRO = "SIGNFOLD_MEM"
#: String put before the names of the `.mem` files, "./" unless defined otherwise.
MEMORY_DIRECTORY_MACRO = "SIGNFOLD_MEM_DIR"
#: Defined by synthesis tools (Vivado, Yosys, Quartus): counters are built from the fabric's primitives.
SYNTHESIS_MACRO = "SYNTHESIS"

#: Verilator warnings that idioms of the generated text cause, each with its reason. All others stay errors.
LINT_WAIVERS = {
    "DECLFILENAME": "one file holds all modules",
    "UNUSEDSIGNAL": "carries and sign bits that an addition makes and nobody reads; resets of memories",
    "WIDTHEXPAND": "operands are extended to the width of the result, as Verilog defines it",
    "CASEINCOMPLETE": "every case comes after an assignment of the value that holds otherwise",
    "PROCASSINIT": "registers hold their reset value from power-on, as they do in an FPGA",
    "INITIALDLY": "the late assignment is what lets combinational blocks run once at time zero",
    "CMPCONST": "thresholds that never fire are compared like all others",
    "UNSIGNED": "and so are those that always fire",
    "WIDTHTRUNC": "sums are kept at the width that their values need",
}

#: Yosys names the variable that lets an always block run once at time zero after a line of its own source.
_TRIGGER = re.compile(r"\\\$auto\$verilog_backend\.cc:\d+:dump_module\$\d+ ")
#: Its declaration. A value from the start is no event where declarations come before processes (SystemVerilog), and a
#: block whose inputs do not change would keep an X; a nonblocking assignment is one everywhere.
_TRIGGER_DECLARATION = "  reg \\$initial  = 0;"
_MODULE = re.compile(r"module (\w+)\(")
_MEMORY = re.compile(r"  reg (?:\[(\d+):0\] )?(\w+) \[(\d+):0\];")
#: Attribute of memories that are written before they are read.
_RAM = re.compile(r'  \(\* ram_style = "(?:auto|huge)" \*\)')
#: Yosys writes words of 32 bits in decimal, others in hexadecimal.
_WORD = re.compile(r"    (\w+)\[(\d+)\] = (\d+)'([dh])([0-9a-f]+);")


def convert(
    component: Elaboratable,
    *,
    name: str = "accelerator",
    roms: Sequence[RomParameters] = (),
    keep_wires: Sequence[str] = (),
    header: Sequence[str] = (),
    blocks: str | None = None,
    banked: bool = False,
) -> str:
    """Convert a component to Verilog-2005.

    The text depends on the component and the installed releases of Amaranth and its built-in Yosys alone: it holds no
    path, no date and no tool banner, module ports have a fixed order, and equal modules appear once. With the macro
    `SIGNFOLD_MEM` defined each ROM is read by `$readmemh` from `<rom>.mem` in the directory of the string macro
    `SIGNFOLD_MEM_DIR` (default "./"); otherwise its contents stand in the text.

    Parameters
    ----------
    component : Elaboratable
        Component with a signature; its members become the ports.
    name : str
        Name of the top module and prefix of all others.
    roms : sequence of RomParameters
        Every ROM of the component, each in a module whose instance has the ROM's name.
    keep_wires : sequence of str
        Names of signals that stay visible in the modules directly inside the top module, for monitors.
    header : sequence of str
        Lines of the comment at the top, printable ASCII.
    blocks : str or None
        "any": every ROM asks synthesis for block RAM, whatever its size and style. "ice40", "ecp5": for synthesis every
        ROM is a `signfold.hw.block_rom` of that family.
    banked : bool
        Every ROM is a table of a `signfold.hw.reload_bus`, which holds its contents in bank 0; without `blocks`.

    Returns
    -------
    str
        The Verilog source.

    Raises
    ------
    ValueError
        If the text does not hold exactly the expected ROMs with the expected contents, or a header line is not
        printable ASCII, or `blocks` is no family.
    """
    if banked and blocks is not None:
        raise ValueError(f"blocks must be None for tables of two banks, not {blocks!r}")
    for line in header:
        if not line.isascii() or (line and not line.isprintable()) or line.endswith("\\"):
            raise ValueError(f"Header line must be printable ASCII without a backslash at its end, not {line!r}")
    if blocks not in (None, "any", *BLOCK_FAMILIES):
        raise ValueError(f"blocks must be None, 'any', {', '.join(map(repr, BLOCK_FAMILIES))}, not {blocks!r}")
    expected = {}
    for rom in roms:
        if rom.name in expected:
            raise ValueError(f"ROM names must differ, but {rom.name!r} occurs twice")
        expected[rom.name] = rom
    library = ModuleLibrary(name)
    design = canonical(library.convert(component), keep_modules=expected.keys(), keep_wires=keep_wires)
    lines = _replaceable_roms(_write_verilog(design), expected, in_blocks=blocks is not None, banked=banked)
    primitives = {}
    for module, parameters in library.modules.items():
        if hasattr(parameters, "primitives") and (mapped := parameters.primitives(module)):
            primitives[module] = mapped
    if blocks in BLOCK_FAMILIES:
        primitives |= _block_roms(lines, expected, blocks)
    return "\n".join([*_preamble(header), *_with_primitives(lines, primitives), ""])


def _write_verilog(design: str) -> str:
    """Run the built-in Yosys, the one tool whose output is the same on every machine, over a design."""
    script = [
        f"read_rtlil <<rtlil\n{design}\nrtlil",
        # Only what Verilog needs: processes become always blocks, memory cells one memory.
        "proc -nomux -norom",
        "memory_collect",
        "attrmap -remove generator -remove top -remove src -remove amaranth.hierarchy -remove amaranth.decoding",
        "attrmap -modattr -remove generator -remove top -remove src",
        "write_verilog -norename",
    ]
    with _environment("AMARANTH_USE_YOSYS", "builtin"):
        yosys = find_yosys(lambda version: version >= (0, 40))
        # Yosys warns that not all processes have a Verilog form; Amaranth writes only those that have one.
        return yosys.run(["-q", "-"], "\n".join(script), ignore_warnings=True)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _preamble(header: Sequence[str]) -> list[str]:
    lines = ["// Generated by Signfold. Do not edit: generate again."]
    lines += [f"// {line}".rstrip() for line in header]
    lines += [
        "//",
        f"// Memories: contents below, or read from <rom>.mem files where {MEMORY_MACRO} is defined,",
        f"// in the directory of the string macro {MEMORY_DIRECTORY_MACRO} (default the working directory).",
        f"`ifdef {MEMORY_MACRO}",
        f"`ifndef {MEMORY_DIRECTORY_MACRO}",
        f'`define {MEMORY_DIRECTORY_MACRO} "./"',
        "`endif",
        "`endif",
        "",
    ]
    for warning, reason in LINT_WAIVERS.items():
        lines.append(f"/* verilator lint_off {warning} */ // {reason}")
    return lines


def _block_roms(lines: Sequence[str], expected: dict[str, RomParameters], family: str) -> dict[str, str]:
    """Return a module of named block RAMs for each module of a ROM."""
    modules = {}
    for line in lines:
        match = _MODULE.match(line)
        rom = expected.get(match[1].rpartition("__")[2]) if match else None
        if rom is not None:
            ports = set(line[match.end() : -2].split(", "))
            address = ports & {"address", "port__addr"}
            if ports - address != {"clk", "rst", "data"} or len(address) != 1:
                raise ValueError(f"ROM {rom.name!r} must have ports clk, rst, data and an address, but reads {line!r}")
            parameters = BlockRomParameters(family, rom.width, rom.depth)
            modules[match[1]] = parameters.verilog(match[1], rom.words, address.pop())
    return modules


def _replaceable_roms(
    text: str, expected: dict[str, RomParameters], *, in_blocks: bool = False, banked: bool = False
) -> list[str]:
    """Give each ROM's initial block its alternative, and make sure that all ROMs are what they should be."""
    lines: list[str] = []
    pending = dict(expected)
    module, memory, width, depth = "", "", 0, 0
    source = iter(text.splitlines())
    for line in source:
        line = _TRIGGER.sub(r"\\$initial ", line)
        if line.startswith("/* Generated by"):
            continue
        if line == _TRIGGER_DECLARATION:
            lines += ["  reg \\$initial ;", "  initial \\$initial  <= 0;"]
            continue
        if match := _MODULE.match(line):
            module = match[1].rpartition("__")[2]
        elif match := _MEMORY.fullmatch(line):
            memory, width, depth = match[2], int(match[1] or 0) + 1, int(match[3]) + 1
            if _RAM.fullmatch(lines[-1]):
                # Amaranth writes zeros, but what a memory of `signfold.hw.ram` holds at first is undefined, and must be
                # where it lies in SPRAM.
                lines.append(line)
                line = next(source)
                while line != "  end":
                    line = next(source)
                continue
            if in_blocks and module in expected:
                if lines[-1].startswith("  (* rom_style"):
                    lines.pop()
                lines.append('  (* rom_style = "block" *)')
        elif line == "  initial begin" and module in expected:
            rom = pending.pop(module, None)
            if rom is None:
                raise ValueError(f"ROM {module!r} must occur once, but occurs again")
            block = []
            for word in source:
                if word == "  end":
                    break
                block.append(word)
            if banked:
                # What the other bank holds at first is undefined: it is written before it is read.
                stored = BankedTable(rom)
                size, block = (stored.width, stored.depth), block[: rom.depth]
            else:
                size = rom.width, rom.depth
            _check_words(rom, memory, (width, depth), size, block)
            lines += [
                f"`ifdef {MEMORY_MACRO}",
                f'  initial $readmemh({{`{MEMORY_DIRECTORY_MACRO}, "{rom.name}.mem"}}, {memory}, 0, {rom.depth - 1});',
                "`else",
                line,
                *block,
                word,
                "`endif",
            ]
            continue
        lines.append(line)
    if pending:
        raise ValueError(f"ROM {min(pending)!r} must occur in the design, but does not")
    return lines


def _with_primitives(lines: Sequence[str], primitives: Mapping[str, str]) -> Iterator[str]:
    """Give modules that the fabric has primitives for their form for synthesis."""
    inside = False
    for line in lines:
        match = _MODULE.match(line)
        if match and match[1] in primitives:
            inside = True
            yield from (f"`ifdef {SYNTHESIS_MACRO}", *primitives[match[1]].splitlines(), "`else")
        yield line
        if inside and line == "endmodule":
            inside = False
            yield "`endif"


def _check_words(
    rom: RomParameters, memory: str, found: tuple[int, int], size: tuple[int, int], block: list[str]
) -> None:
    """Refuse a memory that differs from its parameters in size, width and depth, or contents."""
    width, depth = found
    if found != size:
        raise ValueError(f"ROM {rom.name!r} must be {size[1]} x {size[0]} bits, but is {depth} x {width}")
    words = {}
    for line in block:
        match = _WORD.fullmatch(line)
        if match is None or match[1] != memory or int(match[3]) != width:
            raise ValueError(f"ROM {rom.name!r} must be initialized word by word, but the text reads {line.strip()!r}")
        words[int(match[2])] = int(match[5], 16 if match[4] == "h" else 10)
    if words != dict(enumerate(rom.words)):
        raise ValueError(f"ROM {rom.name!r} must hold the words of its parameters, but the text holds others")
