"""Two processes on one machine: the same checkpoint whether run straight or stopped and continued."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from safetensors.numpy import load_file  # noqa: E402

from signfold.sw.errors import CheckpointError  # noqa: E402
from signfold.sw.train.checkpoint import read_checkpoint  # noqa: E402
from signfold.sw.train.loop import train  # noqa: E402
from signfold.sw.train.options import TrainingOptions  # noqa: E402
from signfold.sw.train.processes import Processes  # noqa: E402

#: What each process runs: the same network straight, then stopped in the third epoch and continued.
SCRIPT = """
import sys
from pathlib import Path
from signfold.sw.data import load
from signfold.sw.train.loop import train
from signfold.sw.train.options import TrainingOptions

class Stop(Exception):
    pass

options = TrainingOptions(
    "digits", "16,12", 4, 64, 0.02, dropout=0.1, shift=1, weights="2", last_weights="1", processes=2, device="cpu"
)
folder, data = Path(sys.argv[1]), load("digits")
train(options, data, folder / "straight")

from signfold.sw.train.course import Course
rate = Course.rate

def stopping(self, epoch, share):
    if epoch == 2 and share > 0.5:
        raise Stop
    return rate(self, epoch, share)

Course.rate = stopping
try:
    train(options, data, folder / "stopped")
    raise SystemExit("was not stopped")
except Stop:
    pass
Course.rate = rate
train(options, data, folder / "stopped", resume=True)
"""


def environment(rank: int, port: int) -> dict[str, str]:
    own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    return os.environ | own | {"MASTER_PORT": str(port), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def outcome(run: Path) -> tuple[dict[str, bytes], list[dict], dict[str, bytes]]:
    checkpoint = read_checkpoint(run)
    history = [{key: value for key, value in entry.items() if key != "seconds"} for entry in checkpoint.history]
    best = {name: value.tobytes() for name, value in load_file(run / "best.safetensors").items()}
    return {name: value.tobytes() for name, value in checkpoint.tensors.items()}, history, best


def test_two_processes_reach_the_same_checkpoint_straight_or_continued(tmp_path) -> None:
    port = free_port()
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    running = [subprocess.Popen(command, env=environment(rank, port), cwd=tmp_path) for rank in range(2)]
    try:
        assert [process.wait(timeout=300) for process in running] == [0, 0]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert outcome(tmp_path / "straight") == outcome(tmp_path / "stopped")
    stored = read_checkpoint(tmp_path / "straight")
    assert len(stored.history) == 4 and stored.training["processes"] == 2
    assert stored.best["validation_accuracy"] > 0.2


@pytest.mark.sweep
def test_torchrun_continues_a_run_that_was_killed(tmp_path) -> None:
    def torchrun(folder: str, *more: str) -> list[str]:
        start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port"]
        code = "from signfold.sw.cli.app import main; main()"
        command = [*start, str(free_port()), "--no-python", sys.executable, "-c", code, "train", "--out", folder]
        return [*command, *more]

    options = ["12", "--data", "digits", "--epochs", "30", "--batch", "64", "--device", "cpu"]
    subprocess.run(torchrun("straight", *options), cwd=tmp_path, check=True, timeout=300)
    with subprocess.Popen(torchrun("stopped", *options), cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("epoch 10/"):
                process.terminate()
                break
        process.communicate(timeout=60)
    assert 10 <= len(read_checkpoint(tmp_path / "stopped").history) < 30
    subprocess.run(torchrun("stopped", "--resume"), cwd=tmp_path, check=True, timeout=300)
    assert outcome(tmp_path / "straight") == outcome(tmp_path / "stopped")


def test_shares_are_a_partition_of_the_batch() -> None:
    assert [Processes(rank, 3).share(12, 6) for rank in range(3)] == [slice(12, 14), slice(14, 16), slice(16, 18)]
    assert Processes.of_environment({}) == Processes()
    assert Processes.of_environment({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}) == Processes(5, 8, 1)
    assert not Processes(1, 2).writes and Processes().writes


def test_another_number_of_processes_is_refused(tmp_path) -> None:
    from signfold.sw.data import load

    options = TrainingOptions("digits", "8", 1, 64, 0.02, processes=2)
    with pytest.raises(CheckpointError, match="torchrun --nproc-per-node 2"):
        train(options, load("digits"), tmp_path / "run")
    with pytest.raises(ValueError, match="processes is 3"):
        TrainingOptions("digits", "8", 1, 64, 0.02, processes=3)
