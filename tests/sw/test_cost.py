import json
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from signfold.hw.fabric import find_fabric
from signfold.hw.hosted import HostedAcceleratorParameters
from signfold.hw.multiplier_cell import MultiplierCellParameters
from signfold.hw.planes import PlaneParameters
from signfold.hw.rom import RomParameters
from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_network, random_plan
from signfold.sw import zoo
from signfold.sw.cost import FABRICS, cost_model, predict, predict_stages
from signfold.sw.cost.contents import Fields, fields
from signfold.sw.cost.memory import ram, rom, rom_width
from signfold.sw.cost.multiplier import blocks, multiplier_part
from signfold.sw.cost.tables import expected_tables, rom_tables, table_columns
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
        ("ice40", 13, 6, "logic", 0, 91),
        ("ice40", 8, 10, "block", 1, 22),
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
    assert rom_width(4, words) == 2 and rom_width(2, [3, 3]) == 0
    columns = table_columns(4, tuple(words))
    assert columns.columns == (0b000, 0b101, 0b010, 0b111) and columns.different == {0b101, 0b010}


def test_functions_of_an_address_take_the_luts_that_yosys_makes():
    # Of two address bits only their difference needs one: a bit itself is there, products set or reset the flip-flop.
    assert rom_tables("ecp5", {0b1010, 0b1100}, 4) == (0, 0)
    assert rom_tables("ecp5", {0b1000, 0b1110}, 4) == (0, 0)
    assert rom_tables("ecp5", {0b0110, 0b1001}, 4) == (2, 0)
    # A LUT a column of 16 words, one that is repeated above once; two and what chooses between them for 32.
    random = np.random.default_rng(1)
    columns = {int(value) | 0x8001 for value in random.integers(1, 1 << 15, 20)}
    assert rom_tables("ice40", columns, 16) == (len(columns), 0)
    assert rom_tables("ice40", {column | column << 16 for column in columns}, 32) == (len(columns), 0)
    assert rom_tables("ice40", {0x12345678}, 32) == (2, 1) and rom_tables("xilinx", {0x12345678}, 32) == (1, 0)
    luts, chosen, different = expected_tables("ecp5", 200, 16)
    assert 190 < different <= 200 and different - 10 < luts <= different and chosen == 0


def test_fields_of_tables():
    # Fields of 4 bits: always 4; 1 or 3; always 0.
    rom = RomParameters("t", 12, (0x014, 0x034, 0x014))
    assert fields(rom, 4) == Fields((4, 0), ((0, 2),))
    assert fields(rom, 4).compared(6, "ice40") == {"gates": 1, "fixed": 0, "compared": 6, "chains": 1}
    assert Fields((1 << 6, 0, 32, 5), ()).compared(6, "ecp5") == {"gates": 0, "fixed": 6, "compared": 0, "chains": 1}
    assert fields(rom, 4).added(6) == {"fixed": 4, "sum": 6, "chains": 2}
    assert Fields((1, 0, 1), ((0, 1),)).flipped() == {"inverted": 2, "bits": 1}


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


@pytest.mark.parametrize(
    ("fabric", "bits", "weight_bits", "simd", "words", "luts", "ffs", "dsps"),
    [
        ("xilinx", 8, 8, 1, 9, 0, 0, 1),
        ("xilinx", 8, 8, 4, 9, 49, 23, 4),
        ("xilinx", 8, 8, 8, 9, 129, 24, 8),
        ("xilinx", 2, 2, 4, 9, 71, 30, 0),
        ("xilinx", 8, 16, 4, 3, 62, 29, 4),
        ("ecp5", 8, 8, 1, 9, 45, 38, 1),
        ("ecp5", 8, 8, 4, 9, 163, 91, 4),
        ("ecp5", 4, 4, 4, 9, 99, 50, 4),
        ("ecp5", 8, 8, 16, 100, 678, 300, 16),
        ("ecp5", 8, 16, 4, 3, 205, 129, 4),
        ("ice40", 8, 8, 1, 9, 221, 38, 0),
        ("ice40", 8, 8, 4, 9, 860, 91, 0),
        ("ice40", 4, 4, 4, 9, 260, 50, 0),
        ("ice40", 8, 16, 4, 3, 1563, 129, 0),
    ],
)
def test_cells_that_multiply_take_about_what_synthesis_said(fabric, bits, weight_bits, simd, words, luts, ffs, dsps):
    """Cells alone, of one register; counted by Yosys 0.70 as in `benchmarks/counting.py`."""
    planes = PlaneParameters(bits, 1 << weight_bits, True, True)
    part = multiplier_part(MultiplierCellParameters(simd, words, 1, planes, find_fabric(fabric)))
    assert (part.dsps, blocks(planes, find_fabric(fabric)) * simd) == (dsps, dsps)
    assert part.ffs == ffs and abs(part.luts - luts) <= max(20, 0.12 * luts)


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
