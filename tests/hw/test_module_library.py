# amaranth: UnusedElaboratable=no
"""Shared modules: the text is the one that comes of elaborating every instance, and grows no faster than the design."""

import re
import time
from dataclasses import dataclass

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.array import ArrayParameters
from signfold.hw.canonical import canonical
from signfold.hw.fabric import FABRICS
from signfold.hw.module_library import ModuleLibrary, shared
from signfold.hw.verilog import convert


@dataclass(frozen=True)
class Width:
    """Parameters of what follows."""

    width: int
    calls: list = None

    def __hash__(self):
        return hash(self.width)


class Inner(wiring.Component):
    """Combinational: has neither clock nor reset."""

    def __init__(self, parameters):
        self.parameters = parameters
        super().__init__({"x": In(parameters.width), "y": Out(parameters.width)})

    @shared
    def elaborate(self, platform):
        self.parameters.calls.append(("inner", self.parameters.width))
        m = Module()
        m.d.comb += self.y.eq(self.x + (self.x >> 1))
        return m


class Outer(wiring.Component):
    """Two of the inner ones and a register."""

    def __init__(self, parameters):
        self.parameters = parameters
        super().__init__({"x": In(parameters.width), "y": Out(parameters.width), "unused": Out(1)})

    @shared
    def elaborate(self, platform):
        self.parameters.calls.append(("outer", self.parameters.width))
        m = Module()
        value = self.x
        for k in range(2):
            m.submodules[f"inner_{k}"] = inner = Inner(self.parameters)
            m.d.comb += inner.x.eq(value)
            value = inner.y
        held = Signal(self.parameters.width)
        m.d.sync += held.eq(value)
        m.d.comb += [self.y.eq(held), self.unused.eq(held.any())]
        return m


class Chain(wiring.Component):
    """Outer ones of alternating widths, each fed by the one before, the last by a constant too."""

    def __init__(self, count, calls):
        self.count, self.calls = count, calls
        super().__init__({"x": In(8), "y": Out(8)})

    def elaborate(self, platform):
        m = Module()
        value = self.x
        for k in range(self.count):
            m.submodules[f"outer_{k}"] = outer = Outer(Width(8 - k % 2, self.calls))
            m.d.comb += outer.x.eq(value)
            value = outer.y
        m.submodules.constant = constant = Outer(Width(8, self.calls))
        m.d.comb += [constant.x.eq(5), self.y.eq(value ^ constant.y)]
        return m


def test_sharing_gives_the_text_of_separate_instances():
    calls = []
    text = ModuleLibrary("top").convert(Chain(9, calls))
    assert sorted(calls) == [("inner", 7), ("inner", 8), ("outer", 7), ("outer", 8)]
    separate = []
    slow = ModuleLibrary("top", reuse=False).convert(Chain(9, separate))
    assert len(separate) == 10 * 3
    assert canonical(text) == canonical(slow)


def test_every_distinct_component_is_one_module():
    text = convert(Chain(9, []), name="top")
    assert sorted(re.findall(r"^module (\w+)", text, re.M)) == [
        "top", "top__inner_0", "top__inner_1", "top__outer_0", "top__outer_1"
    ]  # fmt: skip
    assert text.count("  top__outer_0 ") == 6 and text.count("  top__outer_1 ") == 4


def test_one_alone_is_the_plain_conversion():
    """Sharing changes neither ports nor contents: a module is what Amaranth makes of the component by itself."""
    module = canonical(rtlil.convert(Inner(Width(8, [])), name="top__inner_0", emit_src=False))
    (body,) = re.findall(r"^module \S+$(.*?)^end$", module, re.M | re.S)
    assert body in canonical(ModuleLibrary("top").convert(Chain(2, [])))


def test_each_instance_adds_a_few_lines():
    sizes = [len(convert(Chain(count, []), name="top")) for count in (10, 20, 30)]
    assert abs((sizes[2] - sizes[1]) - (sizes[1] - sizes[0])) < 50
    assert sizes[2] - sizes[1] < 10 * 300


def test_simulators_see_plain_components():
    calls = []
    text = rtlil.convert(Chain(3, calls), name="top")
    assert len(calls) == 4 * 3 and "module \\top.outer_1.inner_0\n" in text


@pytest.mark.parametrize("fabric", FABRICS)
def test_arrays_are_what_their_cells_make_them(fabric):
    """What ships is what the simulator elaborates: every cell of the array, one by one."""
    array = ArrayParameters(2, 6, 9, words=6, hop=2, fabric=FABRICS[fabric])
    shared_text = canonical(ModuleLibrary("array").convert(array.create()))
    assert shared_text == canonical(ModuleLibrary("array", reuse=False).convert(array.create()))
    # All column groups of a place in the grid are one module, and so are all cells.
    assert len(re.findall(r"^module \\array__cell_\d+$", shared_text, re.M)) == 1
    assert len(re.findall(r"^  cell \\array__column_\d+ ", shared_text, re.M)) == 6


@pytest.mark.parametrize("fabric", ["plain", "xilinx", "ecp5"])
def test_sixteen_thousand_bits_in_seconds_and_few_bytes(fabric):
    array = ArrayParameters(1, 256, 64, words=256, fabric=FABRICS[fabric])
    began = time.process_time()
    text = convert(array.create())
    assert time.process_time() - began < 10
    assert len(text) < 300_000


@pytest.mark.sweep
def test_a_hundred_thousand_bits_in_a_minute():
    array = ArrayParameters(8, 256, 64, words=256, fabric=FABRICS["xilinx"])
    began = time.monotonic()
    convert(array.create())
    assert time.monotonic() - began < 60
