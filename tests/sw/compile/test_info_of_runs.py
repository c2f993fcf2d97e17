"""`signfold info` of run folders and topologies: a row a layer, and totals."""

import json
import sys

import numpy as np
import pytest

from signfold.sw.cli.app import main


@pytest.fixture
def info(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["signfold", "info", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        return int(exit.value.code or 0), *capsys.readouterr()

    return run


def test_of_a_run(info, make_image_run, tmp_path) -> None:
    folder = make_image_run(np.random.default_rng(1)).write(tmp_path / "run")
    code, out, _ = info(folder, "--json")
    found = json.loads(out)
    assert code == 0 and found["dataset"] == "digits" and found["run"] == str(folder)
    rows = {row["name"]: row for row in found["layers"]}
    assert (rows["conv0"]["products"], rows["conv0"]["binary"]) == (6 * 9 * 64, 0)
    assert (rows["conv1"]["products"], rows["conv1"]["binary"]) == (6 * 9 * 16, 6 * 9 * 16)
    assert (rows["norm1"]["bits"], rows["conv2"]["weight_bits"], rows["dense0"]["weight_bits"]) == (2, 2, 2)
    code, out, _ = info(folder)
    lines = out.splitlines()
    assert code == 0 and lines[0].split()[:5] == ["layer", "kind", "shape", "bits", "weights"]
    assert any(line.split() == ['"conv1"', '"conv"', "6x4x4", "sums", *"54 x 1 bit 864 100%".split()] for line in lines)
    run = make_image_run(np.random.default_rng(1))
    del run.layer("conv1")["kernel"]
    code, _, err = info(run.write(tmp_path / "damaged"))
    assert code == 2 and "the layer list is damaged ('kernel')" in " ".join(err.split())


def test_of_topologies(info) -> None:
    code, out, _ = info("lenet-5", "--shape", "28x28", "--json")
    found = json.loads(out)
    assert code == 0 and found["topology"] == "lenet-5" and found["weights"] == 430_500
    code, out, _ = info("8c3,p2,16", "--shape", "1x6x6", "--classes", "3")
    assert code == 0 and "weights     632 of 632 bits (3.1% of 32 bits each)" in out
    code, _, err = info("8c3,p2,16", "--shape", "1x3x3")
    assert code == 2 and "pool0 has a window of 2x2" in " ".join(err.split())
    code, _, err = info("cnv", "--shape", "3x32")
    assert code == 2
    code, _, err = info("cnv", "--shape", "3x-32x32")
    assert code == 2 and "shape is '3x-32x32', allowed: height x width" in " ".join(err.split())
