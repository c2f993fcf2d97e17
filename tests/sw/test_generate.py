"""Generate: the same bytes every time, all or nothing, and names from files never become identifiers."""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.sim.random_network import random_network, random_plan
from signfold.sw.artefacts import is_generated, load_artefacts
from signfold.sw.cli.app import app
from signfold.sw.errors import ImageError, MismatchError, PlanError
from signfold.sw.generate import generate
from signfold.sw.lower import lower, stream_order
from signfold.sw.network import Conv, InputType, MaxPool, Network, SumPool, Threshold
from signfold.sw.plan import LayerPlan, Plan

HOSTILE = [
    "x\n  connect \\leak 4'1111 #",
    'a"b',
    "module",
    "end\nend\nmodule \\evil\n",
    "*/ $finish; /*",
    "`define x",
    "\u202e\x00\x1b[2J",
    "../../etc/passwd",
    "n" * 65536,
]


def network_and_plan(seed=11, depth=2):
    rng = np.random.default_rng(seed)
    network = random_network(rng, depth=depth, widest=20)
    return network, random_plan(rng, network, hardwired=0)


def renamed(network, names):
    """Return the network with other node names."""
    new = dict(zip((node.name for node in network.nodes), names, strict=False))
    nodes = [replace(node, name=new[node.name], input=new.get(node.input, node.input)) for node in network.nodes]
    return Network(network.input, tuple(nodes), new[network.output])


def rewritten(contents, folder):
    """Write a generated folder's files once more, to be changed."""
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


SCRIPT = """
import sys; sys.path.insert(0, {tests!r})
from test_generate import network_and_plan
from signfold.sw.generate import generate
generate(*network_and_plan(), "out")
"""


def test_same_bytes_in_other_folders_runs_and_hash_seeds(tmp_path, benign):
    for seed in ("1", "2"):
        folder = tmp_path / f"seed {seed}"
        folder.mkdir()
        script = SCRIPT.format(tests=os.path.dirname(__file__))
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, check=True)
        assert files(folder / "out") == benign


@pytest.fixture(scope="module")
def benign(tmp_path_factory):
    """Generate a network with plain names; its files, not to be changed."""
    return files(generate(*network_and_plan(), tmp_path_factory.mktemp("benign") / "out").folder)


@pytest.mark.parametrize("first", range(0, len(HOSTILE), 4))
def test_hostile_names_give_the_same_verilog_and_images(tmp_path, benign, first):
    network, plan = network_and_plan()
    assert len(network.nodes) >= 4
    names = [f"{HOSTILE[(first + k) % len(HOSTILE)]}{k}" for k in range(len(network.nodes))]
    hostile = files(generate(renamed(network, names), plan, tmp_path / "hostile").folder)
    assert set(benign) == set(hostile)
    changed = {name for name in benign if benign[name] != hostile[name]}
    # The sidecar maps stages to nodes, and the network's copy holds its names; nothing else knows them.
    assert changed <= {"accelerator.json", "network.safetensors"}
    assert load_artefacts(tmp_path / "hostile").sidecar["taps"][0]["node"] == names[0]


def test_no_path_of_this_machine_in_any_file(benign, tmp_path):
    for name, content in benign.items():
        assert str(tmp_path.parent).encode() not in content and b"site-packages" not in content, name


def test_sidecar_tells_ports_and_timing(tmp_path):
    network, plan = network_and_plan()
    artefacts = generate(network, plan, tmp_path / "out")
    sidecar, config = artefacts.sidecar, lower(network, plan)
    assert (sidecar["latency"], sidecar["interval"]) == (config.latency, config.interval)
    assert sidecar["content_hash"] == network.content_hash
    header = re.search(r"^module accelerator\((.*?)\);", artefacts.verilog.read_text(), re.M)[1]
    assert sorted(port["name"] for port in sidecar["ports"]) == sorted(header.split(", "))
    for port in sidecar["ports"]:
        width = f"[{port['width'] - 1}:0] " if port["width"] > 1 else ""
        assert f"  {port['direction']} {width}{port['name']};\n" in artefacts.verilog.read_text()
        if "fields" in port:
            assert sum(field["width"] for field in port["fields"]) == port["width"]
    for name, entry in sidecar["files"].items():
        assert hashlib.sha256((artefacts.folder / name).read_bytes()).hexdigest() == entry["sha256"]
    assert set(sidecar["files"]) | {"accelerator.json"} == set(files(artefacts.folder))
    assert Plan.load(artefacts.folder / "plan.toml") == plan


def test_monitored_streams_exist_in_every_stage(tmp_path):
    """The bench looks for these names."""
    for seed, depth in ((0, 1), (1, 3)):
        artefacts = generate(*network_and_plan(seed, depth), tmp_path / str(seed))
        text = artefacts.verilog.read_text()
        for tap in artefacts.sidecar["taps"]:
            module = re.search(rf"^module accelerator__{tap['instance']}\(.*?^endmodule", text, re.M | re.S)[0]
            for signal in ("o__payload", "o__valid", "o__ready"):
                assert re.search(rf"^  (input|output|wire|reg)\b.* {signal}\b", module, re.M), (tap, signal)


def image_network():
    """Pixels without thresholds, thresholds moved before a pooling, two rows, sums that need correction."""
    rng = np.random.default_rng(5)
    nodes = (
        Conv("conv", "input", rng.integers(0, 2, (3, 2, 3, 3)).astype(np.uint8), padding=(1, 1, 1, 1)),
        MaxPool("max", "conv", (2, 2), (2, 2)),
        Threshold("codes", "max", np.array([[-5, 0, 5]])),
        Conv("last", "codes", rng.integers(0, 2, (4, 3, 2, 2)).astype(np.uint8), padding=(0, 1, 0, 1)),
        SumPool("scores", "last", (2, 3), (1, 1)),
    )
    network = Network(InputType((2, 4, 6), 2), nodes, "scores")
    return network, Plan((LayerPlan(2, 2, 1, rows=2), LayerPlan(4, 3, 1)), 2)


def test_sidecar_of_a_network_on_images(tmp_path):
    network, plan = image_network()
    sidecar = generate(network, plan, tmp_path / "out").sidecar
    config = lower(network, plan)
    assert sidecar["settling"] == config.settling and sidecar["latency"] == config.latency
    assert sidecar["input"]["order"] == [1, 2, 0] and sidecar["input"]["elements"] == 48
    frames = np.random.default_rng(6).integers(0, 4, (3, 2, 4, 6)).astype(np.uint8)
    assert (frames.transpose(0, 2, 3, 1).reshape(3, -1) == stream_order(network, frames)).all()
    assert sidecar["plan"]["layers"][0] == {"cols": 2, "simd": 2, "hop": 1, "stages": 1, "rows": 2}
    taps = {tap["instance"]: tap for tap in sidecar["taps"]}
    assert {name: tap["node"] for name, tap in taps.items()} == {
        "pixels": "input",
        "engine_1": "codes",
        "engine_2": "last",
        "engine_3": "scores",
    }
    outputs = dict(zip(("pixels", "engine_0", "engine_1", "engine_2", "engine_3"), config.trace(
        stream_order(network, frames)), strict=True))  # fmt: skip
    trace = {"input": frames, **network.trace(frames)}
    for name, tap in taps.items():
        value = trace[tap["node"]].transpose(0, 2, 3, 1).reshape(3, -1)
        found = outputs[name].reshape(3, -1)
        assert found.shape[1] == tap["height"] * tap["width"] * tap["channels"]
        assert ((tap["step"] * found - tap["origin"] if tap["kind"] == "sums" else found) == value).all()
    text = (tmp_path / "out" / "accelerator.v").read_text()
    assert (
        "// Layer 0 4x6x2 -> 4x6x3, 3x3: 2 rows of 2 columns of 2 bits, hop 1, 2 passes of 9 words, planes of 2 x 1 "
        in text
    )
    assert "// Layer 1 4x6x3 -> 2x3x3, max of 2x2: " in text
    for name in taps:
        ports = re.search(rf"^module accelerator__{name}\((.*?)\);", text, re.M)[1].split(", ")
        assert {"o__payload", "o__valid", "o__ready"} <= set(ports)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "l0_w0.mem").write_text("0\n"), r"l0_w0\.mem \(SHA-256 is"),
        (lambda f: (f / "accelerator.v").write_text("module accelerator; endmodule"), r"accelerator\.v \(SHA-256 is"),
        (lambda f: (f / "l0_t.mem").unlink(), r"l0_t\.mem \(No such file or directory\)"),
        (lambda f: (f / "network.safetensors").write_bytes(b"x"), r"network\.safetensors \(SHA-256 is"),
    ],
)
def test_changed_files_are_named(tmp_path, benign, change, message):
    folder = rewritten(benign, tmp_path)
    change(folder)
    with pytest.raises(MismatchError, match=message):
        load_artefacts(folder)


def test_another_network_in_the_folder_is_noticed_without_checksums(tmp_path, benign):
    folder = rewritten(benign, tmp_path)
    network_and_plan(12)[0].save(folder / "network.safetensors")
    with pytest.raises(MismatchError, match="content hash"):
        load_artefacts(folder, verify=False)


def test_sidecars_cannot_name_files_elsewhere(tmp_path, benign):
    folder = rewritten(benign, tmp_path)
    sidecar = json.loads((folder / "accelerator.json").read_text())
    sidecar["files"]["../secret"] = {"bytes": 0, "sha256": ""}
    (folder / "accelerator.json").write_text(json.dumps(sidecar))
    with pytest.raises(ImageError, match=r"'\.\./secret' must not hold a folder$"):
        load_artefacts(folder)


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{", b'{"format": "other", "version": 1}', b"[" * 100_000])
def test_folders_that_are_none_are_refused(tmp_path, content):
    assert not is_generated(tmp_path)
    if content is not None:
        (tmp_path / "accelerator.json").write_bytes(content)
    with pytest.raises(ImageError, match=r"accelerator\.json: "):
        load_artefacts(tmp_path)


def test_nothing_is_left_behind_by_a_failure(tmp_path, benign):
    network, _ = network_and_plan()
    with pytest.raises(PlanError):
        generate(network, Plan((LayerPlan(1, 1),)), tmp_path / "new" / "out")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()
    folder = rewritten(benign, tmp_path / "out")
    with pytest.raises(PlanError):
        generate(network, Plan((LayerPlan(1, 1),)), folder)
    assert files(folder) == benign and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_generated_folder_is_replaced_and_an_equal_one_left_alone(tmp_path, benign):
    network, plan = network_and_plan()
    (tmp_path / "out").mkdir()
    folder = rewritten(benign, tmp_path / "out")
    (folder / "build").mkdir()
    (folder / "build" / "simulator").write_text("kept")
    generate(network, plan, folder)
    assert (folder / "build" / "simulator").read_text() == "kept"
    other, other_plan = network_and_plan(12)
    generate(other, other_plan, folder)
    assert load_artefacts(folder).network.content_hash == other.content_hash
    assert not (folder / "build").exists() and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_foreign_files_are_never_destroyed(tmp_path):
    network, plan = network_and_plan()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(ImageError, match=r"holds 'thesis\.tex', which generate has not written: remove it$"):
        generate(network, plan, tmp_path / "out")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ImageError, match="must be a folder or not exist$"):
        generate(network, plan, tmp_path / "file")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with pytest.raises(ImageError, match="must be a folder or not exist$"):
        generate(network, plan, tmp_path / "link")
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"


def test_command(tmp_path):
    network, _ = network_and_plan()
    network.save(tmp_path / "net.safetensors")
    arguments = ["generate", str(tmp_path / "net.safetensors"), "--out", str(tmp_path / "out"), "--json"]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 0, run.output
    result = json.loads(run.stdout)
    assert result["content_hash"] == network.content_hash and is_generated(result["folder"])
    plan = str(tmp_path / "out" / "plan.toml")
    run = CliRunner().invoke(app, [*arguments[:-1], "--plan", plan])
    assert run.exit_code == 0 and "latency" in run.stdout
    run = CliRunner().invoke(app, [*arguments, "--plan", plan, "--lanes", "2"])
    assert run.exit_code == 2
