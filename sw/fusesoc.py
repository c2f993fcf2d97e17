"""FuseSoC: a generated folder as a core (CAPI2), with files, macros and targets."""

import json
from collections.abc import Sequence

from signfold.hw.verilog import MEMORY_DIRECTORY_MACRO, MEMORY_MACRO

__all__ = ["core_file", "core_name"]

#: Architecture of Yosys' synthesis for a fabric.
_ARCHITECTURES = {"ice40": "ice40", "ecp5": "ecp5", "gowin": "gowin", "xilinx": "xilinx", "plain": "xilinx"}


def core_name(top: str, content_hash: str) -> str:
    """Return the core's name, vendor:library:name:version, which tells networks apart."""
    return f"signfold:accelerator:{top}_{content_hash[:16]}:0"


def core_file(
    *, top: str, content_hash: str, sources: Sequence[str], memories: Sequence[str], fabric: str, description: str
) -> str:
    """Return the text of a core file.

    Its targets are `default` (the files, for cores that depend on this one), `lint` (Verilator), `synth` (Yosys for the
    plan's fabric) and `vivado` (synthesis only).

    Parameters
    ----------
    top : str
        Top module.
    content_hash : str
        The network's.
    sources, memories : sequence of str
        Names of the Verilog files and of the memory images, beside the core file.
    fabric : str
        What the plan's arrays are made of.
    description : str
        One line.
    """
    quoted = json.dumps  # a string of JSON is one of YAML
    lines = [
        "CAPI=2:",
        "",
        f"name: {quoted(core_name(top, content_hash))}",
        f"description: {quoted(description)}",
        "",
        "filesets:",
        "  rtl:",
        "    file_type: verilogSource",
        "    files:",
        *(f"      - {quoted(name)}" for name in sources),
        # Simulators and synthesis find them in the folder that they run in.
        "  memories:",
        "    file_type: user",
        f"    files:{'' if memories else ' []'}",
        *(f"      - {quoted(name)}: {{copyto: {quoted(name)}}}" for name in memories),
        "",
        "parameters:",
        f"  {MEMORY_MACRO}:",
        "    datatype: bool",
        "    paramtype: vlogdefine",
        "    description: read the ROMs from the .mem files instead of the Verilog text",
        f"  {MEMORY_DIRECTORY_MACRO}:",
        "    datatype: str",
        "    paramtype: vlogdefine",
        "    description: put before the names of the .mem files, with a slash at its end",
        "",
        "targets:",
        "  default: &default",
        "    filesets: [rtl, memories]",
        f"    toplevel: {top}",
        f"    parameters: [{MEMORY_MACRO}, {MEMORY_DIRECTORY_MACRO}]",
        "  lint:",
        "    <<: *default",
        "    description: Verilator, all warnings but those that the files waive with a reason",
        "    flow: lint",
        "    flow_options:",
        "      tool: verilator",
        "      verilator_options: [-Wall]",
        "  synth:",
        "    <<: *default",
        "    description: Yosys, for the fabric of the plan",
        "    flow: generic",
        "    flow_options:",
        "      tool: yosys",
        f"      arch: {_ARCHITECTURES[fabric]}",
        "      output_format: json",
        "  vivado:",
        "    <<: *default",
        "    description: Vivado, synthesis only",
        "    flow: vivado",
        "    flow_options:",
        "      part: xc7a35ticsg324-1L",
        "      pnr: none",
    ]
    return "\n".join([*lines, ""])
