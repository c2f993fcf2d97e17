"""The benchmark of the golden model runs, and its evaluations agree."""

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[3] / "benchmarks" / "golden.py"


def test_runs() -> None:
    command = [sys.executable, PROGRAM, "--frames", "3", "--reference-frames", "1"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["equal"] and result["frames"] == 3 and result["frames_per_second"] > 0
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and "frames per second" in done.stdout
