"""A simulated board whose network is replaced over its serial line while it infers, with damage on the way."""

import json
import random
import re
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.hw.packet import RequestType, Status
from signfold.hw.reloadable import ReloadableParameters
from signfold.hw.verilog import MEMORY_MACRO
from signfold.sim.link import DIVISOR, SimulatedLink, build_simulated_device, build_simulated_netlist
from signfold.sim.native import NativeHarness
from signfold.sim.netlist import synthesize
from signfold.sw.cli.app import app
from signfold.sw.design_folder import read_design_folder
from signfold.sw.errors import ImageError, LinkError, PlanError
from signfold.sw.generate import generate
from signfold.sw.hosted import TOP, generate_hosted, identity, reloadable_parameters
from signfold.sw.link import Device
from signfold.sw.link.frames import FrameReader, encode_frame
from signfold.sw.lower import lower, stream_order
from signfold.sw.network import Conv, Dense, InputType, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan
from signfold.sw.reload import plan_hash

PLAN = Plan((LayerPlan(2, 8), LayerPlan(1, 5)), lanes=2)


def network(seed, channels=80):
    """16 codes of 2 bits, two dense layers, 5 classes."""
    rng = np.random.default_rng(seed)
    nodes = (
        Threshold("pixels", "input", rng.integers(1, 4, (16, 1))),
        Dense("dense0", "pixels", rng.integers(0, 2, (channels, 16)).astype(np.uint8)),
        Threshold("sign0", "dense0", 2 * rng.integers(5, 12, (channels, 1)) - 16),
        Dense("dense1", "sign0", rng.integers(0, 2, (5, channels)).astype(np.uint8)),
    )
    return Network(InputType((16,), 2), nodes, "dense1")


OLD, NEW = network(1), network(2)
DESIGNS = {one: generate_hosted(one, PLAN, DIVISOR, reloadable=True) for one in (OLD, NEW)}
OTHER = reloadable_parameters(network(1, channels=82), PLAN, DIVISOR)
IMAGE = DESIGNS[NEW].parameters.reloadable.image


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    """Generated folder of the old network."""
    folder = tmp_path_factory.mktemp("design") / "old"
    return generate(OLD, PLAN, folder, reloadable=True)


@pytest.fixture(scope="module")
def folder(design):
    """Folder of the old network's simulated device, where the command looks for it."""
    folder = design.folder / "build" / "device"
    build_simulated_device(OLD, folder, PLAN, reloadable=True)
    return folder


@pytest.fixture
def link(folder):
    """Line to a device after power-on."""
    with SimulatedLink(folder) as link:
        yield link


def frames(count, seed=0):
    """Frames on which the two networks differ."""
    drawn = np.random.default_rng(seed).integers(0, 4, (4 * count, 16)).astype(np.uint8)
    drawn = drawn[(OLD.evaluate(drawn).scores != NEW.evaluate(drawn).scores).any(axis=1)]
    assert len(drawn) >= count
    return drawn[:count]


def assert_golden(results, one, pictures):
    golden = one.evaluate(pictures)
    assert np.array_equal(results.scores, golden.scores)
    assert np.array_equal(results.classes, golden.classes)


def infer_request(seq, frame):
    return encode_frame(bytes([RequestType.INFER, seq]) + frame.tobytes())


def reload_request(seq, packet):
    return encode_frame(bytes([RequestType.RELOAD, seq]) + packet)


def test_two_networks_of_one_shape_have_one_build():
    (old, new), (old_text, new_text) = zip(*((d.parameters, d.verilog) for d in DESIGNS.values()), strict=True)
    assert old.hashes == new.hashes
    assert old_text != new_text
    assert (OTHER.hashes[0], OTHER.hashes[1] == old.hashes[1]) == (old.hashes[0], False)
    assert plan_hash(replace(PLAN, lanes=1)) != plan_hash(PLAN) == old.hashes[0]


def test_reload_between_frames_of_one_line(link):
    """Each request is answered by the network that is in force when its turn comes, never by both."""
    pictures, packets = frames(24), IMAGE.packets()
    assert len(packets) > 1
    line, kinds = b"", []
    for n, frame in enumerate(pictures):
        line += infer_request(n, frame)
        kinds.append(None)
        if n % 4 == 3 and n // 4 < len(packets):
            line += reload_request(100 + n, packets[n // 4])
            line += encode_frame(bytes([RequestType.ID, 200 + n]))
            kinds += [n // 4, "id"]
    # As the device's model says, byte for byte.
    parameters = [DESIGNS[one].parameters for one in (OLD, NEW)]
    expected = parameters[0].compute(line, parameters[1:])
    received = b""
    # Two outstanding requests at most: then the device loses none.
    pieces = [b"\0" + piece + b"\0" for piece in line.split(b"\0") if piece]
    reader, answers = FrameReader(1000), []
    for n, piece in enumerate(pieces):
        link.write(piece)
        while n - len(answers) >= 1:
            data = link.read(1.0)
            assert data
            received += data
            answers += reader.feed(data)
    while data := link.read(0.01):
        received += data
        answers += reader.feed(data)
    assert received == expected
    golden = [one.evaluate(pictures) for one in (OLD, NEW)]
    network_now, n = 0, 0
    for answer, kind in zip(answers, kinds, strict=True):
        if kind is None:
            scores = [int(score) for score in golden[network_now].scores[n]]
            assert list(np.frombuffer(answer[3:8], np.int8)) == scores
            n += 1
        elif kind == "id":
            assert answer[3:19] == identity((OLD, NEW)[network_now])
        else:
            assert answer[2] == Status.OK
            network_now = int(kind == len(packets) - 1)
    assert network_now == 1


def test_driver_loads_and_asks(link):
    pictures = frames(20)
    device = Device(link, timeout=0.01)
    hashes = DESIGNS[OLD].parameters.hashes
    before = device.identify_all()
    assert (before.network, before.plan, before.build) == (identity(OLD), *hashes)
    assert_golden(device.infer(pictures), OLD, pictures)
    done = []
    device.reload(IMAGE.packets(), progress=done.append)
    assert done == [1] * IMAGE.chunks
    after = device.identify_all()
    assert (after.network, after.plan, after.build) == (identity(NEW), *hashes)
    assert device.identify().identity == identity(NEW)
    assert_golden(device.infer(pictures), NEW, pictures)
    # A reset keeps the network in force.
    link.reset()
    assert device.identify_all() == after
    assert_golden(device.infer(pictures), NEW, pictures)
    device.reload(DESIGNS[OLD].parameters.reloadable.image.packets())
    assert_golden(device.infer(pictures), OLD, pictures)


@pytest.mark.parametrize("seed", range(4))
def test_driver_repeats_what_the_line_loses(link, seed):
    """Chunks and answers lost or damaged: the image gets there, or the driver says that it did not."""
    rng = random.Random(seed)
    device = Device(link, timeout=0.002, attempts=40)

    class Lossy:
        byte_time, clock, frequency = link.byte_time, link.clock, link.frequency

        def write(self, data):
            data = bytearray(data)
            if rng.random() < 0.3:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            link.write(bytes(data))

        def read(self, timeout):
            data = link.read(timeout)
            return data if rng.random() < 0.98 else b""

    device.link = Lossy()
    device.reload(IMAGE.packets())
    device.link = link
    pictures = frames(10)
    assert device.identify_all().network == identity(NEW)
    assert_golden(device.infer(pictures), NEW, pictures)
    assert device.repeated


def test_what_a_device_refuses(link):
    device = Device(link, timeout=0.01)
    packets, pictures = IMAGE.packets(), frames(10)
    damaged = bytearray(IMAGE.pack())
    damaged[60] ^= 4
    with pytest.raises(LinkError, match=f"^chunk {len(packets) - 1} of weights: the device refuses the image: it is "):
        device.reload(IMAGE.packets(bytes(damaged)))
    with pytest.raises(LinkError, match="^chunk 0 of weights: the device refuses the image: it is of another build"):
        device.reload(OTHER.reloadable.image.packets())
    with pytest.raises(LinkError, match="^chunk 0 of weights: the device has lost what came before"):
        link.reset()
        device.reload(packets[1:])
    device.reload(packets[:-1])
    assert_golden(device.infer(pictures), OLD, pictures)
    # Frames are computed between chunks, and the rest of the image may come after them.
    device.reload(packets[-1:])
    assert_golden(device.infer(pictures), NEW, pictures)


def test_plans_whose_weights_no_image_replaces():
    for choice, what in ((LayerPlan(simd=5, hop=1, style="hardwired"), "is hardwired"), (None, "memory = 'loaded'")):
        first = LayerPlan(2, 8, memory="loaded") if choice is None else LayerPlan(2, 8)
        plan = Plan((first, choice or LayerPlan(shares=True)), lanes=2)
        with pytest.raises(PlanError, match=rf"^layer [01] .*{what}.*--reloadable$"):
            generate_hosted(OLD, plan, DIVISOR, reloadable=True)


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_commands(design, folder, tmp_path):
    """`signfold load` and `signfold id` on the simulation of a generated folder."""
    port = f"sim:{design.folder}"
    NEW.save(tmp_path / "new.safetensors")
    network(1, channels=82).save(tmp_path / "other.safetensors")
    told = json.loads(invoke("id", "--port", port, "--json").stdout)
    plan, build = (hashed.hex() for hashed in DESIGNS[OLD].parameters.hashes)
    expected = {"network": identity(OLD).hex(), "plan": plan, "build": build, "reloadable": True}
    assert {name: told[name] for name in expected} == expected
    result = invoke("load", tmp_path / "new.safetensors", "--port", port, "--check", 20)
    assert result.exit_code == 0, result.output
    for text in (
        f"before    {identity(OLD).hex()}",
        f"network   {identity(NEW).hex()}, in force until power is off",
        f"image     {IMAGE.size} bytes in {IMAGE.chunks} chunks",
        "golden    all scores and classes of 20 random frames are equal",
    ):
        assert text in result.output
    # What does not fit is refused before anything is sent.
    result = invoke("load", tmp_path / "other.safetensors", "--port", port)
    assert isinstance(result.exception, ImageError)
    assert str(result.exception).startswith("network is of another shape than the device's")
    assert result.exception.exit_code == 2


def test_folders_that_are_no_reloadable_designs(tmp_path):
    NEW.save(tmp_path / "new.safetensors")
    plain = generate(OLD, PLAN, tmp_path / "plain").folder
    for folder, message in (
        (plain, "^design '.*' was made without --reloadable: its network cannot be replaced$"),
        (tmp_path, "^design '.*': must be a folder of `signfold generate` or `signfold build`: build.json: No such "),
    ):
        result = invoke("load", tmp_path / "new.safetensors", "--port", f"sim:{folder}")
        assert isinstance(result.exception, ImageError)
        assert re.match(message, str(result.exception))
    (tmp_path / "build.json").write_text(
        json.dumps({"format": "signfold-build", "version": 1, "reload": {}, "divisor": 1})
    )
    with pytest.raises(ImageError, match="divisor must be an integer of at least 4, not 1$"):
        read_design_folder(tmp_path)
    result = invoke("load", tmp_path / "new.safetensors", "--port", "/dev/nowhere")
    assert result.exit_code == 2
    assert "--design must name the folder" in result.output
    result = invoke("generate", tmp_path / "new.safetensors", "--reloadable", "--patchable", "--out", tmp_path / "both")
    assert result.exit_code == 2


def windowed():
    """Plan and two networks whose windows lie partly outside the image: weights are read before a frame comes in."""
    plan, rng, found = Plan((LayerPlan(2, 4),)), np.random.default_rng(3), []
    while len(found) < 2:
        weights = rng.integers(0, 2, (12, 4, 3, 3)).astype(np.uint8)
        conv = Conv("conv", "input", weights, (1, 1), (1, 0, 1, 0), None)
        one = Network(InputType((4, 2, 2), 1), (conv,), "conv")
        # What scores begin at is no table's.
        if not found or lower(one, plan).scores.origin == lower(found[0], plan).scores.origin:
            found.append(one)
    return plan, *found


@pytest.mark.parametrize("kind", ["dense", "windows"])
def test_verilog_with_images_from_files(design, tmp_path, kind):
    """Verilog of an accelerator alone, its tables read from .mem files: an image that comes in replaces them."""
    plan, old, new = (PLAN, OLD, NEW) if kind == "dense" else windowed()
    if kind == "windows":
        design = generate(old, plan, tmp_path / "design", reloadable=True)
    sidecar = design.sidecar
    # Modules that are converted once start anew with the others.
    columns = re.findall(r" accelerator__column_\d+ \S+ \((.*?)\);", design.verilog.read_text(), re.DOTALL)
    assert columns and all(r".rst(\$" in ports for ports in columns)
    shape, codes = (40, *old.input.shape), 1 << old.input.bits
    pictures = np.random.default_rng(7).integers(0, codes, shape).astype(np.uint8)
    assert [entry["rom"] for entry in sidecar["reload"]["tables"]] == [rom.name for rom in lower(old, plan).roms]
    image = ReloadableParameters(lower(new, plan), bytes.fromhex(sidecar["reload"]["build"])).image
    load = {"chunks": sidecar["reload"]["chunks"], "bytes": sidecar["reload"]["chunk_bytes"]}
    build, defines = tmp_path / "native", {MEMORY_MACRO: ""}
    harness = NativeHarness({**sidecar, "load": load}, [design.verilog], build, defines=defines)
    damaged = bytearray(image.pack())
    damaged[-5] ^= 1
    for data, one in ((image.pack(), new), (bytes(damaged), old)):
        for seed, stall in enumerate((0.0, 0.3)):
            run = harness.run(
                stream_order(one, pictures),
                limit=10_000,
                settling=sidecar["settling"],
                seed=seed,
                stall_in=stall,
                stall_out=stall,
                loads=b"".join(image.packets(data)),
                cwd=design.folder,
            )
            assert run.failure is None
            assert_golden(run, one, pictures)


@pytest.mark.sweep
@pytest.mark.parametrize("family", ["ice40", "ecp5"])
def test_netlist_takes_another_network(tmp_path, family):
    """After synthesis, tables in block RAMs whose bytes are written one by one."""
    (tmp_path / "hosted.v").write_text(DESIGNS[OLD].verilog)
    netlist = synthesize(tmp_path / "hosted.v", family, tmp_path / "netlist", top=TOP)
    build_simulated_netlist(netlist, family, tmp_path / "device", divisor=DIVISOR)
    pictures, packets = frames(20), IMAGE.packets()
    with SimulatedLink(tmp_path / "device") as link:
        device = Device(link, timeout=0.05)
        assert_golden(device.infer(pictures), OLD, pictures)
        device.reload(packets[:-1])
        assert_golden(device.infer(pictures), OLD, pictures)
        device.reload(packets[-1:])
        assert_golden(device.infer(pictures), NEW, pictures)
        assert device.identify_all().network == identity(NEW)
        link.reset()
        assert_golden(device.infer(pictures), NEW, pictures)
