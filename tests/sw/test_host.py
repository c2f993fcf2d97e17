"""Host driver on a line that loses, damages, invents and delays bytes; the device is the link's `.compute`."""

import json
import os
import random
import threading
import tty

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.hw.host_link import HostLinkParameters
from signfold.hw.hosted import HostedAcceleratorParameters
from signfold.hw.packet import Geometry
from signfold.sim.random_network import random_network
from signfold.sw.cli.app import app
from signfold.sw.default_plan import default_plan
from signfold.sw.errors import DataError, LinkError, MismatchError
from signfold.sw.hosted import identity
from signfold.sw.link import Device, Link, Results, SerialLink, compare_with_golden
from signfold.sw.link.frames import FrameReader, encode_frame
from signfold.sw.lower import lower

NETWORK = random_network(np.random.default_rng(7), depth=2, widest=12)
PARAMETERS = HostedAcceleratorParameters(lower(NETWORK, default_plan(NETWORK)), identity(NETWORK), divisor=4)


class ModelLink(Link):
    """Line to the model of a device, with faults on the way in either direction; time passes only in waiting."""

    def __init__(self, *, there=lambda data: data, back=lambda data: data, delay=lambda: 0.0):
        self.there, self.back, self.delay = there, back, delay
        self.now = 0.0
        self.received = b""
        self.answered = 0
        self.arriving = []  # (time, bytes)
        self.written = []

    @property
    def byte_time(self):
        return 1e-5

    def write(self, data):
        self.written.append(data)
        self.received += self.there(data)
        sent = PARAMETERS.compute(self.received)
        fresh = sent[self.answered :]
        self.answered = len(sent)
        if fresh:
            at = max([self.now + self.delay(), *(time for time, _ in self.arriving)])
            self.arriving.append((at, self.back(fresh)))

    def read(self, timeout):
        if self.arriving and self.arriving[0][0] <= self.now + timeout:
            at, data = self.arriving.pop(0)
            self.now = max(self.now, at)
            return data
        self.now += timeout
        return b""

    def clock(self):
        return self.now

    def close(self):
        self.closed = True


def frames(count, seed=0):
    """Random frames of the network."""
    limit = 1 << NETWORK.input.bits
    return np.random.default_rng(seed).integers(0, limit, (count, NETWORK.input.elements)).astype(np.uint8)


def assert_golden(results, pictures):
    """Every score and class is the golden model's."""
    golden = NETWORK.evaluate(pictures)
    assert np.array_equal(results.scores, golden.scores)
    assert np.array_equal(results.classes, golden.classes)


def test_identify():
    device = Device(ModelLink())
    assert device.identify() == PARAMETERS.geometry
    assert PARAMETERS.geometry.identity.hex() == NETWORK.content_hash[:32]


def test_infer_equals_golden_and_reports_progress():
    link, done = ModelLink(), []
    device = Device(link, seq=250)  # sequence numbers wrap on the way
    assert_golden(device.infer(frames(20), progress=done.append), frames(20))
    assert sum(done) == 20
    assert device.repeated == 0
    assert device.infer(frames(0)).scores.shape == (0, NETWORK.classes)


def test_the_window_is_used_and_kept():
    """Two requests are sent before the first answer is read, never three."""
    most = 0
    link = ModelLink(delay=lambda: 0.01)
    original = link.read

    def read(timeout):
        nonlocal most
        most = max(most, len(link.arriving))
        return original(timeout)

    link.read = read
    Device(link).infer(frames(6))
    assert most == PARAMETERS.window == 2


def damage(rng, data):
    """Bytes with one of them dropped, doubled, changed, or random bytes put in."""
    at = rng.randrange(len(data))
    return rng.choice(
        (
            data[:at] + data[at + 1 :],
            data[: at + 1] + data[at:],
            data[:at] + bytes([data[at] ^ rng.randint(1, 255)]) + data[at + 1 :],
            data[:at] + rng.randbytes(rng.randint(1, 9)) + data[at:],
            data[:at],
            b"",
        )
    )


@pytest.mark.parametrize("seed", range(12))
def test_no_wrong_result_whatever_the_line_does(seed):
    """A third of all requests and answers is damaged; the driver repeats until every result is right."""
    rng = random.Random(seed)

    def faulty(data):
        return damage(rng, data) if rng.random() < 0.33 else data

    device = Device(ModelLink(there=faulty, back=faulty), attempts=40)
    assert_golden(device.infer(frames(12, seed)), frames(12, seed))
    assert device.repeated > 0


@pytest.mark.parametrize("seed", range(4))
def test_late_answers_are_not_taken_for_others(seed):
    """Some answers come after the driver has given up on them and asked again."""
    rng = random.Random(seed)
    device = Device(ModelLink(delay=lambda: rng.choice((0.0, 0.0, 1.5, 2.5))), attempts=40)
    assert_golden(device.infer(frames(12, seed)), frames(12, seed))
    assert device.repeated > 0


def test_answers_to_an_earlier_program_are_left_out():
    """The line still holds answers, with any sequence number, to whoever used it before."""
    link = ModelLink()
    for seq in range(256):
        link.write(encode_frame(bytes([2, seq]) + frames(1, seq)[0].tobytes()))
    device = Device(link, seq=3)
    assert_golden(device.infer(frames(5, 999)), frames(5, 999))


def test_silence_ends_in_an_error():
    link = ModelLink(back=lambda data: b"")
    with pytest.raises(LinkError, match=r"^identify request failed 3 times, at last because no answer within 0\.5 s$"):
        Device(link, timeout=0.5, attempts=3).identify()
    assert len(link.written) == 3
    assert 1.5 <= link.now < 1.6


def test_endless_garbage_ends_in_an_error():
    """A line that never falls silent does not keep the driver for ever."""

    class Noise(ModelLink):
        def read(self, timeout):
            self.now += 0.01
            return b"\x05garbage\x00"

    with pytest.raises(LinkError, match="^identify request failed 5 times"):
        Device(Noise()).identify()


def test_refused_requests_end_in_an_error():
    def other_status(data):
        reader = FrameReader(1000)
        return b"".join(
            encode_frame(packet[:2] + b"\x01") if packet[0] == 0x82 else encode_frame(packet)
            for packet in reader.feed(data)
        )

    with pytest.raises(LinkError, match=r"^frame 0 failed 5 times, at last because .* status BAD_LENGTH$"):
        Device(ModelLink(back=other_status)).infer(frames(1))


def test_results_that_contradict_themselves_are_refused():
    def other_class(data):
        reader = FrameReader(1000)
        return b"".join(
            encode_frame(packet[:-1] + bytes([packet[-1] ^ 1])) if packet[0] == 0x82 else encode_frame(packet)
            for packet in reader.feed(data)
        )

    with pytest.raises(LinkError, match=r"class \d+ is not that of the highest score$"):
        Device(ModelLink(back=other_class)).infer(frames(1))


def test_a_device_of_another_version_is_refused():
    def version(data):
        (packet,) = FrameReader(1000).feed(data)
        return encode_frame(packet[:3] + b"\x63" + packet[4:])

    message = r"^device does not fit this version of signfold: protocol version must be 1, not '63'$"
    with pytest.raises(LinkError, match=message):
        Device(ModelLink(back=version)).identify()


def test_infer_refuses_frames_of_the_wrong_form():
    device = Device(ModelLink())
    elements = NETWORK.input.elements
    with pytest.raises(TypeError, match="^frames must be a uint8 array, not int64$"):
        device.infer(np.zeros((1, elements), np.int64))
    with pytest.raises(
        ValueError, match=rf"^frames must have {elements} elements each, not shape \(2, {elements + 1}\)$"
    ):
        device.infer(np.zeros((2, elements + 1), np.uint8))
    if NETWORK.input.bits < 8:
        with pytest.raises(ValueError, match=r"^frames must hold codes from 0 to \d+, not 255$"):
            device.infer(np.full((1, elements), 255, np.uint8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timeout": 0}, r"^timeout must be a positive number of seconds, not 0$"),
        ({"attempts": 0}, r"^attempts must be an integer of at least 1, not 0$"),
    ],
)
def test_device_init_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        Device(ModelLink(), **arguments)


def test_reader_takes_any_cut():
    """However the bytes are cut into reads, the same packets come out."""
    rng = random.Random(1)
    packets = [rng.randbytes(rng.randint(1, 300)) for _ in range(20)]
    line = b"".join(encode_frame(packet) for packet in packets)
    for _ in range(5):
        reader, got, at = FrameReader(1000), [], 0
        while at < len(line):
            step = rng.randint(1, 40)
            got += reader.feed(line[at : at + step])
            at += step
        assert got == packets
        assert reader.damaged == 0


def test_reader_keeps_its_memory_bounded():
    reader = FrameReader(100)
    for _ in range(1000):
        assert reader.feed(b"\x55" * 99) == []
        assert len(reader._frame) <= 100
    assert reader.feed(b"\x00" + encode_frame(b"next")) == [b"next"]
    assert reader.damaged == 1


def test_serial_port_that_is_not_there():
    with pytest.raises(LinkError, match=r"^serial port '/nonexistent/port': "):
        SerialLink("/nonexistent/port", 115200)


@pytest.fixture
def serial_device():
    """Name of a pseudo-terminal with the model of the device at its other end."""
    master, slave = os.openpty()
    tty.setraw(slave)

    def device():
        received, answered = b"", 0
        while True:
            try:
                received += os.read(master, 4096)
            except OSError:
                return
            sent = PARAMETERS.compute(received)
            os.write(master, sent[answered:])
            answered = len(sent)

    threading.Thread(target=device, daemon=True).start()
    yield os.ttyname(slave)
    os.close(slave)
    os.close(master)


def test_serial_port_carries_bytes(serial_device):
    with SerialLink(serial_device, 115200) as link:
        assert link.byte_time == 10 / 115200
        assert_golden(Device(link).infer(frames(10)), frames(10))
        assert link.read(0.0) == b""


def test_command_describes_the_device(serial_device):
    result = CliRunner().invoke(app, ["infer", "--port", serial_device, "--json"])
    assert result.exit_code == 0, result.output
    described = json.loads(result.stdout)["device"]
    assert described["identity"] == NETWORK.content_hash[:32]
    assert described["elements"] == NETWORK.input.elements
    assert described["window"] == 2


def test_command_refuses_a_device_with_another_network(serial_device, tmp_path):
    random_network(np.random.default_rng(8)).save(tmp_path / "other.safetensors")
    result = CliRunner().invoke(app, ["infer", str(tmp_path / "other.safetensors"), "--port", serial_device])
    assert isinstance(result.exception, MismatchError)
    assert str(result.exception).startswith("the device computes another network: its content hash begins with ")


def test_command_refuses_a_data_set_that_does_not_fit(serial_device):
    result = CliRunner().invoke(app, ["infer", "--port", serial_device, "--data", "digits"])
    assert isinstance(result.exception, DataError)
    assert str(result.exception).startswith("data set 'digits' has 64 pixels, but the device takes ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "all"], "split is 'all', allowed: train, validation, test"),
        (["--timeout", "0"], "timeout is 0.0, allowed: a positive number of seconds"),
    ],
)
def test_command_refuses(arguments, message):
    result = CliRunner().invoke(app, ["infer", "--port", "/nonexistent", *arguments], terminal_width=200)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_compare_with_golden_names_the_first_difference():
    golden = NETWORK.evaluate(frames(4))
    compare_with_golden(NETWORK, frames(4), Results(golden.scores, golden.classes), "the device")
    scores = golden.scores.copy()
    scores[2, 0] += 2
    message = (
        rf"^1 of 4 frames from the device differ; in frame 2 the score of class 0 is {scores[2, 0]}, "
        rf"the golden model's {golden.scores[2, 0]}$"
    )
    with pytest.raises(MismatchError, match=message):
        compare_with_golden(NETWORK, frames(4), Results(scores, golden.classes), "the device")
    with pytest.raises(MismatchError, match=r"^4 of 4 frames from x differ; in frame 0 the class is "):
        compare_with_golden(NETWORK, frames(4), Results(golden.scores, golden.classes + 1), "x")


@pytest.mark.parametrize(("elements", "depth"), [(1, 16), (784, 2048), (3072, 8192), (32764, 65536)])
def test_the_buffer_holds_the_requests_of_a_window(elements, depth):
    link = HostLinkParameters(Geometry(bytes(16), elements, 8, 10, 12), lanes=1, divisor=4)
    assert link.buffer.depth == depth >= 2 * (elements + 4) > depth // 2
    frame = [code % 251 for code in range(elements)]
    line = encode_frame(bytes([2, 77, *frame]))
    seen = []
    link.compute(line * 2, lambda codes: (seen.append(codes), ([0] * 10, 0))[1])
    assert seen == [frame, frame]


def test_geometry_is_the_networks():
    assert PARAMETERS.geometry == Geometry(
        identity=identity(NETWORK),
        elements=NETWORK.input.elements,
        bits=NETWORK.input.bits,
        classes=NETWORK.classes,
        score_width=PARAMETERS.config.scores.score_width,
    )
