"""Every format of memory images: written and read back, by itself and by folder; what is broken is refused by line."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from signfold.hw.rom import RomParameters
from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_network, random_plan
from signfold.sw.cli.app import app
from signfold.sw.errors import ImageError
from signfold.sw.image_files import is_image_folder, read_image_folder, write_image_folder
from signfold.sw.image_formats import FORMATS, find_format
from signfold.sw.image_page import PAGE, image_page
from signfold.sw.images import IMAGE_MAP, describe, read_images, rebuild
from signfold.sw.lower import lower
from signfold.sw.network import Dense, InputType, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan

NAMES = tuple(FORMATS)


def roms():
    """ROMs of any width and depth."""
    sizes = st.tuples(st.integers(1, 150), st.integers(1, 40))
    return sizes.flatmap(
        lambda size: st.lists(st.integers(0, (1 << size[0]) - 1), min_size=size[1], max_size=size[1]).map(
            lambda words: RomParameters("l0_w0", size[0], tuple(words))
        )
    )


@settings(max_examples=60, deadline=None)
@given(roms(), st.sampled_from(NAMES))
def test_what_is_written_is_read(rom, name):
    one = FORMATS[name]
    data = one.encode(rom)
    assert one.decode(data, name="x", width=rom.width, depth=rom.depth) == rom.words
    # No other size is taken for it.
    with pytest.raises(ImageError, match="^x"):
        one.decode(data, name="x", width=rom.width, depth=rom.depth + 1)
    # Tools of Windows end lines with two characters.
    if not one.binary:
        assert one.decode(data.replace(b"\n", b"\r\n"), name="x", width=rom.width, depth=rom.depth) == rom.words


@settings(max_examples=150, deadline=None)
@given(roms(), st.sampled_from(NAMES), st.data())
def test_mutated_files_are_read_or_refused(rom, name, data):
    """Whatever a byte becomes, the answer is words of the memory's size or our error that names the file."""
    content = bytearray(FORMATS[name].encode(rom))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    try:
        words = FORMATS[name].decode(bytes(content), name="x", width=rom.width, depth=rom.depth)
    except ImageError as error:
        assert str(error).startswith("x")
    else:
        assert len(words) == rom.depth and all(0 <= word < 1 << rom.width for word in words)


def test_known_files():
    """The bytes of a small memory, as they stand in the standards of the formats."""
    rom = RomParameters("t", 12, (0x123, 0xABC, 0x00F))
    text = {name: one.write(rom) for name, one in FORMATS.items()}
    assert text["mem"] == "// t: 3 words of 12 bits, address 0 first\n123\nabc\n00f\n"
    assert text["hex"] == ":060000002301BC0A0F0001\n:00000001FF\n"
    assert text["mif"] == (
        "-- t: 3 words of 12 bits\nWIDTH=12;\nDEPTH=3;\nADDRESS_RADIX=HEX;\nDATA_RADIX=HEX;\nCONTENT BEGIN\n"
        "  0 : 123;\n  1 : abc;\n  2 : 00f;\nEND;\n"
    )
    assert text["coe"] == (
        "; t: 3 words of 12 bits, address 0 first\nmemory_initialization_radix=16;\nmemory_initialization_vector=\n"
        "123,\nabc,\n00f;\n"
    )
    assert text["bin"] == bytes.fromhex("2301bc0a0f00")


def test_intel_hex_beyond_64_kilobytes():
    rom = RomParameters("t", 64, tuple(np.random.default_rng(1).integers(0, 1 << 63, 8200).tolist()))
    text = FORMATS["hex"].write(rom)
    assert text.count(":020000040001F9\n") == 1
    assert FORMATS["hex"].parse(text, name="x", width=64, depth=8200) == rom.words


MIF = "WIDTH=8; DEPTH=3;\nCONTENT\nBEGIN\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hex", ":0100020003FA\n\n:02000000010 2FB\n:00000001FF\n".replace(" ", "")),
        ("mif", MIF + "[0..1] : 1 2; -- two\n2:3; % the\nlast % END;"),
        ("mif", MIF.lower() + "0 : 01 02 03;\nend;\n"),
        ("mif", "DATA_RADIX=BIN; ADDRESS_RADIX=OCT;" + MIF + "2 : 11; 1:10; 0:00000001;\nEND;\n"),
        ("mif", "DATA_RADIX=UNS;\n" + MIF + "0 : 1; 1:2;2:3;END;"),
        ("coe", "memory_initialization_radix = 2;\n; words\nmemory_initialization_vector = 1 10\n11;"),
        ("coe", "MEMORY_INITIALIZATION_RADIX=10;memory_initialization_vector=1,2,\n3;\n"),
    ],
)
def test_other_forms_of_the_formats_are_read(name, text):
    assert FORMATS[name].decode(text.encode(), name="x", width=8, depth=3) == (1, 2, 3)


COE = "memory_initialization_radix=16;\nmemory_initialization_vector=\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("hex", ":03000000010203F8\n:00000001FF", "^x, line 1: checksum is F8, but the record's bytes give F7$"),
        ("hex", "03000000010203F7", "^x, line 1: '03000000010203F7' is not a colon and pairs of hexadecimal digits$"),
        ("hex", ":04000000010203F6", "^x, line 1: record of 8 bytes must have 5 more than its length byte says$"),
        ("hex", "\n:0400000001020304F2\n", "^x, line 2: byte 3 is past the end, 3 bytes$"),
        ("hex", ":03000000010203F7\n:0100010005F9\n", "^x, line 2: byte 1 is given twice$"),
        ("hex", ":03000000010203F7", "^x: must end with the record :00000001FF$"),
        ("hex", ":020000000102FB\n:00000001FF", "^x: must give 3 bytes, but byte 2 is missing$"),
        ("hex", ":00000001FF\n:00000001FF", "^x, line 2: nothing may come after the end record$"),
        ("hex", ":020000021000EC", "^x, line 1: record of type 02 with 2 bytes has no place in an image$"),
        ("mif", "WIDTH=9;", "^x, line 1: WIDTH must be 8, not '9'$"),
        ("mif", "WIDTH=8;\nDEPTH=4;", "^x, line 2: DEPTH must be 3, not '4'$"),
        ("mif", "WIDTH=8;\nWIDTH=8;", "^x, line 2: WIDTH is given twice$"),
        ("mif", "DEPTH=3;\nCONTENT BEGIN END;", "^x: WIDTH is missing$"),
        ("mif", "DATA_RADIX=OCTAL;", "^x, line 1: 'OCTAL' must be 'HEX' or 'BIN' or 'OCT' or 'UNS' or 'DEC'$"),
        ("mif", MIF + "0 : 1;\n1 : 2;\n1 : 3;\nEND;", "^x, line 6: address 1 is given twice$"),
        ("mif", MIF + "0 : 1 2 3 4;\nEND;", "^x, line 4: address 3 is past the end$"),
        ("mif", MIF + "3 : 1;\nEND;", "^x, line 4: an address '3' must be less than 0x3$"),
        ("mif", MIF + "0 : 100;\nEND;", "^x, line 4: a word '100' must be less than 0x100$"),
        ("mif", MIF + "0 : xx;\nEND;", "^x, line 4: 'xx' is not a word of radix HEX$"),
        ("mif", MIF + "[2..1] : 1;\nEND;", "^x, line 4: range from 2 to 1 must not fall$"),
        ("mif", MIF + "0 : 1;\n2 : 1;\nEND;", "^x: must give 3 words, but address 1 is missing$"),
        ("mif", MIF + "[0..2] : 1;", "^x, line 4: '' is not an address of radix HEX$"),
        ("mif", MIF + "[0..2] : 1;\nEND; 5", "^x, line 5: nothing may come after END;, not '5'$"),
        ("coe", COE + "1,\n2,\n3,\n4;", "^x, line 6: address 3 is past the end$"),
        ("coe", COE + "1,\n2;", "^x: must hold 3 words, not 2$"),
        ("coe", COE + "1,\n,2,3;", "^x, line 4: a word is missing before ','$"),
        ("coe", COE + "1,2,3,;", "^x, line 3: a word is missing before ';'$"),
        ("coe", COE + "1,2,3", "^x: memory_initialization_vector must end with ';'$"),
        ("coe", COE + "1,2,100;", "^x, line 3: word '100' does not fit 8 bits$"),
        ("coe", COE + "1,2,x;", "^x, line 3: 'x' is not a word of radix 16$"),
        (
            "coe",
            COE + "1,2,3;\n4",
            "^x, line 4: '4' is not memory_initialization_radix or memory_initialization_vector$",
        ),
        (
            "coe",
            COE.replace("16", "8") + "1,2,3;",
            "^x, line 1: memory_initialization_radix must be 2, 10 or 16, not '8'$",
        ),
        ("coe", "memory_initialization_radix 16;", "must be followed by '=', not '16'$"),
        ("coe", "memory_initialization_vector=1,2,3;", "^x: memory_initialization_radix is missing$"),
        ("bin", "12", "^x: must hold 3 bytes, 3 words of 1 bytes, not 2$"),
        ("coe", "; \xe4\n", "^x, line 1: must be plain ASCII text$"),
    ],
)
def test_broken_files_are_refused(name, text, message):
    with pytest.raises(ImageError, match=message):
        FORMATS[name].decode(text.encode(), name="x", width=8, depth=3)


def test_unused_bits_of_raw_bytes_must_be_zero():
    with pytest.raises(ImageError, match="^x, word 1: 0x20 does not fit 5 bits$"):
        FORMATS["bin"].decode(b"\x1f\x20", name="x", width=5, depth=2)


def described(seed, make):
    rng = np.random.default_rng(seed)
    network = make(rng)
    config = lower(network, random_plan(rng, network))
    return network, describe(network, config), {rom.name: rom.words for rom in (*config.roms, *config.loads)}


@pytest.mark.parametrize("make", [random_network, random_conv_network])
@pytest.mark.parametrize("seed", range(6))
def test_each_format_rebuilds_the_network(tmp_path, seed, make):
    print(f"seed {seed}")
    network, image_map, images = described(seed, make)
    out = tmp_path / "images"
    written = write_image_folder(image_map, images, out)
    assert {path.name for path in out.iterdir()} == {IMAGE_MAP, *written["files"]}
    for name in FORMATS:
        assert read_images(written, out, form=name) == images
    read, words = read_image_folder(out)
    assert read == json.loads(json.dumps(written)) and words == images
    assert rebuild(read, words).content_hash == network.content_hash
    page = (out / PAGE).read_text()
    rows = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert rows == [entry["rom"] for entry in image_map["images"]]


def test_the_page_says_where_a_weight_stands():
    """Its numbers, put into the words and bits that it names, give the network's own weights."""
    rng = np.random.default_rng(3)
    weights = rng.integers(0, 2, (10, 13)).astype(np.uint8)
    nodes = (
        Dense("a", "input", weights),
        Threshold("b", "a", 2 * rng.integers(-3, 4, (10, 1)) + 1),
        Dense("c", "b", rng.integers(0, 2, (3, 10)).astype(np.uint8)),
    )
    network = Network(InputType((13,), 1), nodes, "c")
    config = lower(network, Plan((LayerPlan(4, 3, 2), LayerPlan(1, 4))))
    page = image_page(describe(network, config), ["mem"])
    words = {rom.name: rom.words for rom in config.roms}
    line = next(line for line in page.splitlines() if line.startswith("| `l0_w1` "))
    assert line == (
        "| `l0_w1` | 0 | weights | 15 x 6 | 5*p + w, pass p < 3, w < 5 | [3*h + i]: sign of the weight of channel "
        "4*p + h + 2 for input 3*w + i; h < 2, i < 3 |"
    )
    for p in range(3):
        for w in range(5):
            for h in range(2):
                for i in range(3):
                    channel, element = 4 * p + h + 2, 3 * w + i
                    want = int(weights[channel, element]) if channel < 10 and element < 13 else 0
                    assert words["l0_w1"][5 * p + w] >> (3 * h + i) & 1 == want


def test_folders_of_others_are_left_alone(tmp_path):
    _, image_map, images = described(1, random_network)
    out = tmp_path / "images"
    write_image_folder(image_map, images, out, ["mif"])
    assert is_image_folder(out) and not is_image_folder(tmp_path)
    # One that was written before is replaced, unless somebody has put something there.
    write_image_folder(image_map, images, out, ["bin", "bin"])
    assert {path.suffix for path in out.iterdir()} == {".bin", ".json", ".md"}
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(ImageError, match="holds 'thesis.txt', which images has not written: remove it$"):
        write_image_folder(image_map, images, out)
    with pytest.raises(ImageError, match="must be a folder or not exist$"):
        write_image_folder(image_map, images, out / "thesis.txt")
    assert (out / "thesis.txt").read_text() == "mine"
    with pytest.raises(ImageError, match="^image format must be one of mem, hex, mif, coe, bin, not 'srec'$"):
        find_format("srec")
    with pytest.raises(ImageError, match="^formats must name at least one of"):
        write_image_folder(image_map, images, tmp_path / "none", [])


def test_command(tmp_path):
    """Network to folder, folder to another format; a flipped digit is told with file and line."""
    run = CliRunner().invoke
    out, other = tmp_path / "out", tmp_path / "other"
    result = run(app, ["images", "digits", "--out", str(out), "--format", "mif", "--format", "coe", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads((out / IMAGE_MAP).read_text())
    assert run(app, ["images", str(out), "--out", str(other), "--format", "hex"]).exit_code == 0
    shown = run(app, ["images", str(other)])
    assert shown.exit_code == 0 and "l0_w0" in shown.output
    path = other / "l0_t.hex"
    text = path.read_text()
    path.write_text(text.replace(text[9], "0" if text[9] != "0" else "1", 1))
    result = run(app, ["images", str(other)])
    assert isinstance(result.exception, ImageError)
    assert re.match(r"image l0_t.hex, line \d+: ", str(result.exception))
