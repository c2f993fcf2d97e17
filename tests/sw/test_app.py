"""What all commands share: help, version, and errors without a traceback."""

import subprocess
import sys
from importlib.metadata import version

import pytest

from signfold.sw.cli.app import COMMANDS


def signfold(*arguments):
    command = [sys.executable, "-c", "from signfold.sw.cli.app import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_version():
    assert signfold("--version").stdout == f"signfold {version('signfold')}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    done = signfold(command, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout and command in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("info", "no-such-network"), "sfc-mnist"),
        (("evaluate", "sfc-mnist-bits", "--data", "svhn"), "svhn"),
        (("generate", "sfc-mnist-bits", "--target-cycles", "3"), "target cycles must be at least 784"),
        (("generate", "sfc-mnist-bits", "--plan", "no-such-plan.toml"), "no-such-plan.toml"),
        (("build", "sfc-mnist-bits", "--board", "no-such-board"), "ulx3s-85f"),
        (("generate", "sfc-mnist-bits", "--out", "/proc/no/such"), "/proc/no"),
    ],
)
def test_bad_input_exits_2_and_says_why(arguments, words):
    done = signfold(*arguments)
    assert done.returncode == 2
    assert words in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
