"""Images: text that `$readmemh` reads, and a map from which anyone can rebuild the network."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from signfold.hw.rom import RomParameters
from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_network, random_plan
from signfold.sw.errors import ImageError
from signfold.sw.images import IMAGE_MAP, describe, read_images, rebuild
from signfold.sw.lower import lower
from signfold.sw.memfile import crc32, format_mem, parse_mem
from signfold.sw.network import Conv, Dense, InputType, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan

FIELDS = (
    r"\b(lanes|field_bits|words|cols|group|hop|simd|taps|planes|levels|space|beats|lane|stage|factor|step|origin"
    r"|reference_class|row_classes|column_classes|scale_bits|offset_bits)\b"
)


def written(tmp_path, seed, make=random_network):
    """Write the images of a random network; return it with its map as it is read back."""
    rng = np.random.default_rng(seed)
    network = make(rng)
    config = lower(network, random_plan(rng, network))
    for rom in (*config.roms, *config.loads):
        (tmp_path / f"{rom.name}.mem").write_text(format_mem(rom))
    (tmp_path / IMAGE_MAP).write_text(json.dumps(describe(network, config)))
    return network, json.loads((tmp_path / IMAGE_MAP).read_text())


@pytest.mark.parametrize("seed", range(40))
def test_images_and_map_rebuild_the_network(tmp_path, seed):
    """Weights, thresholds, scales: the rebuilt network has the same content hash."""
    print(f"seed {seed}")
    network, image_map = written(tmp_path, seed)
    assert rebuild(image_map, read_images(image_map, tmp_path)).content_hash == network.content_hash


@pytest.mark.parametrize("start", [0, 60, 120])
def test_images_and_map_rebuild_networks_on_images(start):
    """Planes in time and space, ternary weights, borders, pools, inverted channels: the same content hash."""
    kinds, rounded = set(), 0
    for seed in range(start, start + 60):
        print(f"seed {seed}")
        rng = np.random.default_rng(seed)
        network = random_conv_network(rng)
        config = lower(network, random_plan(rng, network))
        image_map = json.loads(json.dumps(describe(network, config)))
        rebuilt = rebuild(image_map, {rom.name: rom.words for rom in (*config.roms, *config.loads)})
        assert rebuilt.content_hash == network.content_hash
        assert rebuilt.content_hash == image_map["content_hash"]
        kinds |= {entry["kind"] for entry in image_map["images"]}
        rounded += sum(len(node.get("rounded", ())) for node in image_map["nodes"])
    assert kinds == set(image_map["meaning"]) and rounded


def test_changed_images_of_a_convolution_give_another_network(tmp_path):
    """Each bit of the weights and of the thresholds of whole windows is a bit of the network."""
    weights = np.zeros((3, 2, 2, 2), np.uint8)
    nodes = (
        Conv("conv", "input", weights, padding=(1, 0, 1, 0), levels=4),
        Threshold("codes", "conv", np.array([[-9, 3, 12]] * 3)),
        Dense("scores", "codes", np.ones((2, 27), np.uint8)),
    )
    network = Network(InputType((2, 3, 3), 1), nodes, "scores")
    config = lower(network, Plan((LayerPlan(2, 2, 2), LayerPlan(1, 3)), 1))
    image_map, images = describe(network, config), {rom.name: rom.words for rom in (*config.roms, *config.loads)}
    changed = rebuild(image_map, {**images, "l0_w0": (images["l0_w0"][0] | 0b0100, *images["l0_w0"][1:])})
    expected = weights.copy()
    expected[1, 0, 0, 0] = 1  # column 1 holds channel 1
    assert (changed.nodes[0].weights == expected).all()
    entry = next(entry for entry in image_map["images"] if entry["kind"] == "thresholds")
    place = entry["reference_class"] * entry["beats"]
    words = list(images["l0_t"])
    words[place] -= 1
    changed = rebuild(image_map, {**images, "l0_t": tuple(words)})
    # Sums of whole windows are even, so that 3 is stored as what stands for 4; what was changed is not rounded.
    assert changed.nodes[1].thresholds[0].tolist() == [-9, 2, 12]
    assert changed.nodes[1].thresholds[1].tolist() == [-9, 3, 12]


def test_one_threshold_for_all_channels_is_written_out(tmp_path):
    network, _ = written(tmp_path, 3)
    nodes = list(network.nodes)
    index = next(k for k, node in enumerate(nodes) if k and isinstance(node, Threshold))
    nodes[index] = replace(nodes[index], thresholds=nodes[index].thresholds[:1])
    shared = Network(network.input, tuple(nodes), network.output)
    config = lower(shared, random_plan(np.random.default_rng(0), shared, hardwired=0))
    image_map = describe(shared, config)
    rebuilt = rebuild(image_map, {rom.name: rom.words for rom in (*config.roms, *config.loads)})
    entry = next(entry for entry in image_map["images"] if entry["kind"] == "thresholds")
    assert entry["channels"] == network.types[network.nodes[index].name].elements > 1
    assert rebuilt.content_hash == shared.content_hash


def test_map_says_what_every_field_means(tmp_path):
    for seed in range(40):
        _, image_map = written(tmp_path, seed, random_network if seed < 10 else random_conv_network)
        for entry in image_map["images"]:
            meaning = image_map["meaning"][entry["kind"]]
            named = set(re.findall(FIELDS, meaning))
            assert named and named <= set(entry)


def test_crc_of_a_known_string():
    assert crc32([int.from_bytes(b"123456789", "little")], 72) == "cbf43926"


def test_every_flipped_bit_is_noticed(tmp_path):
    network, image_map = written(tmp_path, 5)
    entry = image_map["images"][0]
    path = tmp_path / entry["file"]
    words = parse_mem(path.read_text(), name="", width=entry["width"], depth=entry["depth"])
    for bit in range(entry["width"]):
        flipped = (words[0] ^ 1 << bit, *words[1:])
        path.write_text(format_mem(RomParameters(entry["rom"], entry["width"], flipped)))
        with pytest.raises(ImageError, match=rf"^image {entry['file']}: CRC-32 is [0-9a-f]{{8}}, but the map says"):
            read_images(image_map, tmp_path)
        assert read_images(image_map, tmp_path, verify=False)[entry["rom"]] == flipped


def test_readmemh_forms_are_read():
    text = "// all of this\n@1 0f /* two\nlines */ a_5\n@0\n1\n"
    assert parse_mem(text, name="x.mem", width=8, depth=3) == (0x01, 0x0F, 0xA5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n2\n", "^x.mem: must hold 3 words, not 2$"),
        ("1\n2\n3\n4\n", "^x.mem, line 4: address 3 is past the end$"),
        ("1\n@0 2\n3\n", "^x.mem, line 2: address 0 is given twice$"),
        ("1\n100\n3\n", "^x.mem, line 2: word '100' does not fit 8 bits$"),
        ("1\n0x2\n3\n", "^x.mem, line 2: '0x2' is not a hexadecimal word$"),
        ("1\nxx\n3\n", "^x.mem, line 2: 'xx' is not a hexadecimal word$"),
        ("1 /* no end", r"^x.mem, line 1: '/\*' is not a hexadecimal word$"),
        ("-1\n", "^x.mem, line 1: '-1' is not a hexadecimal word$"),
        ("@\n", "^x.mem, line 1: '@' is not a hexadecimal word$"),
    ],
)
def test_broken_files_are_refused(text, message):
    with pytest.raises(ImageError, match=message):
        parse_mem(text, name="x.mem", width=8, depth=3)


def test_absent_and_binary_files_are_refused(tmp_path):
    _, image_map = written(tmp_path, 5)
    path = tmp_path / image_map["images"][0]["file"]
    path.write_bytes(b"\xff\n")
    with pytest.raises(ImageError, match=f"^image {path.name}, line 1: must be plain ASCII text$"):
        read_images(image_map, tmp_path)
    path.unlink()
    with pytest.raises(ImageError, match=f"^image {path.name}: No such file or directory$"):
        read_images(image_map, tmp_path)


def test_maps_cannot_reach_outside_their_folder(tmp_path):
    _, image_map = written(tmp_path, 5)
    for name in ("../x", "/etc/passwd", "", "a/b", "x" * 80):
        image_map["images"][0]["rom"] = name
        with pytest.raises(ImageError, match="^images.json: ROM name .* must be an identifier$"):
            read_images(image_map, tmp_path)


@pytest.mark.parametrize("field", ["cols", "hop", "simd", "words", "passes", "taps", "inputs", "channels"])
def test_maps_that_contradict_themselves_are_refused(tmp_path, field):
    """No map makes `rebuild` do anything but give a network of that shape or refuse."""
    _, image_map = written(tmp_path, 5)
    images = read_images(image_map, tmp_path)
    entry = next(entry for entry in image_map["images"] if entry["kind"] == "weights")
    del entry[field]
    with pytest.raises(ImageError, match="^images.json: contradicts itself: KeyError"):
        rebuild(image_map, images)
