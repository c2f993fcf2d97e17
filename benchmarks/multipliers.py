"""Whole codes on multipliers against planes on XNOR gates: one array of 4 columns, codes and weights of 8 bits.

    python benchmarks/multipliers.py

Each is synthesized for Xilinx 7, ECP5, iCE40 without multipliers, iCE40 UP5K with them, and Gowin. A word takes 64
cycles where its planes follow one another, one cycle elsewhere.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from counting import count, synthesize

from signfold.hw.array import ArrayParameters
from signfold.hw.fabric import find_fabric
from signfold.hw.planes import PlaneParameters
from signfold.hw.verilog import convert

#: Fabric of each target, and its synthesis where `counting` has none.
TARGETS = {
    "xilinx": ("xilinx", None),
    "ecp5": ("ecp5", None),
    "ice40": ("ice40", None),
    "up5k": ("ice40", "synth_ice40 -device u -dsp -top accelerator"),
    "gowin": ("gowin", "synth_gowin -nolutram -noiopads -top accelerator"),
}
#: Multiplier blocks of Gowin.
_GOWIN = ("MULT9X9", "MULT18X18", "MULTADDALU", "MULTALU")


def synthesized(text: str, target: str, folder: Path) -> tuple[int, int, int]:
    """Return the LUTs, flip-flops and multiplier blocks of a design."""
    _, command = TARGETS[target]
    if command is None:
        counts = synthesize(text, target, folder).counts
        return counts.luts, counts.ffs, counts.multipliers
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "design.v").write_text(text)
    script = f"read_verilog design.v\n{command}\nflatten\nopt_clean\nwrite_json netlist.json\n"
    (folder / "synthesis.ys").write_text(script)
    run = "from pyosys import libyosys as ys; ys.run_pass('script synthesis.ys', ys.Design())"
    with open(folder / "synthesis.log", "wb") as log:
        subprocess.run([sys.executable, "-c", run], cwd=folder, stdout=log, stderr=subprocess.STDOUT, check=True)
    netlist = json.loads((folder / "netlist.json").read_bytes())
    if target == "up5k":
        counts = count(netlist, "ice40")
        return counts.luts, counts.ffs, counts.multipliers
    kinds = Counter(cell["type"] for cell in netlist["modules"]["accelerator"]["cells"].values())

    def total(*names: str) -> int:
        return sum(number for kind, number in kinds.items() if kind.startswith(names))

    return total("LUT", "ALU"), total("DFF"), total(*_GOWIN)


def main() -> None:
    """Synthesize every array for every target and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=tuple(TARGETS), action="append", help="[all]")
    parser.add_argument("--bits", type=int, default=8, help="bits of a weight [%(default)s]")
    parser.add_argument("--simd", type=int, action="append", help="codes of a word [1 and 3]")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks/multipliers"), help="[%(default)s]")
    options = parser.parse_args()
    targets = options.target or list(TARGETS)
    print("| array | " + " | ".join(f"{target} LUT | FF | DSP" for target in targets) + " |")
    print("|---|" + "---|" * 3 * len(targets))
    forms = {"planes in turn": (False, False), "planes side by side": (True, False), "multipliers": (True, True)}
    for simd in options.simd or (1, 3):
        for name, form in forms.items():
            cells = []
            for target in targets:
                fabric = find_fabric(TARGETS[target][0])
                planes = PlaneParameters(8, 1 << options.bits, *form)
                array = ArrayParameters(1, 4, simd, 9, 1, 1, planes, fabric)
                folder = options.folder / f"{name.replace(' ', '_')}_{options.bits}_{simd}_{target}"
                cells.append(" | ".join(map(str, synthesized(convert(array.create(), roms=()), target, folder))))
            print(f"| {name}, {simd} codes a word | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
