"""What the projects of vendors' tools need beyond Amaranth's own templates."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from signfold.hw.verilog import MEMORY_MACRO
from signfold.sw.errors import BuildError

__all__ = ["VENDORS", "Vendor", "check_slack"]

_SLACK = re.compile(r"^Slack\s*:\s*(-?\d+(?:\.\d+)?)", re.MULTILINE)
#: Ends Vivado's run before there is a bitstream.
_VIVADO_TIMING = """phys_opt_design
set slack [get_property SLACK [get_timing_paths]]
if {$slack < 0} {
    puts "ERROR: timing is not met: the slowest path is [expr {-$slack}] ns too slow"
    exit 1
}"""


@dataclass(frozen=True)
class Vendor:
    """A vendor's toolchain.

    Parameters
    ----------
    title : str
        Name for people.
    variable, program : str
        Environment variable that names the first of its programs, and that program unless it does.
    setup : str
        What makes the programs known to a shell.
    family : str
        Family of FPGAs.
    """

    title: str
    variable: str
    program: str
    setup: str
    family: str

    def overrides(self, memories: Sequence[str]) -> dict[str, str]:
        """Return what goes into the templates: ROMs are read from `memories`, and timing must be met."""
        if self.family == "xilinx7":
            return {
                "script_after_read": f"add_files {{{' '.join(memories)}}}" if memories else "# no memories",
                "synth_design_opts": f"-verilog_define {MEMORY_MACRO}=1",
                "script_after_route": _VIVADO_TIMING,
            }
        settings = [
            f'set_global_assignment -name VERILOG_MACRO "{MEMORY_MACRO}=1"',
            # They are read by $readmemh, from the folder of the project.
            *(f"set_global_assignment -name MISC_FILE {name}" for name in memories),
        ]
        return {"add_settings": "\n".join(settings), "add_constraints": "derive_clock_uncertainty"}


VENDORS = {
    "xilinx7": Vendor("Vivado", "VIVADO", "vivado", "source Vivado's settings64.sh", "xilinx7"),
    "cyclone5": Vendor("Quartus", "QUARTUS_MAP", "quartus_map", "put Quartus' bin folder on PATH", "cyclone5"),
}


def check_slack(folder: Path, name: str) -> None:
    """Refuse what Quartus' timing analyzer says is too slow; Vivado's script does that itself.

    Parameters
    ----------
    folder : path
        Folder of a project that was built.
    name : str
        Its top.

    Raises
    ------
    BuildError
        If the analyzer's summary is missing or tells of a negative slack.
    """
    path = folder / f"{name}.sta.summary"
    try:
        slacks = [float(slack) for slack in _SLACK.findall(path.read_text(errors="replace"))]
    except OSError as error:
        raise BuildError(f"timing is not known: {path}: {error.strerror}") from None
    if not slacks:
        raise BuildError(f"timing is not known: {path} names no slack")
    if min(slacks) < 0:
        raise BuildError(
            f"timing is not met: the slowest path is {-min(slacks):g} ns too slow; what helps: more pipeline stages or "
            f"shorter words (stages, simd) in the plan"
        )
