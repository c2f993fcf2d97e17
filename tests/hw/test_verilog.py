# amaranth: UnusedElaboratable=no
"""Verilog: same bytes every time, lint-clean, exactly the expected ROMs, each replaceable by its file."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.canonical import canonical
from signfold.hw.engine import EngineParameters
from signfold.hw.rom import RomParameters
from signfold.hw.stream import QueueParameters
from signfold.hw.verilog import LINT_WAIVERS, convert

WORDS = tuple(0x123456789ABCDEF * n % (1 << 70) for n in range(5))


class Stage(wiring.Component):
    """Adds a table's word to what passes through."""

    def __init__(self, rom):
        self.rom = rom
        super().__init__({"i": In(stream.Signature(70)), "o": Out(stream.Signature(70))})

    def elaborate(self, platform):
        m = Module()
        m.submodules[self.rom.name] = table = self.rom.create()
        held = Signal(70)
        m.d.sync += held.eq(self.i.payload)
        m.d.comb += [
            table.address.eq(self.i.payload),
            self.o.payload.eq(held + table.data),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready),
        ]
        return m


class Chain(wiring.Component):
    """Stages one after another; their tables may be equal."""

    i: In(stream.Signature(70))
    o: Out(stream.Signature(70))

    def __init__(self, roms):
        self.roms = roms
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        upstream = wiring.flipped(self.i)
        for k, rom in enumerate(self.roms):
            m.submodules[f"stage_{k}"] = stage = Stage(rom)
            wiring.connect(m, upstream, stage.i)
            upstream = stage.o
        wiring.connect(m, upstream, wiring.flipped(self.o))
        return m


ROMS = (RomParameters("l0_w0", 70, WORDS), RomParameters("l1_w0", 70, WORDS), RomParameters("l2_w0", 70, (7,)))


def engine(**changes):
    rng = np.random.default_rng(4)
    parameters = EngineParameters(
        "l0", rng.integers(0, 2, (10, 50)), 2 * rng.integers(0, 52, (10, 1)) - 50, cols=8, simd=16, hop=2
    )
    return replace(parameters, **changes)


def test_equal_roms_stay_apart_and_have_their_files():
    text = convert(Chain(ROMS), roms=ROMS)
    for rom in ROMS:
        assert text.count(f'"{rom.name}.mem"') == 1
    assert text.count("$readmemh") == text.count("`else") == 3


def test_equal_cells_become_one_module():
    text = convert(engine().create(), roms=engine().roms)
    # Of the four groups of two columns, the one on the left and the one on the right differ from those between.
    assert re.findall(r"^module (accelerator__(?:cell|column)_\d+)\(", text, re.M) == [
        "accelerator__cell_0",
        *(f"accelerator__column_{k}" for k in range(3)),
    ]
    assert len(re.findall(r"^  accelerator__column_1 column_", text, re.M)) == 2
    assert len(re.findall(r"^  accelerator__cell_0 cell_", text, re.M)) == 3 * 2


def test_module_names_need_no_escape():
    text = convert(engine().create(), roms=engine().roms)
    modules = re.findall(r"^module (.*)\(", text, re.M)
    assert modules and all(re.fullmatch(r"[a-z]\w*", module) for module in modules)


def test_a_change_in_one_layer_leaves_other_modules_alone():
    """Ports are ordered and numbered within their module, so a diff shows what changed and no more."""

    def modules(roms):
        return dict(re.findall(r"^module (\w+)(.*?)^endmodule", convert(Chain(roms), roms=roms), re.M | re.S))

    before, after = modules(ROMS[:2]), modules((*ROMS[:2], RomParameters("l9_w0", 70, (1, 2, 3))))
    assert {name for name in before if before[name] != after[name]} == {"accelerator"}


def test_header_lines_are_checked():
    assert "// 3 engines\n" in convert(Chain(ROMS), roms=ROMS, header=["3 engines"])
    for line in ("a\nb", "sch\u00f6n", "ends in \\"):
        with pytest.raises(ValueError, match="^Header line must be printable ASCII"):
            convert(Chain(ROMS), roms=ROMS, header=[line])


@pytest.mark.parametrize(
    ("roms", "message"),
    [
        ((*ROMS, RomParameters("l3_w0", 8, (1,))), "^ROM 'l3_w0' must occur in the design, but does not$"),
        ((ROMS[0], ROMS[0]), "^ROM names must differ, but 'l0_w0' occurs twice$"),
        ((replace(ROMS[0], words=(*WORDS[:4], 5)),), "^ROM 'l0_w0' must hold the words of its parameters"),
        ((replace(ROMS[0], words=WORDS[:4]),), r"^ROM 'l0_w0' must be 4 x 70 bits, but is 5 x 70$"),
        ((replace(ROMS[0], width=71),), r"^ROM 'l0_w0' must be 5 x 71 bits, but is 5 x 70$"),
    ],
)
def test_unexpected_roms_are_refused(roms, message):
    with pytest.raises(ValueError, match=message):
        convert(Chain(ROMS), roms=roms)


@pytest.mark.parametrize("width", [1, 8, 31, 32, 33, 64])
def test_every_word_width_is_understood(width):
    roms = (RomParameters("l0_w0", width, tuple(n * 0x9E3779B97F4A7C15 % (1 << width) for n in range(9))),)
    assert "l0_w0.mem" in convert(Chain(roms), roms=roms)


def test_no_path_no_date_no_tool():
    text = convert(engine().create(), roms=engine().roms)
    assert not re.search(r"/(home|tmp|usr|work)\b|\.py\b|20[0-9]{2}-|Yosys|\.cc:", text)


SCRIPT = """
import sys; sys.path.insert(0, {folder!r})
from test_verilog import Chain, ROMS, convert, engine
sys.stdout.write(convert(engine().create(), roms=engine().roms) + convert(Chain(ROMS), roms=ROMS))
"""


def test_same_bytes_in_other_folders_and_hash_seeds(tmp_path):
    texts = set()
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SCRIPT.format(folder=os.path.dirname(__file__))]
        texts.add(subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True).stdout)
    assert texts == {(convert(engine().create(), roms=engine().roms) + convert(Chain(ROMS), roms=ROMS)).encode()}


def test_names_that_collide_without_dots_are_refused():
    module = "module \\{}\n  wire width 1 input 1 \\x\nend\n"
    with pytest.raises(ValueError, match="must have different names once dots are gone$"):
        canonical(module.format("a.b") + module.format("a__b").replace("\\x", "\\y"))


class Turns(wiring.Component):
    """Two queues take turns at the output: the first one's `o.ready` is not the component's."""

    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))

    def elaborate(self, platform):
        m = Module()
        turn = Signal()
        for k in range(2):
            m.submodules[f"queue_{k}"] = queue = QueueParameters(8, 3).create()
            m.d.comb += [queue.i.payload.eq(self.i.payload), queue.i.valid.eq(self.i.valid)]
            m.d.comb += queue.o.ready.eq(self.o.ready & (turn == k))
            with m.If(turn == k):
                m.d.comb += [self.o.payload.eq(queue.o.payload), self.o.valid.eq(queue.o.valid)]
        m.d.comb += self.i.ready.eq(queue.i.ready)
        m.d.sync += turn.eq(turn ^ (self.o.valid & self.o.ready))
        return m


def test_names_to_keep_are_those_of_the_ports():
    """A monitor of a stage finds its output stream, not one inside."""
    top = Module()
    dut = Chain(())
    dut.elaborate = lambda platform: top
    top.submodules.stage = stage = Turns()
    top.d.comb += [stage.i.payload.eq(dut.i.payload), stage.i.valid.eq(dut.i.valid), dut.i.ready.eq(stage.i.ready)]
    top.d.comb += [dut.o.payload.eq(stage.o.payload), dut.o.valid.eq(stage.o.valid), stage.o.ready.eq(dut.o.ready)]
    text = convert(dut, keep_wires=("o__payload", "o__valid", "o__ready"))
    ports = re.search(r"^module accelerator__stage\((.*?)\);", text, re.M)[1].split(", ")
    assert ports == ["clk", "rst", "i__payload", "i__ready", "i__valid", "o__payload", "o__ready", "o__valid"]


def test_signed_ports_are_ports():
    """A port that names a net twice stays."""
    cell = "  cell $neg $1\n    parameter \\A_SIGNED 1\n    connect \\A \\x\n    connect \\Y $2\n  end\n"
    wires = "  wire width 2 input 0 signed \\x\n  wire width 2 output 1 signed \\y\n  wire width 2 $2\n"
    text = canonical(f"module \\top\n{wires}{cell}connect \\y $2\nend\n")
    assert "connect \\y $2" in text and "output 2 signed \\y" in text


@pytest.mark.parametrize(
    ("style", "size", "attribute"),
    [("auto", 5, None), ("auto", 20, "block"), ("block", 5, "block"), ("lut", 5, "logic"), ("lut", 20, "logic")],
)
def test_rom_styles(style, size, attribute):
    rom = RomParameters("table", 70, (WORDS * 4)[:size], style)
    text = convert(Stage(rom), roms=(rom,))
    assert re.findall(r'rom_style = "(\w+)"', text) == ([] if attribute is None else [attribute])


def test_rom_style_must_be_known():
    with pytest.raises(ValueError, match=r"^ROM style must be one of 'auto', 'block', 'lut', not 'spram'$"):
        RomParameters("table", 8, (1,), "spram")


def test_waivers_are_few_and_have_reasons():
    assert len(LINT_WAIVERS) <= 9 and all(LINT_WAIVERS.values())


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
@pytest.mark.parametrize("file", [False, True])
def test_rom_contents_from_text_and_from_file(tmp_path, file):
    """The same source gives the words in the text, or with the macro those of the file."""
    rom = RomParameters("l0_w0", 70, WORDS)
    (tmp_path / "design.v").write_text(convert(Chain((rom,)), roms=(rom,)))
    (tmp_path / "images").mkdir()
    (tmp_path / "images/l0_w0.mem").write_text("".join(f"{word ^ 1:x}\n" for word in WORDS))
    (tmp_path / "bench.v").write_text(
        """module bench; reg clk = 0; reg [69:0] a = 0; wire [69:0] d; integer n;
        accelerator dut(.clk(clk), .rst(1'b0), .i__payload(a), .i__valid(1'b1), .o__payload(d), .o__ready(1'b1));
        initial begin for (n = 0; n < 5; n = n + 1) begin
          a = n; #1 clk = 1; #1 clk = 0; $display("%h", d - a);
        end $finish; end endmodule"""
    )
    defines = ["-DSIGNFOLD_MEM", '-DSIGNFOLD_MEM_DIR="images/"'] if file else []
    subprocess.run(["iverilog", "-o", "bench.vvp", *defines, "design.v", "bench.v"], cwd=tmp_path, check=True)
    output = subprocess.run(["vvp", "bench.vvp"], cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert [int(line, 16) for line in output.split()] == [word ^ file for word in WORDS]
