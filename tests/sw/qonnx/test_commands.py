"""`signfold import` and `signfold export` as a user meets them."""

import builtins
import json

import numpy as np
import pytest

from signfold.sw import zoo
from signfold.sw.network import Network


def test_out_and_in_again(signfold, tmp_path):
    pytest.importorskip("sklearn", reason="the digits data set needs signfold[train]")
    code, out, err = signfold("export", "digits", "-o", "net.onnx", "--form", "multithreshold", "--json")
    assert code == 0, err
    assert json.loads(out) == {
        "network": "digits",
        "file": "net.onnx",
        "form": "multithreshold",
        "bytes": (tmp_path / "net.onnx").stat().st_size,
    }
    arguments = ("import", "net.onnx", "--data", "digits", "--report", "report.json")
    code, out, err = signfold(*arguments, "--json")
    assert code == 0, err
    result = json.loads(out)
    report = json.loads((tmp_path / "report.json").read_text())
    assert result == {"network": "net.safetensors", "content_hash": zoo.load("digits").content_hash, **report}
    assert report["agreement"]["equal"] == report["agreement"]["scores"] > 0
    assert report["scores"] == {"kind": "sums", "scale": 1.0, "offset": 0.0}
    network = Network.load(tmp_path / "net.safetensors")
    assert network.metadata["name"] == "net" and network.metadata["dataset"] == "digits"
    assert network.metadata["accuracy"]["integer"] == report["accuracy"]["integer"]
    code, out, err = signfold(*arguments)
    assert code == 0 and "raw sums" in out and "are those of the graph" in out


def test_what_does_not_fold_exits_2(signfold, builder, tmp_path):
    graph = builder((1, 4))
    graph.add("Sigmoid")
    graph.add("MatMul", np.ones((4, 2)))
    graph.save(tmp_path / "net.onnx")
    code, out, err = signfold("import", "net.onnx")
    assert code == 2 and "node 'Sigmoid1' (Sigmoid)" in err and "Traceback" not in err and out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx"]
    for arguments, words in (
        (("compile", "net.onnx"), "signfold import"),
        (("import", "none.onnx"), "cannot read"),
        (("import", "net.onnx", "--pixel-scale", "1e999999"), "pixel-scale"),
        (("import", "net.onnx", "--data", "digits", "--split", "all"), "split"),
        (("export", "digits", "-o", "x.onnx", "--form", "finn"), "quant, multithreshold"),
        (("export", "digits", "-o", "no/such/x.onnx"), "no/such"),
    ):
        code, out, err = signfold(*arguments)
        assert code == 2 and words in err.replace("\n", " "), err
        assert "Traceback" not in err and out == ""


def test_a_missing_package_is_named(signfold, builder, tmp_path, monkeypatch):
    graph = builder((1, 4))
    graph.add("MatMul", np.ones((4, 2)))
    graph.save(tmp_path / "net.onnx")
    original = builtins.__import__

    def absent(name, *rest):
        if name.split(".")[0] == "onnx":
            raise ModuleNotFoundError("No module named 'onnx'", name="onnx")
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    for arguments in (("import", "net.onnx"), ("export", "digits", "-o", "x.onnx")):
        code, _, err = signfold(*arguments)
        assert code == 2 and "signfold[onnx]" in err
