"""The designs that the benchmarks measure are what their tables say."""

import random
import re

import operating_points
import placing
import plain_bank
import pytest
import tile

from signfold.hw.verilog import convert
from signfold.sw.lower import lower
from signfold.sw.plan import Plan

POINTS = [pytest.param(p, id=p.name, marks=[pytest.mark.sweep] * (p.name == "cnv")) for p in operating_points.POINTS]


@pytest.mark.parametrize("point", POINTS)
def test_plans_reach_the_published_cycles(point):
    network = operating_points.load(point.network)
    plan = Plan.load(operating_points.PLANS / f"{point.name}.toml")
    config = lower(network, plan)
    use = operating_points.products(network) / config.interval / operating_points.array_bits(network, plan)
    assert config.interval <= point.cycles
    assert (point.use or 0.9) <= use <= 1


def test_products_of_known_networks():
    assert operating_points.products(operating_points.load("lfc")) == 784 * 1024 + 2 * 1024 * 1024 + 10 * 1024
    # Eight planes in the first layer: 27 products for each of 900 positions and 64 channels.
    cnv = operating_points.products(operating_points.load("cnv"))
    assert cnv - 8 * 27 * 900 * 64 == (
        784 * 64 * 576 + 144 * 128 * 576 + 100 * 128 * 1152 + 9 * 256 * 1152 + 256 * 2304 + 256 * 512 + 512 * 522
    )


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 9, 64])
def test_the_plain_banks_tree_counts(bits):
    source = random.Random(bits)
    for _ in range(20):
        x = [source.randint(0, 1) for _ in range(bits)]
        names: dict[str, object] = {"x": x}
        for line in plain_bank.full_adder_tree(bits):
            if match := re.fullmatch(r"  wire \[\d+:0\] count = \{(.*)\};", line):
                values = [_value(name, names) for name in match[1].split(", ")]
                count = sum(value << k for k, value in enumerate(reversed(values)))
                continue
            for name, terms in re.findall(r"(\w+) = ([^,;]+)", line):
                names[name] = _value(terms, names)
        assert count == sum(x)


def _value(terms, names):
    """Value of an expression of ^, &, | and brackets: Python's own, for single bits."""
    tokens = re.sub(r"x\[(\d+)\]|\b([sc]\d+)\b", lambda m: str(names["x"][int(m[1])] if m[1] else names[m[2]]), terms)
    stack = tokens
    while not re.fullmatch(r"[01]", stack):
        for pattern, result in (
            (r"\(([01])\)", lambda m: m[1]),
            (r"([01]) & ([01])", lambda m: str(int(m[1]) & int(m[2]))),
            (r"([01]) \^ ([01])", lambda m: str(int(m[1]) ^ int(m[2]))),
            (r"([01]) \| ([01])", lambda m: str(int(m[1]) | int(m[2]))),
        ):
            stack, count = re.subn(pattern, result, stack, count=1)
            if count:
                break
        else:
            raise AssertionError(f"cannot evaluate {stack!r}")
    return int(stack)


def test_a_tile_without_memories_has_a_register_for_each():
    engine = tile.tile("ecp5", cols=4, simd=8, fan_in=32, channels=64, stages=1)
    text = convert(engine.create(), roms=engine.roms)
    without = tile.without_memories(text, engine.roms)
    assert "readmemh" in text and "readmemh" not in without
    assert re.findall(r"^module \w+", text, re.M) == re.findall(r"^module \w+", without, re.M)
    for rom in engine.roms:
        assert f"  reg [{rom.width - 1}:0] held;" in without


def test_what_is_placed_stands_between_registers():
    engine = tile.tile("ecp5", cols=4, simd=8, fan_in=32, channels=64, stages=1)
    text = placing.between_registers(convert(engine.create(), roms=engine.roms), "accelerator")
    wrapper = text[text.index("module between(") :]
    shifted = ("i__payload", "i__valid", "o__ready")
    assert re.findall(r"\binput (\w+)", wrapper) == ["clk", *shifted]
    for name in shifted:
        assert f"held_{name} <= {{held_{name}, {name}}};" in wrapper
    for name in ("i__ready", "o__payload", "o__valid"):
        assert f"    {name} <= held_{name};" in wrapper
    assert ".rst(1'b0)" in wrapper and "reg [8:0] held_i__payload;" in wrapper


def test_what_is_placed_has_plain_port_names():
    with pytest.raises(ValueError, match="keyword"):
        placing.between_registers("module top(clk, \\bit );\n  input clk;\n  input \\bit ;\nendmodule\n", "top")
