"""Another network in a finished bitstream: exactly what building it gives, and whatever does not fit is refused."""

import hashlib
import json
import re
import subprocess
import sysconfig
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.boards.build import MANIFEST, build, find_board
from signfold.boards.patch import patch, read_bitstream
from signfold.boards.patchable import describe_tables, open_bitstream
from signfold.hw.block_rom import BLOCK_FAMILIES, BlockRomParameters
from signfold.sim.link import SimulatedLink, build_simulated_netlist
from signfold.sw.cli.app import app
from signfold.sw.errors import BuildError, ImageError, PlanError
from signfold.sw.generate import generate
from signfold.sw.hosted import generate_hosted
from signfold.sw.images import IMAGE_MAP, describe, rebuild
from signfold.sw.link import Device, compare_with_golden
from signfold.sw.lower import stream_order
from signfold.sw.network import Dense, InputType, Network, Threshold
from signfold.sw.patchable import check_patchable
from signfold.sw.plan import LayerPlan, Plan
from signfold.sw.sidecar import LOAD_FILE
from signfold.sw.structure import structure

BOARDS = {"ice40": "icebreaker", "ecp5": "ulx3s-85f"}
PLAN = Plan((LayerPlan(2, 5, 2), LayerPlan(1, 4)), fabric="ice40")
#: Block RAMs of the UP5K, and numbers of contents on the ECP5.
PLACES = {"ice40": [(x, y) for x in (6, 19) for y in range(1, 30, 2)], "ecp5": [(number,) for number in range(3, 40)]}

DESIGNS = {}


def network(seed, hidden=6, elements=9, pixels=None):
    """A network of which nothing but the integers depends on the seed."""
    rng = np.random.default_rng(seed)
    thresholds = rng.integers(1, 8, (elements, 1)) if pixels is None else np.array([[pixels]])
    nodes = (
        Threshold("pixels", "input", thresholds),
        Dense("dense0", "pixels", rng.integers(0, 2, (hidden, elements)).astype(np.uint8)),
        Threshold("sign0", "dense0", 2 * rng.integers(2, elements - 1, (hidden, 1)) - elements),
        Dense("dense1", "sign0", rng.integers(0, 2, (3, hidden)).astype(np.uint8)),
    )
    return Network(InputType((elements,), 3), nodes, "dense1")


def hosted(net, family, plan=PLAN):
    """Generate a design, each once."""
    key = net.content_hash, family, plan
    if key not in DESIGNS:
        DESIGNS[key] = generate_hosted(net, plan, 12, patchable=family)
    return DESIGNS[key]


def run_tool(name, folder, *arguments):
    subprocess.run(
        [Path(sysconfig.get_path("scripts")) / name, *arguments], cwd=folder, check=True, capture_output=True
    )


def packed(family, blocks, folder):
    """Return what the family's own packer makes of an empty FPGA with these contents of block RAMs."""
    lines = []
    if family == "ice40":
        lines.append(".device 5k")
        for (x, y), bits in blocks.items():
            lines.append(f".ram_data {x} {y}")
            lines += [np.packbits(row[::-1]).tobytes().hex() for row in bits.reshape(16, 256)]
        (folder / "top.asc").write_text("\n".join([*lines, ""]))
        run_tool("yowasp-icepack", folder, "top.asc", "top.bin")
        return (folder / "top.bin").read_bytes()
    lines += [".device LFE5U-85F", ""]
    for (number,), bits in sorted(blocks.items()):
        values = bits.reshape(-1, 9).astype(int) @ (1 << np.arange(9))
        lines.append(f".bram_init {number}")
        lines += [" ".join(f"{value:03x}" for value in row) for row in values.reshape(-1, 8)] + [""]
    (folder / "top.config").write_text("\n".join(lines))
    run_tool("yowasp-ecppack", folder, "--input", "top.config", "--bit", "top.bit")
    return (folder / "top.bit").read_bytes()


def filled(family, design, seed):
    """Return the contents of block RAMs somewhere in the FPGA that hold a design's tables, and who lies where."""
    places = [PLACES[family][k] for k in np.random.default_rng(seed).permutation(len(PLACES[family]))]
    blocks, names = {}, {}
    for rom in design.parameters.roms:
        layout = BlockRomParameters(family, rom.width, rom.depth)
        for name, bits in zip(layout.blocks, layout.compute(rom.words), strict=True):
            place = places.pop()
            blocks[place], names[f"{rom.name}.{name}"] = bits, place
    return blocks, names


def placed(family, names):
    """Return the netlist and the configuration that nextpnr writes, as far as block RAMs go."""
    cells, tiles = {"design.link.buffer_RAM": {"attributes": {"NEXTPNR_BEL": "X6/Y1/ram"}}}, []
    for name, place in names.items():
        full = f"design.accelerator.engine_0.{name}" + ("_RAM" if family == "ice40" else "")
        bel = f"X{place[0]}/Y{place[1]}/ram" if family == "ice40" else f"X{2 * place[0]}/Y46/EBR0"
        cells[full] = {"attributes": {"NEXTPNR_BEL": bel}}
        column = 2 * place[0]
        tiles += [f".tile_group MIB_R46C{column}:MIB_EBR0 MIB_R46C{column + 1}:MIB_EBR1"]
        tiles += ["enum: EBR0.MODE DP16KD", f"word: EBR0.WID {f'{place[0]:09b}'[::-1]}", ""]
    return json.dumps({"modules": {"top": {"cells": cells}}}).encode(), "\n".join(tiles)


def built(family, folder, seed=1, net=None, plan=PLAN):
    """Write what a build leaves, without building: the tables of a network, at places of our own."""
    net = net or network(1)
    design = hosted(net, family, plan)
    blocks, names = filled(family, design, seed)
    folder.mkdir(parents=True, exist_ok=True)
    data = packed(family, blocks, folder)
    geometry = design.parameters.geometry
    bitstream = folder / ("top.bin" if family == "ice40" else "top.bit")
    manifest = {
        "format": "signfold-build",
        "version": 1,
        "board": BOARDS[family],
        "content_hash": net.content_hash,
        "plan": {"lanes": plan.lanes, "fabric": plan.fabric, "layers": [asdict(layer) for layer in plan.layers]},
        "geometry": {**asdict(geometry), "identity": geometry.identity.hex()},
        "divisor": 12,
        "bitstream": {"file": bitstream.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()},
        "patch": describe_tables(family, design, *placed(family, names), data),
    }
    if design.parameters.config.loads:
        manifest["load"] = {"file": LOAD_FILE, "sha256": "of the old weights"}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    (folder / IMAGE_MAP).write_text(json.dumps(describe(net, design.parameters.config)))
    return bitstream, manifest, names


@pytest.fixture(autouse=True)
def generate_once(monkeypatch, request):
    """Let patches take designs that other tests have generated; converting one takes most of their time."""
    if "sweep" not in request.keywords:
        monkeypatch.setattr("signfold.boards.patch.generate_hosted", lambda n, p, d, patchable: hosted(n, patchable, p))


@pytest.fixture(scope="module")
def ice40(tmp_path_factory):
    return built("ice40", tmp_path_factory.mktemp("ice40") / "build")


@pytest.mark.parametrize("family", BLOCK_FAMILIES)
def test_a_patched_bitstream_is_what_the_packer_makes_of_the_new_tables(family, tmp_path):
    bitstream, manifest, names = built(family, tmp_path / "build")
    new = network(2)
    result = patch(bitstream, new, tmp_path / "patched")
    data = (tmp_path / "patched" / bitstream.name).read_bytes()
    design = hosted(new, family)
    blocks = {}
    for rom in design.parameters.roms:
        layout = BlockRomParameters(family, rom.width, rom.depth)
        blocks |= {names[f"{rom.name}.{n}"]: b for n, b in zip(layout.blocks, layout.compute(rom.words), strict=True)}
    assert data == packed(family, blocks, tmp_path)
    assert data != bitstream.read_bytes()
    assert result == json.loads((tmp_path / "patched" / MANIFEST).read_text())
    assert result["content_hash"] == new.content_hash
    assert result["geometry"]["identity"] == new.content_hash[:32]
    assert result["patched_from"] == manifest["bitstream"]["sha256"]
    assert result["bitstream"]["sha256"] == hashlib.sha256(data).hexdigest()
    # What it holds is the new network, identity and all.
    words = read_bitstream(tmp_path / "patched" / bitstream.name)
    image_map = json.loads((tmp_path / "patched" / IMAGE_MAP).read_text())
    assert rebuild(image_map, words).content_hash == new.content_hash
    assert bytes(words["identity"]) == design.parameters.geometry.pack()
    # And back: to the byte what it was.
    patch(tmp_path / "patched" / bitstream.name, network(1), tmp_path / "back")
    assert (tmp_path / "back" / bitstream.name).read_bytes() == bitstream.read_bytes()


@pytest.mark.parametrize("family", BLOCK_FAMILIES)
def test_readers_agree_with_the_packers(family, tmp_path):
    """Random contents in every block RAM: read as they were packed, and written as the packer writes them."""
    rng = np.random.default_rng(7)
    size = BLOCK_FAMILIES[family][0]
    first, second = ({p: rng.integers(0, 2, size).astype(np.uint8) for p in PLACES[family]} for _ in range(2))
    data = packed(family, first, tmp_path)
    opened = open_bitstream(family, data)
    assert opened.data == data
    for place, bits in first.items():
        assert (opened.read(place) == bits).all()
        opened.write(place, second[place])
    assert opened.data == packed(family, second, tmp_path)
    # A damaged byte anywhere in a block is told by its CRC; a cut file never ends in a traceback.
    start = (
        data.find(np.packbits(first[PLACES["ecp5"][5]].reshape(-1, 9)[:, ::-1]).tobytes())
        if family == "ecp5"
        else 90000
    )
    damaged = bytearray(data)
    damaged[start + 100] ^= 4
    with pytest.raises(ImageError, match="^bitstream: the CRC at byte "):
        open_bitstream(family, bytes(damaged))
    for length in [0, 1, 5, 30, 60, 100, *rng.integers(0, len(data) - 40, 8).tolist()]:
        with pytest.raises(ImageError, match="^bitstream: "):
            open_bitstream(family, data[:length])


def test_what_is_no_block_is_refused(ice40):
    opened = open_bitstream("ice40", ice40[0].read_bytes())
    with pytest.raises(ImageError, match="^bitstream: tile 6 2 is no block RAM of the UP5K$"):
        opened.read((6, 2))
    with pytest.raises(ImageError, match="^bitstream: must hold the ECP5's preamble ff ff bd b3$"):
        open_bitstream("ecp5", ice40[0].read_bytes())


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            network(2, hidden=7),
            "^network is of another shape than the bitstream's: table l0_w0 is 8 x 10 bits for it, 6 x 10",
        ),
        (
            network(2, elements=8),
            "^network is of another shape than the bitstream's: table pixels_t is 8 x 4 bits for it",
        ),
        (
            network(2, pixels=4),
            "^network is of another shape than the bitstream's: table pixels_t is absent for it, 9 x 4 bits in the",
        ),
        (
            Network(InputType((9,), 3), (Dense("d", "input", np.ones((3, 9), np.uint8)),), "d"),
            "^network is of another shape than the bitstream's: plan must hold 1 layers",
        ),
    ],
)
def test_networks_of_another_shape_are_refused(ice40, tmp_path, net, message):
    with pytest.raises(ImageError, match=message):
        patch(ice40[0], net, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_constants_in_logic_are_refused(tmp_path):
    """One threshold for all pixels stands in logic: a network with another one does not fit, one with the same does."""
    bitstream, _, _ = built("ice40", tmp_path / "build", net=network(1, pixels=4))
    patch(bitstream, network(2, pixels=4), tmp_path / "same")
    with pytest.raises(
        ImageError, match=r"makes other logic of it: modules differ: hosted__accelerator__pixels \(what no"
    ):
        patch(bitstream, network(2, pixels=5), tmp_path / "other")


def test_weights_that_are_loaded_come_beside_the_bitstream(tmp_path):
    """Thresholds are replaced in the bitstream; the chunks of the new weights are written for the host."""
    plan = Plan((LayerPlan(2, 5, 1, memory="loaded"), LayerPlan(shares=True)), fabric="ice40")
    bitstream, manifest, _ = built("ice40", tmp_path / "build", plan=plan)
    assert not any("_w" in table["rom"] for table in manifest["patch"]["tables"])
    new = network(2)
    result = patch(bitstream, new, tmp_path / "out")
    config = hosted(new, "ice40", plan).parameters.config
    chunks = (tmp_path / "out" / LOAD_FILE).read_bytes()
    assert chunks == b"".join(config.chunks)
    assert result["load"] == {"file": LOAD_FILE, "sha256": hashlib.sha256(chunks).hexdigest()}
    words = read_bitstream(tmp_path / "out" / bitstream.name)
    assert {rom.name: rom.words for rom in config.roms}.items() <= words.items()


def changed(ice40, folder, change):
    """Return a copy of a build whose manifest is changed."""
    bitstream, manifest, _ = ice40
    folder.mkdir()
    (folder / bitstream.name).write_bytes(bitstream.read_bytes())
    manifest = json.loads(json.dumps(manifest))
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder / bitstream.name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m["bitstream"].update(sha256="00"),
            "is of another build: its SHA-256 is [0-9a-f]{16}..., but '.*' is of 00",
        ),
        (lambda m: m.pop("bitstream"), "must name the bitstream's SHA-256$"),
        (lambda m: m.update(version=2), "must be of format 'signfold-build', version 1$"),
        (
            lambda m: m.pop("patch"),
            "was built without --patchable: tables pixels_t, l0_w0, l0_t, l1_w0 may lie in lookup tables; build",
        ),
        (
            lambda m: (m.pop("patch"), m["plan"]["layers"][0].update(style="hardwired", cols=1)),
            "was built without --patchable: the weights of layer 0 are logic$",
        ),
        (
            lambda m: m["patch"]["tables"][1].update(crc32="00000000"),
            "^table l0_w0: CRC-32 is .*, but the manifest says",
        ),
        (lambda m: m["patch"]["tables"][1].update(depth=7), "^table l0_w0: "),
        (lambda m: m["patch"]["tables"][1].update(block_width=8), "^table l0_w0: lies in its block RAMs in a way that"),
        (
            lambda m: m["patch"]["tables"][1].update(blocks=[[1, 2]]),
            "^bitstream: tile 1 2 is no block RAM of the UP5K$",
        ),
        (lambda m: m["patch"]["tables"][1].pop("blocks"), "contradicts itself: KeyError: 'blocks'$"),
        (lambda m: m["plan"]["layers"][0].update(cols="x"), "^manifest: its plan must be one of this release: "),
    ],
)
def test_other_builds_and_broken_manifests_are_refused(ice40, tmp_path, change, message):
    bitstream = changed(ice40, tmp_path / "copy", change)
    with pytest.raises(ImageError, match=message):
        patch(bitstream, network(2), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_manifests_cannot_reach_outside_the_folder(ice40, tmp_path):
    bitstream = changed(ice40, tmp_path / "copy", lambda m: m["bitstream"].update(file="../../evil.bin"))
    assert patch(bitstream, network(2), tmp_path / "out")["bitstream"]["file"] == bitstream.name
    assert {path.name for path in tmp_path.iterdir()} == {"copy", "out"}


def test_absent_files_are_named(ice40, tmp_path):
    bitstream = changed(ice40, tmp_path / "copy", lambda m: None)
    (tmp_path / "copy" / MANIFEST).write_text("{")
    with pytest.raises(ImageError, match="must be JSON: "):
        patch(bitstream, network(2), tmp_path / "out")
    (tmp_path / "copy" / MANIFEST).unlink()
    with pytest.raises(ImageError, match="No such file or directory; the build wrote it beside the bitstream$"):
        patch(bitstream, network(2), tmp_path / "out")
    # Its manifest may lie elsewhere.
    patch(bitstream, network(2), tmp_path / "out", sidecar=ice40[0].parent / MANIFEST)
    bitstream.unlink()
    with pytest.raises(ImageError, match="^bitstream .*: No such file or directory$"):
        patch(bitstream, network(2), tmp_path / "out")


def test_builds_notice_tables_that_are_elsewhere(ice40):
    """A build whose bitstream does not hold a table where the netlist says so has no manifest."""
    design = hosted(network(1), "ice40")
    data, names = ice40[0].read_bytes(), dict(ice40[2])
    one, other = "l0_w0.block_0_0", "l1_w0.block_0_0"
    names[one], names[other] = names[other], names[one]
    with pytest.raises(BuildError, match="^table l0_w0: "):
        describe_tables("ice40", design, *placed("ice40", names), data)
    del names[one]
    with pytest.raises(BuildError, match="^table l0_w0: block_0_0 has no place in the FPGA$"):
        describe_tables("ice40", design, *placed("ice40", names), data)
    with pytest.raises(BuildError, match="^placed netlist cannot be read: "):
        describe_tables("ice40", design, b"{}", "", data)


def test_structure_is_all_but_contents():
    """Networks of one shape share it, as primitives and as memories; other plans and other families do not."""

    def of(net, family, plan=PLAN):
        design = hosted(net, family, plan)
        return structure(design.verilog, design.parameters.roms)

    same = of(network(1), "ice40")
    assert same == of(network(2), "ice40") and len(same) > 20
    assert of(network(1), "ecp5") != same
    # Without --patchable the device's identity is logic too.
    plain, other = of(network(1), None), of(network(2), None)
    assert {name for name in plain if plain[name] != other[name]} == {"hosted__link__builder"}
    assert {*of(network(1), None, replace(PLAN, lanes=2)).items()} - {*plain.items()}


def test_hardwired_layers_cannot_be_patched(tmp_path):
    plan = Plan((LayerPlan(style="hardwired", simd=9, hop=1), LayerPlan(1, 4)))
    message = (
        "^layer 0 is hardwired: its weights are logic, not tables; give it an array, or build without --patchable$"
    )
    with pytest.raises(PlanError, match=message):
        check_patchable(plan)
    with pytest.raises(PlanError, match=message):
        generate(network(1), plan, tmp_path / "out", patchable=True)
    with pytest.raises(PlanError, match=message):
        build(network(1), find_board("icebreaker"), tmp_path / "out", plan=plan, patchable=True)


def test_generate_asks_for_block_ram(tmp_path):
    """Each ROM by its attribute, and nothing else of the text."""
    plain = generate(network(1), PLAN, tmp_path / "plain")
    patchable = generate(network(1), PLAN, tmp_path / "patchable", patchable=True)
    text = patchable.verilog.read_text()
    attribute = '  (* rom_style = "block" *)\n'
    assert text.count(attribute) == len(plain.image_map["images"]) == 4
    assert text.replace(attribute, "") == plain.verilog.read_text().replace(attribute, "")
    assert patchable.sidecar["patchable"] is True and "patchable" not in plain.sidecar


def test_command(ice40, tmp_path):
    bitstream, _, _ = ice40
    network(2).save(tmp_path / "new.safetensors")
    arguments = ["patch", str(bitstream), "--network", str(tmp_path / "new.safetensors")]
    run = CliRunner().invoke
    out = tmp_path / "out"
    result = run(app, [*arguments, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert re.search(r"tables +5 in 5 block RAMs replaced", result.output)
    result = run(
        app, ["images", str(out / bitstream.name), "--json", "--out", str(tmp_path / "roms"), "--format", "mem"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["content_hash"] == network(2).content_hash
    result = run(app, [*arguments, "--out", str(bitstream.parent)])
    assert isinstance(result.exception, ImageError) and "must not be the bitstream's own" in str(result.exception)


@pytest.mark.sweep
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("family", BLOCK_FAMILIES)
def test_a_patched_bitstream_is_what_building_it_gives(family, tmp_path):
    """Synthesis, placement and routing of both: unpacked by the family's own tool, the same text; netlists compute."""
    board, new = find_board(BOARDS[family]), network(2)

    def check(net):
        def run(netlist, design):
            build_simulated_netlist(netlist, family, tmp_path / "simulator", divisor=design.parameters.divisor)
            frames = np.random.default_rng(6).integers(0, 8, (20, 9)).astype(np.uint8)
            with SimulatedLink(tmp_path / "simulator") as link:
                device = Device(link, timeout=0.01)
                assert device.identify().identity == design.parameters.identity
                compare_with_golden(net, frames, device.infer(stream_order(net, frames)), "the netlist")

        return run

    first = build(network(1), board, tmp_path / "built", plan=PLAN, patchable=True)
    name = first["bitstream"]["file"]
    patched = patch(tmp_path / "built" / name, new, tmp_path / "patched")
    rebuilt = build(new, board, tmp_path / "rebuilt", plan=PLAN, patchable=True, check=check(new))
    assert patched["bitstream"] == rebuilt["bitstream"] != first["bitstream"]
    assert patched["patch"] == rebuilt["patch"]
    texts = []
    for folder in ("patched", "rebuilt"):
        if family == "ice40":
            run_tool("yowasp-iceunpack", tmp_path / folder, name, "top.txt")
        else:
            run_tool("yowasp-ecpunpack", tmp_path / folder, "--input", name, "--textcfg", "top.txt")
        texts.append((tmp_path / folder / "top.txt").read_text())
    assert texts[0] == texts[1]
