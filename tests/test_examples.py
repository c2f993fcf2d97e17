"""The examples run, and print what they promise."""

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_quickstart(tmp_path):
    text = (EXAMPLES / "quickstart.py").read_text()
    assert len(text.splitlines()) <= 30
    done = subprocess.run(
        [sys.executable, EXAMPLES / "quickstart.py"], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    golden, verilog = re.search(r"golden model (\S+), Verilog (\S+)", done.stdout).groups()
    assert golden == verilog and float(golden) > 0.75
    assert (tmp_path / "build" / "quickstart" / "accelerator" / "accelerator.v").is_file()


def test_demo(tmp_path):
    """The table of `make demo`, from a shorter training: about a minute, most of it place and route."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py", "--out", tmp_path / "demo", "--epochs", "3"], cwd=tmp_path,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    accuracies = dict(re.findall(r"accuracy, (\w+ \w+)\W+(0\.\d{4})", done.stdout))
    assert set(accuracies) == {"float model", "integer network", "generated Verilog"}
    assert accuracies["integer network"] == accuracies["generated Verilog"]
    for row in ("latency", "initiation interval", "LUTs", "BRAM", "Fmax", "bitstream"):
        assert re.search(rf"{row} +│ +\d", done.stdout), row
    assert (tmp_path / "demo" / "icebreaker" / "icebreaker.bin").is_file()
