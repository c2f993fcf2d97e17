import json
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from signfold.hw.hosted import HostedAcceleratorParameters
from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_network, random_plan
from signfold.sw import zoo
from signfold.sw.cost import FABRICS, cost_model, predict, predict_stages
from signfold.sw.cost.memory import ram, rom, rom_columns, rom_width
from signfold.sw.default_plan import default_plan
from signfold.sw.lower import lower


@pytest.mark.parametrize(
    ("fabric", "width", "depth", "kind", "brams", "ffs"),
    [
        # As Yosys 0.70 maps them: `benchmarks/cost_model.py collect` measures such memories by the hundred.
        ("ecp5", 1, 2, "logic", 0, 3),
        ("ecp5", 8, 16, "distributed", 0, 8),
        ("ecp5", 8, 130, "distributed", 0, 8),
        ("ecp5", 8, 256, "block", 1, 26),
        ("ecp5", 16, 520, "block", 1, 44),
        ("ice40", 3, 16, "logic", 0, 51),
        ("ice40", 16, 5, "block", 1, 37),
        ("ice40", 8, 64, "block", 1, 24),
        ("ice40", 8, 1024, "block", 2, 28),
        ("ice40", 16, 520, "block", 3, 46),
        ("xilinx", 16, 33, "distributed", 0, 16),
        ("xilinx", 16, 130, "block", 1, 0),
        ("xilinx", 3, 1024, "block", 1, 0),
    ],
)
def test_memories_are_mapped_as_yosys_maps_them(fabric, width, depth, kind, brams, ffs):
    memory = ram(fabric, width, depth)
    assert (memory.kind, memory.brams, memory.ffs) == (kind, brams, ffs)


def test_tables():
    assert rom("ice40", 16, 256, True).brams == 1 and rom("ice40", 17, 256, True).brams == 2
    assert rom("ecp5", 36, 512, True).brams == 1 and rom("xilinx", 72, 512, True).brams == 2
    assert rom("ecp5", 8, 16, False).kind == "logic" and rom("ecp5", 8, 16, False).ffs == 8
    # Columns 0, 1, 0 and 1 inverted: one of them is kept, constant ones are not.
    words = [0b1010, 0b1100, 0b1010]
    assert rom_columns(4, words) == 2 and rom_width(4, words) == 2
    assert rom_columns(2, [3, 3]) == rom_width(2, [3, 3]) == 0


@pytest.mark.parametrize("fabric", FABRICS)
@pytest.mark.parametrize("seed", range(6))
def test_every_stage_has_a_cost(seed, fabric):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    network = random_network(rng) if seed % 2 else random_conv_network(rng)
    plan = random_plan(rng, network, hardwired=0, shared=0)
    config = lower(network, replace(plan, fabric=fabric))
    stages = predict_stages(config, fabric)
    assert [name for name, _ in stages] == [name for name, _ in config.stages]
    whole = predict(config, fabric)
    for resource in ("luts", "ffs", "brams", "dsps", "cells"):
        assert getattr(whole, resource) == pytest.approx(sum(getattr(cost, resource) for _, cost in stages))
    assert whole.luts > 50 and whole.ffs > 50 and whole.cells >= whole.luts


def test_the_host_link_has_a_cost():
    network = zoo.load("digits")
    config = lower(network, default_plan(network, fabric="ice40"))
    link = HostedAcceleratorParameters(config, bytes(16), 12).link
    assert predict(link, "ice40").luts > 0 and predict(link, "ice40").brams >= 1


def test_what_has_no_model_is_refused():
    with pytest.raises(TypeError, match=r"^there is no cost model of int$"):
        predict(3, "ecp5")
    with pytest.raises(ValueError, match=r"^fabric must be one of ecp5, ice40, xilinx, not 'gowin'$"):
        cost_model("gowin")


def test_coefficients_are_of_the_format_that_the_fit_writes():
    content = json.loads(files("signfold.sw.cost").joinpath("coefficients.json").read_text())
    assert (content["format"], content["version"]) == ("signfold-cost", 1)
    for fabric in FABRICS:
        own = content["fabrics"][fabric]
        assert all(
            value >= 0 for table in (own["luts"], own["ffs"]) for kind in table.values() for value in kind.values()
        )
        assert {"cell", "array", "window", "replay", "threshold", "queue", "link"} <= own["luts"].keys()
