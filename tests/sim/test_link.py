"""The driver and a simulated board, with every bit of the serial line; damage of every kind on the way."""

import json
import random
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.hw.packet import RequestType
from signfold.sim.link import DIVISOR, SimulatedLink, build_simulated_device
from signfold.sim.random_network import random_network
from signfold.sw.cli.app import app
from signfold.sw.data import load
from signfold.sw.default_plan import default_plan
from signfold.sw.errors import DataError, LinkError
from signfold.sw.hosted import generate_hosted
from signfold.sw.link import Device
from signfold.sw.link.frames import FrameReader, encode_frame
from signfold.sw.network import Dense, InputType, Network, SumPool, Threshold


def tiny_network():
    """9 pixels of 3 bits, two dense layers, 3 classes."""
    rng = np.random.default_rng(11)
    nodes = (
        Threshold("pixels", "input", rng.integers(1, 8, (9, 1))),
        Dense("dense0", "pixels", rng.integers(0, 2, (6, 9)).astype(np.uint8)),
        Threshold("sign0", "dense0", 2 * rng.integers(3, 7, (6, 1)) - 9),
        Dense("dense1", "sign0", rng.integers(0, 2, (3, 6)).astype(np.uint8)),
    )
    return Network(InputType((9,), 3), nodes, "dense1")


NETWORK = tiny_network()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of the tiny network's simulated device."""
    folder = tmp_path_factory.mktemp("device")
    build_simulated_device(NETWORK, folder)
    return folder


@pytest.fixture
def link(folder):
    """Line to a device that has just been reset."""
    with SimulatedLink(folder) as link:
        yield link


def frames(count, seed=0):
    """Random frames."""
    return np.random.default_rng(seed).integers(0, 8, (count, 9)).astype(np.uint8)


def right_answer(seq, frame):
    """Response packet to an infer request."""
    golden = NETWORK.evaluate(frame[None])
    scores = b"".join(int(score).to_bytes(1, "little", signed=True) for score in golden.scores[0])
    return bytes([0x82, seq, 0]) + scores + bytes([golden.classes[0]])


def request(seq, frame):
    """Frame of an infer request."""
    return encode_frame(bytes([RequestType.INFER, seq]) + frame.tobytes())


def ask(link, line):
    """Send bytes, and return the packets that come back until the line is silent for 100 bytes."""
    link.write(line)
    reader, packets = FrameReader(1000), []
    while data := link.read((100 + len(line)) * link.byte_time):
        packets += reader.feed(data)
    return packets


def assert_golden(results, pictures, network=NETWORK):
    """Every score and class is the golden model's."""
    golden = network.evaluate(pictures)
    assert np.array_equal(results.scores, golden.scores)
    assert np.array_equal(results.classes, golden.classes)


def test_infer_equals_golden(link):
    pictures = frames(300)
    device = Device(link, timeout=0.01)
    assert_golden(device.infer(pictures), pictures)
    assert device.repeated == 0
    assert len(np.unique(NETWORK.evaluate(pictures).classes)) == 3


def test_requests_follow_one_another_without_a_pause(link):
    """With two requests outstanding the line to the device is never idle: its rate is the whole rate."""
    pictures = frames(100)
    device = Device(link, timeout=0.01)
    device.identify()
    begin = link.cycles
    device.infer(pictures)
    # Two requests' worth of cycles for the identify request and the last answer.
    assert link.cycles - begin <= 102 * len(request(0, pictures[0])) * 10 * DIVISOR + 2000


@pytest.mark.parametrize("seed", range(3))
def test_random_networks_through_the_line(tmp_path, seed):
    network = random_network(np.random.default_rng(100 + seed), widest=30)
    build_simulated_device(network, tmp_path, divisor=4 + seed)
    limit, elements = 1 << network.input.bits, network.input.elements
    pictures = np.random.default_rng(seed).integers(0, limit, (40, elements)).astype(np.uint8)
    with SimulatedLink(tmp_path) as link:
        assert_golden(Device(link, timeout=0.05).infer(pictures), pictures, network)


def test_every_damage_to_every_byte_of_a_request(link):
    """Each byte dropped, doubled, or with any of its bits flipped: no wrong answer, and the next frame is right."""
    first, following = frames(2, seed=3)
    good = request(0x55, first)
    expected = right_answer(0x55, first)
    answered = 0
    for at in range(len(good)):
        damaged = [good[:at] + good[at + 1 :], good[: at + 1] + good[at:]]
        damaged += [good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :] for bit in range(8)]
        for n, line in enumerate(damaged):
            packets = ask(link, line + request(n, following))
            assert packets[-1] == right_answer(n, following), f"byte {at}, damage {n}"
            assert packets[:-1] in ([], [expected]), f"byte {at}, damage {n}"
            answered += len(packets) - 1
    # Delimiters may be doubled, and the first one lost or changed, without harm.
    assert 0 < answered < 30


@pytest.mark.parametrize("seed", range(8))
def test_garbage_between_and_inside_requests(link, seed):
    """What is put inside a request spoils that one only; what comes before a request spoils none."""
    rng = random.Random(seed)
    pictures = frames(6, seed)
    line, whole = b"", []
    for n, frame in enumerate(pictures):
        good = request(n, frame)
        line += rng.randbytes(rng.choice((0, 0, 1, 5, 60)))
        if rng.random() < 0.5:
            at = rng.randrange(1, len(good) - 1)
            line += good[:at] + rng.randbytes(rng.randint(1, 20)) + good[at:]
        else:
            line += good
            whole.append(n)
    packets = ask(link, line + request(77, pictures[0]))
    assert packets[-1] == right_answer(77, pictures[0]), f"seed {seed}"
    possible = [right_answer(n, frame) for n, frame in enumerate(pictures)]
    inferred = [packet for packet in packets[:-1] if packet[0] == 0x82 and packet[2] == 0]
    assert all(packet in possible for packet in inferred), f"seed {seed}"
    # Faster than the accelerator answers nothing is sent here, so every whole request is answered.
    assert all(right_answer(n, pictures[n]) in inferred for n in whole), f"seed {seed}"


def test_a_hundred_thousand_bytes_of_garbage(link):
    check_garbage(link, 100_000)


@pytest.mark.sweep
def test_a_million_bytes_of_garbage(link):
    check_garbage(link, 1_000_000)


def check_garbage(link, count):
    """Random bytes, zeros more often than by chance; every thousand of them a request, always answered rightly."""
    rng = random.Random(count)
    frame = frames(1)[0]
    for block in range(count // 1000):
        garbage = bytes(0 if rng.random() < 0.05 else rng.randint(0, 255) for _ in range(1000))
        packets = ask(link, garbage + request(block % 256, frame))
        assert packets[-1] == right_answer(block % 256, frame), f"block {block}"
        # No answer to garbage, or one that refuses it.
        assert all(packet[2] != 0 for packet in packets[:-1]), f"block {block}: {packets!r}"


def test_oversize_frames(link):
    """No delimiter for longer than the buffer: the next request is answered all the same."""
    frame = frames(1)[0]
    for length in (9, 14, 30, 32, 33, 40, 64, 65, 300, 5000):
        assert ask(link, bytes([0x21] * length) + request(9, frame)) == [right_answer(9, frame)], length


@pytest.mark.parametrize("seed", range(10))
def test_reset_in_the_middle_of_a_frame(link, seed):
    """Reset in any cycle while requests arrive, are computed or answered; the driver repeats what was lost."""
    rng = random.Random(seed)
    pictures = frames(8, seed)
    device = Device(link, timeout=0.005, attempts=50)
    device.identify()

    resets = 0

    class Resetting:
        """The link, with a reset after a random number of reads."""

        byte_time = link.byte_time
        write, clock = link.write, link.clock

        def read(self, timeout):
            nonlocal resets
            if rng.random() < 0.02:
                data = link.read(rng.randint(0, 2000) / link.frequency)
                link.reset(rng.randint(1, 5))
                resets += 1
                return data
            return link.read(timeout)

    device.link = Resetting()
    while resets < 3:
        assert_golden(device.infer(pictures), pictures)
    link.reset()
    device.link = link
    assert_golden(device.infer(pictures), pictures)


def test_two_builds_are_the_same():
    plan = default_plan(NETWORK)
    assert generate_hosted(NETWORK, plan, 4).verilog == generate_hosted(NETWORK, plan, 4).verilog


def test_command(tmp_path):
    """`signfold infer` on a simulated board: all results as the golden model's, and the accuracy that follows."""
    rng = np.random.default_rng(2)
    nodes = (
        Threshold("pixels", "input", np.full((1, 1), 8)),
        Dense("dense0", "pixels", rng.integers(0, 2, (10, 64)).astype(np.uint8)),
    )
    network = Network(InputType((64,), 5), nodes, "dense0", {"dataset": "digits"})
    network.save(tmp_path / "digits.safetensors")
    port = f"sim:{tmp_path / 'device'}"
    arguments = ["infer", str(tmp_path / "digits.safetensors"), "--port", port, "--frames", "30", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    images, labels = load("digits").split("test")
    golden = network.evaluate(images[:30])
    assert report["classes"] == golden.classes.tolist()
    assert report["correct"] == np.count_nonzero(golden.classes == labels[:30])
    assert report["accuracy"] == report["correct"] / 30
    assert (report["frames"], report["equal_to_golden"], report["repeated_requests"]) == (30, 30, 0)
    # Without the network: the same simulator, and nothing to compare with.
    result = CliRunner().invoke(app, ["infer", "--port", port, "--data", "digits", "--frames", "5", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["equal_to_golden"] is None
    assert report["device"]["identity"] == network.content_hash[:32]
    assert report["classes"] == golden.classes[:5].tolist()
    text = CliRunner().invoke(app, arguments[:-1]).output
    assert "all scores and classes of 30 frames are equal" in text


class Colours:
    """A data set of 4 random pictures of 3x32x32 codes of 4 bits."""

    shape, elements, bits = (3, 32, 32), 3072, 4

    def split(self, part):
        rng = np.random.default_rng(len(part))
        return rng.integers(0, 16, (4, *self.shape)).astype(np.uint8), np.zeros(4, np.int64)


def test_colour_pictures_go_position_by_position(tmp_path, monkeypatch):
    """Frames of 3,072 bytes, two at a time in the device's buffer; the order needs the network."""
    monkeypatch.setattr("signfold.sw.cli.infer.load", lambda name, folder: Colours())
    rng = np.random.default_rng(4)
    nodes = (
        SumPool("areas", "input", (8, 8), (8, 8)),
        Threshold("codes", "areas", np.array([[0], [-20], [20]])),
        Dense("scores", "codes", rng.integers(0, 2, (5, 48)).astype(np.uint8)),
    )
    network = Network(InputType((3, 32, 32), 4), nodes, "scores", {"dataset": "colours"})
    network.save(tmp_path / "colours.safetensors")
    port = f"sim:{tmp_path / 'device'}"
    result = CliRunner().invoke(app, ["infer", str(tmp_path / "colours.safetensors"), "--port", port, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    pictures = Colours().split("test")[0]
    assert report["classes"] == network.evaluate(pictures).classes.tolist()
    assert (report["device"]["elements"], report["equal_to_golden"], report["repeated_requests"]) == (3072, 4, 0)
    result = CliRunner().invoke(app, ["infer", "--port", port, "--data", "colours"])
    assert isinstance(result.exception, DataError)
    assert str(result.exception).startswith("data set 'colours' has 3 channels, whose order in a frame depends on ")


def test_folder_without_a_device(tmp_path, folder):
    with pytest.raises(LinkError, match=r"^no simulated device in '.*': "):
        SimulatedLink(tmp_path)
    shutil.copy(folder / "device.json", tmp_path)
    with pytest.raises(LinkError, match=r"^simulated device '.*' does not start: No such file or directory$"):
        SimulatedLink(tmp_path)


def test_use_after_close(folder):
    link = SimulatedLink(folder)
    link.close()
    link.close()
    with pytest.raises(LinkError, match="^the simulated device has ended$"):
        link.write(b"x")
