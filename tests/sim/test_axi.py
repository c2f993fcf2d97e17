"""The AXI wrapper, driven by cocotbext-axi: scores of the golden model, frames of the wrong length, soft resets."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.hw.axi_control import ADDRESSES
from signfold.sim.axi import run_axi, simulate_axi
from signfold.sim.axi_job import cut, load, read, stream, write
from signfold.sim.random_network import random_frames, random_network, random_plan
from signfold.sim.runner import icarus_available
from signfold.sw.axi import axi_parameters
from signfold.sw.cli.app import app
from signfold.sw.errors import BuildError, ImageError, MismatchError
from signfold.sw.generate import generate
from signfold.sw.lower import lower
from signfold.sw.network import Dense, InputType, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan

SIMULATORS = [
    "verilator",
    pytest.param("icarus", marks=pytest.mark.skipif(not icarus_available(), reason="Icarus Verilog is not installed")),
]
COUNTS = ("FRAMES_IN", "FRAMES_OUT", "SHORT_FRAMES", "LONG_FRAMES")
OKAY, SLVERR = 0, 2


class Design:
    """A wrapped accelerator, and what it has to answer."""

    def __init__(self, network, plan, folder):
        self.network, self.folder = network, folder
        self.artefacts = generate(network, plan, folder / "design", wrapper="axi")
        self.parameters = axi_parameters(network, lower(network, plan), design="accelerator")

    def packets(self, frames):
        return [self.parameters.frames.pack(frame.reshape(-1)) for frame in frames]

    def expected(self, frames):
        """Scores, and classes of the last beat, of the network itself."""
        golden = self.network.evaluate(frames)
        return golden.scores.tolist(), golden.classes.tolist()

    def check(self, answer, frames):
        """Compare packets that have come with the golden model."""
        beats = [[self.parameters.results.unpack(word) for word in packet] for packet in answer["packets"]]
        scores, classes = self.expected(frames)
        assert [[score for score, _ in packet] for packet in beats] == scores
        assert [packet[-1][1] for packet in beats] == classes

    def run(self, *steps, **options):
        return run_axi(self.artefacts, steps, self.folder / "run", **options).answers


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    rng = np.random.default_rng(4)
    network = random_network(rng, depth=2, widest=24)
    return Design(network, random_plan(rng, network, hardwired=0), tmp_path_factory.mktemp("axi"))


def counts(answer):
    return dict(zip(COUNTS, answer["data"], strict=True))


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("stall", [0, 0.4])
def test_frames(design, simulator, stall):
    """Every score and class, the cycles of a single frame, and what the registers say of it."""
    frames = random_frames(np.random.default_rng(5), design.network, 12)
    packets = design.packets(frames)
    status = read(ADDRESSES["STATUS"])
    before, one, after, rest, total, end = design.run(
        read(*ADDRESSES.values()),
        stream(packets[:1]),
        status,
        stream(packets[1:]),
        read(*(ADDRESSES[name] for name in COUNTS)),
        status,
        simulator=simulator,
        stall_in=stall,
        stall_out=stall,
        seed=7,
    )
    control = design.parameters.control
    assert before["data"] == control.compute(idle=True, frames=0, results=0, short=0, long=0)
    assert set(before["resp"]) == {OKAY}
    design.check(one, frames[:1])
    design.check(rest, frames[1:])
    assert one["packets"] + rest["packets"] == design.parameters.compute(packets)
    assert counts(total) == {"FRAMES_IN": 12, "FRAMES_OUT": 12, "SHORT_FRAMES": 0, "LONG_FRAMES": 0}
    assert after["data"] == end["data"] == [1]
    if not stall:
        cycles = one["cycles"]
        assert cycles["m_axis"][-1] - cycles["s_axis"][0] == design.parameters.latency
        ends = rest["cycles"]["m_axis"][design.parameters.results.classes - 1 :: design.parameters.results.classes]
        assert ends[-1] - ends[-2] == design.artefacts.sidecar["interval"]


@pytest.mark.parametrize("stall", [0, 0.4])
def test_frames_of_the_wrong_length(design, stall):
    """Short ones are filled up with codes 0, long ones cut; those after them are whole, and the registers tell."""
    frames = random_frames(np.random.default_rng(6), design.network, 4)
    packets = design.packets(frames)
    beats = design.parameters.frames.beats
    assert beats >= 2
    mixed = [packets[0][:-1], packets[1], [*packets[0], 1, 2, 3], packets[2], packets[3][:1], packets[3]]
    answer, total, status = design.run(
        stream(mixed),
        read(*(ADDRESSES[name] for name in COUNTS)),
        read(ADDRESSES["STATUS"]),
        stall_in=stall,
        stall_out=stall,
    )
    assert answer["packets"] == design.parameters.compute(mixed)
    whole = {**answer, "packets": [answer["packets"][k] for k in (1, 2, 3, 5)]}
    design.check(whole, frames[[1, 0, 2, 3]])
    assert counts(total) == {"FRAMES_IN": 6, "FRAMES_OUT": 6, "SHORT_FRAMES": 2, "LONG_FRAMES": 1}
    assert status["data"] == [0b111]


@pytest.mark.parametrize("stall", [0, 0.4])
def test_soft_reset(design, stall):
    """In the middle of a frame and of a result: what was under way is lost, its packet ends, and the next is whole."""
    frames = random_frames(np.random.default_rng(8), design.network, 3)
    packets = design.packets(frames)
    classes = design.parameters.results.classes
    answers = design.run(
        stream(packets[:1]),
        cut(packets[0], at=1, taken=0),
        stream(packets),
        cut(packets[1], at=len(packets[1]), taken=1),
        read(*(ADDRESSES[name] for name in COUNTS), ADDRESSES["STATUS"]),
        stream(packets),
        stall_in=stall,
        stall_out=stall,
    )
    inside, whole, result, registers, again = answers[1:]
    assert inside["beats"] == []
    design.check(whole, frames)
    design.check(again, frames)
    assert registers["data"] == [0, 0, 0, 0, 1]
    (golden,) = design.parameters.compute(packets[1:2])
    assert [last for _, last in result["beats"]] == [*[0] * (classes - 1), 1]
    found = [word for word, _ in result["beats"]]
    kept = [word for word, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(found, golden, strict=True))]
    assert 1 <= len(kept) < classes and found == kept + [0] * (classes - len(kept))


def test_accesses_that_mean_nothing(design):
    """Registers that are not there, cannot be written, or are written in bytes that do not matter: nothing happens."""
    frames = random_frames(np.random.default_rng(9), design.network, 1)
    last = max(ADDRESSES.values())
    answers = design.run(
        stream(design.packets(frames)),
        read(last + 4, 0xFFC),
        write(ADDRESSES["ID"], b"\xff" * 4),
        write(last + 4, b"\xff" * 4),
        write(ADDRESSES["CONTROL"], b"\0\0\0\0"),
        # Bytes 1 to 3: the strobe of the byte with the reset is 0.
        write(ADDRESSES["CONTROL"] + 1, b"\xff" * 3),
        read(*(ADDRESSES[name] for name in ("ID", *COUNTS))),
        stall_in=0.3,
        stall_out=0.3,
    )
    assert answers[1] == {"data": [0, 0], "resp": [SLVERR, SLVERR]}
    assert [answer["resp"] for answer in answers[2:6]] == [SLVERR, SLVERR, OKAY, OKAY]
    assert answers[6]["data"][1:] == [1, 1, 0, 0] and answers[6]["data"][0].to_bytes(4, "little") == b"SGNF"


def test_weights_that_are_loaded(tmp_path):
    """By a stream of their own; a soft reset keeps them."""
    rng = np.random.default_rng(3)
    nodes = (
        Threshold("pixels", "input", rng.integers(1, 4, (6, 1))),
        Dense("dense0", "pixels", rng.integers(0, 2, (5, 6)).astype(np.uint8)),
        Threshold("sign0", "dense0", 2 * rng.integers(1, 6, (5, 1)) - 6),
        Dense("dense1", "sign0", rng.integers(0, 2, (3, 5)).astype(np.uint8)),
    )
    network = Network(InputType((6,), 2), nodes, "dense1")
    plan = Plan((LayerPlan(2, 3, memory="loaded"), LayerPlan(shares=True)))
    design = Design(network, plan, tmp_path)
    frames = random_frames(rng, network, 5)
    packets = design.packets(frames)
    chunks = [list(chunk) for chunk in design.parameters.config.chunks]
    answers = design.run(
        load(chunks), stream(packets), cut(packets[0], at=2, taken=0), stream(packets), stall_in=0.2, stall_out=0.2
    )
    design.check(answers[1], frames)
    design.check(answers[3], frames)
    streams = design.artefacts.sidecar["wrapper"]["streams"]
    assert streams["s_axis_weights"]["beats"] == len(chunks[0])


def test_command(design, tmp_path):
    """Of a generated folder; one without the wrapper is refused."""
    arguments = ["simulate", str(design.artefacts.folder), "--harness", "axi", "--data", "random", "--json"]
    run = CliRunner().invoke(app, [*arguments, "--frames", "24", "--stall-in", "0", "--stall-out", "0"])
    assert run.exit_code == 0, run.output
    result = json.loads(run.stdout)
    assert (result["latency"], result["interval"]) == (
        design.parameters.latency,
        design.artefacts.sidecar["interval"],
    )
    design.network.save(tmp_path / "net.safetensors")
    generate(design.network, Plan.load(design.artefacts.folder / "plan.toml"), tmp_path / "plain")
    run = CliRunner().invoke(app, ["simulate", str(tmp_path / "plain"), "--harness", "axi", "--data", "random"])
    assert isinstance(run.exception, ImageError) and "generate it with --wrapper axi" in str(run.exception)
    assert CliRunner().invoke(app, [*arguments, "--netlist", "ice40"]).exit_code == 2


def test_a_wrong_result_is_told(design):
    """A folder whose network is not the one in the Verilog."""
    other = replace(design.artefacts, network=Network.load(design.artefacts.folder / "network.safetensors"))
    nodes = list(other.network.nodes)
    k = max(k for k, node in enumerate(nodes) if isinstance(node, Dense))
    nodes[k] = replace(nodes[k], weights=1 - nodes[k].weights)
    wrong = replace(other, network=Network(other.network.input, tuple(nodes), other.network.output))
    frames = random_frames(np.random.default_rng(5), design.network, 2)
    with pytest.raises(MismatchError, match=r"^the registers tell of network [0-9a-f]{64}, not [0-9a-f]{64}$"):
        simulate_axi(wrong, frames)


def test_registers_are_documented():
    """docs/integration.md names every register at its address."""
    text = (Path(__file__).parents[2] / "docs" / "integration.md").read_text()
    for name, address in ADDRESSES.items():
        row = f"| `0x{address:02X}` | `{name}` |"
        assert row in text or name.startswith("HASH"), f"docs/integration.md has no row {row}"
    first, last = ADDRESSES["HASH0"], ADDRESSES["HASH7"]
    assert f"| `0x{first:02X}` to `0x{last:02X}` | `HASH0` to `HASH7` |" in text


def test_a_broken_rule_is_told(design, tmp_path):
    """An offer that is taken back: a fault that scores alone may not show."""
    path = design.artefacts.folder / "accelerator_axi.v"
    text = path.read_text()
    damaged = text.replace("(m_axis_tvalid)", "(steady)", 1)
    flicker = "  reg odd = 0;\n  always @(posedge aclk) odd <= ~odd;\n  wire steady;\n"
    damaged = damaged.replace("  wire m_axis_tvalid;\n", f"{flicker}  wire m_axis_tvalid = steady & odd;\n")
    assert damaged.count("steady") == 3
    path.write_text(damaged)
    frames = random_frames(np.random.default_rng(5), design.network, 4)
    try:
        with pytest.raises(BuildError, match=r"^the AXI wrapper failed after 0 steps: m_axis: .* was not taken"):
            run_axi(design.artefacts, [stream(design.packets(frames))], tmp_path, stall_in=0.4, stall_out=0.4)
    finally:
        path.write_text(text)
