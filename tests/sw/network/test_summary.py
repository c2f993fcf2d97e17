"""What a network says about itself, as JSON and as a table."""

import json

import numpy as np

from signfold.sim.random_conv import random_conv_network
from signfold.sw.cli.info import info
from signfold.sw.network import Affine, Conv, Dense, InputType, Network, SumPool
from signfold.sw.network.summary import summarize


def test_numbers(image_network) -> None:
    summary = summarize(image_network)
    conv, pool, codes, _, _, dense = summary["layers"]
    found = {key: conv[key] for key in ("fan_in", "weights", "levels", "weight_bits", "products", "pad", "groups")}
    assert found == {
        "fan_in": 8,
        "weights": 24,
        "levels": 4,
        "weight_bits": 48,
        "products": 144,
        "pad": 2,
        "groups": 1,
    }
    assert (conv["kernel"], conv["stride"], conv["padding"]) == ([2, 2], [1, 1], [1, 0, 0, 1])
    assert (conv["shape"], conv["low"], conv["high"], conv["step"], conv["kind"]) == ([3, 2, 3], -72, 72, 2, "sum")
    assert (pool["kernel"], pool["stride"], pool["padding"]) == ([2, 2], [2, 1], [0, 1, 0, 0])
    assert (codes["inverted"], codes["thresholds"], codes["never"], codes["kind"]) == (2, 9, 1, "code")
    assert dense["zeros"] == int((image_network.node("last").weights == 1).sum())
    assert (summary["weights"], summary["weight_bits"], summary["products"]) == (36, 72, 156)


def test_table(image_network, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    weights = np.ones((2, 1, 3, 3), np.uint8)
    nodes = (
        Conv("conv", "input", weights, (2, 1), (1, 1, 1, 1), groups=2),
        SumPool("sum", "conv", (2, 3), (1, 1)),
        Affine("scores", "sum", np.array([1, 2]), np.array([0, 0]), 7),
    )
    networks = [image_network, Network(InputType((2, 4, 3), 1), nodes, "scores")]
    networks.append(Network(InputType((4,), 2), (Dense("d", "input", np.eye(4, dtype=np.uint8)),), "d"))
    texts = []
    for network in networks:
        network.save(tmp_path / "net")
        info(str(tmp_path / "net"), as_json=False)
        texts.append(capsys.readouterr().out)
    for words in (
        "36 (72 bits)",
        "156 a frame",
        "2x2 padding 1 0 0 1 of code 2, fan-in 8, 4 weight levels",
        "2x2 stride 2x1 padding 0 1 0 0",
        "1 never, 2 inverted",
        "ternary",
    ):
        assert words in texts[0], words
    assert "3x3 stride 2x1 padding 1 of zero, depthwise, fan-in 9, 100.0% ones" in texts[1]
    assert "7 fraction bits" in texts[1]
    assert "fan-in 4, 25.0% ones" in texts[2]


def test_every_network_has_a_summary(tmp_path, capsys) -> None:
    for seed in range(20):
        network = random_conv_network(np.random.default_rng(seed))
        network.save(tmp_path / "net")
        info(str(tmp_path / "net"), as_json=True)
        assert json.loads(capsys.readouterr().out)["content_hash"] == network.content_hash, f"seed {seed}"
        info(str(tmp_path / "net"), as_json=False)
        assert network.content_hash in capsys.readouterr().out
