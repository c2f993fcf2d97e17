"""Models of Gowin's block RAMs and multipliers, which Yosys has no bodies for."""

import re

__all__ = ["with_memories_and_multipliers"]

#: Modules and their ports: which write and read at one address, write only, read only.
_MODULES = {
    "SP": ("",),
    "SPX9": ("",),
    "DPB": ("A", "B"),
    "DPX9B": ("A", "B"),
    "SDPB": ("A", "B"),
    "SDPX9B": ("A", "B"),
}
_EMPTY = re.compile(
    r"\(\* blackbox \*\)\s*module (?:SP|SPX9|SDP|SDPX9|DP|DPX9) ?\(.*?^endmodule$", re.MULTILINE | re.DOTALL
)


def with_memories_and_multipliers(cells: str) -> str:
    """Replace the empty block RAMs among Yosys's cells by models, and add multipliers.

    A block holds 2,048 bytes, of 8 bits or, in the modules with X9, of 9. A word of a port lies at its address without
    the bits that count within it; of words of several bytes the lowest bits of the address say which are written. They
    are those that Yosys's own mapping makes (after Gowin UG285, "BSRAM & SSRAM"): without a register behind the output,
    which would read X here, and with a reset at the clock's edge. Multipliers have no registers either.

    Parameters
    ----------
    cells : str
        Text of Yosys's `cells_sim.v` for Gowin.
    """
    memories = (_block_ram(name) for name in _MODULES)
    return "\n".join([_EMPTY.sub("", cells), *memories, *(_multiplier(width) for width in (9, 18, 36))])


def _multiplier(width: int) -> str:
    """Return a model of a multiplier of two numbers, each signed or not; parameters ask for registers."""
    registers = ["AREG", "BREG", "OUT_REG", "PIPE_REG", "ASIGN_REG", "BSIGN_REG", "SOA_REG"]
    parameters = ", ".join(["MULT_RESET_MODE = 0", *(f"{name} = 0" for name in registers)])
    chain = "" if width == 36 else f", ASEL, BSEL, input [{width - 1}:0] SIA, SIB"
    registered = " || ".join([*registers, *(["ASEL", "BSEL"] if chain else [])])
    factors = [f"  wire signed [{2 * width}:0] factor{p} = $signed({{{p}SIGN & {p}[{width - 1}], {p}}});" for p in "AB"]
    return "\n".join(
        [
            f"module MULT{width}X{width} #(parameter {parameters}) (",
            f"  input CLK, CE, RESET, ASIGN, BSIGN{chain}, input [{width - 1}:0] A, B, output [{2 * width - 1}:0] DOUT",
            ");",
            *factors,
            f"  wire signed [{2 * width}:0] product = factorA * factorB;",
            f"  assign DOUT = {registered} ? {2 * width}'bx : product[{2 * width - 1}:0];",
            "endmodule",
            "",
        ]
    )


def _block_ram(name: str) -> str:
    unit = 9 if "X9" in name else 8
    simple, dual = name.startswith("SDP"), name.startswith("DP")
    most = 2 * unit if dual else 4 * unit
    slices = [f"INIT_RAM_{k:02X}" for k in range(64)]
    parameters = ['RESET_MODE = "SYNC"', *(f"[{32 * unit - 1}:0] {one} = 0" for one in slices)]
    body = [
        f"  reg [{2048 * unit - 1}:0] bits = {{{', '.join(reversed(slices))}}};",
        "  integer n;",
    ]
    ports = []
    for index, port in enumerate(_MODULES[name]):
        number = f"_{index}" if port else ""
        mode = f"WRITE_MODE{index}" if dual else "WRITE_MODE"
        read_mode = f"READ_MODE{index}" if dual else "READ_MODE"
        width = f"BIT_WIDTH{number}"
        parameters += [f"{width} = {most}", f"[2:0] BLK_SEL{number} = 0"]
        if not simple or port == "B":
            parameters.append(f"{read_mode} = 0")
        if not simple:
            parameters.append(f"{mode} = 0")
        ports += [f"input CLK{port}, CE{port}, RESET{port}", f"input [13:0] AD{port}", f"input [2:0] BLKSEL{port}"]
        writes, reads = not simple or port == "A", not simple or port == "B"
        data, out = ("DI", "DO") if simple else (f"DI{port}", f"DO{port}")
        enable = "1'b1" if simple else f"WRE{port}"
        base = f"(AD{port} >> ({width} < {unit} ? $clog2({width}) : 3 + $clog2({width} / {unit}))) * {width}"
        body.append(f"  wire [14:0] base{port} = {base};")
        if not simple:
            ports.append(f"input WRE{port}")
        if writes:
            ports.append(f"input [{most - 1}:0] {data}")
        if reads:
            ports += [f"input OCE{'' if simple else port}", f"output [{most - 1}:0] {out}"]
            body += [
                f"  reg [{most - 1}:0] out{port} = 0;",
                f"  assign {out} = {read_mode} ? {most}'bx : out{port};",
                f"  wire [{most - 1}:0] stored{port} = bits[base{port} +: {most}] & ~({{{most}{{1'b1}}}} << {width});",
            ]
        body += [f"  always @(posedge CLK{port}) begin", f"    if (CE{port} && BLKSEL{port} == BLK_SEL{number}) begin"]
        if writes:
            body += [
                f"      if ({enable}) for (n = 0; n < {width} && n < {most}; n = n + 1)",
                f"        if ({width} <= {unit} || AD{port}[n / {unit}]) bits[base{port} + n] <= {data}[n];",
            ]
        if reads and simple:
            body.append(f"      out{port} <= stored{port};")
        elif reads:
            body.append(f"      if (!{enable} || {mode} == 2) out{port} <= stored{port};")
            body.append(f"      else if ({mode} == 1) out{port} <= {data} & ~({{{most}{{1'b1}}}} << {width});")
        body.append("    end")
        if reads:
            body.append(f"    if (RESET{port}) out{port} <= 0;")
        body.append("  end")
    listed = ",\n  ".join(f"parameter {one}" for one in parameters)
    return "\n".join([f"module {name} #(\n  {listed}\n) (\n  {', '.join(ports)}\n);", *body, "endmodule", ""])
