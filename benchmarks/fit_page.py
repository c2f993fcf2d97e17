"""Does it fit: shipped networks on FPGAs, by the planner; writes docs/fit.md.

python benchmarks/fit_page.py                 # print the page
python benchmarks/fit_page.py --out docs/fit.md
"""

import argparse
import importlib
import pkgutil
from pathlib import Path

from rich.console import Console

from signfold.sw import zoo
from signfold.sw.errors import PlanError
from signfold.sw.layers import network_layers
from signfold.sw.planner.devices import BOARDS, DEVICES, Device
from signfold.sw.planner.planner import Planner
from signfold.sw.planner.refusals import logic_name

#: Clock of devices whose board `signfold build` does not know, in MHz.
CLOCKS = {"ice40": 12.0, "ecp5": 25.0, "xilinx": 100.0}
#: Beginnings of the device names of amaranth-boards.
_NAMES = {
    "iCE40HX1K": "iCE40HX1K",
    "iCE40UP5K": "iCE40UP5K",
    "iCE40HX4K": "iCE40HX8K",
    "iCE40HX8K": "iCE40HX8K",
    "iCE40LP8K": "iCE40HX8K",
    "LFE5U-12F": "LFE5U-25F",
    "LFE5U-25F": "LFE5U-25F",
    "LFE5UM-25F": "LFE5U-25F",
    "LFE5U-45F": "LFE5U-45F",
    "LFE5UM-45F": "LFE5U-45F",
    "LFE5UM5G-45F": "LFE5U-45F",
    "LFE5U-85F": "LFE5U-85F",
    "LFE5UM-85F": "LFE5U-85F",
    "LFE5UM5G-85F": "LFE5U-85F",
    "xc7z010": "XC7Z010",
    "xc7z020": "XC7Z020",
    "xc7a35t": "XC7A35T",
    "xc7a100t": "XC7A100T",
}


def boards() -> dict[str, list[str]]:
    """Return the boards of amaranth-boards by the device that they hold."""
    import amaranth_boards

    found: dict[str, list[str]] = {name: [] for name in DEVICES}
    for module in pkgutil.iter_modules(amaranth_boards.__path__):
        try:
            content = vars(importlib.import_module(f"amaranth_boards.{module.name}"))
        except ImportError:
            continue
        for name, value in content.items():
            device = getattr(value, "device", None)
            own = isinstance(value, type) and value.__module__ == f"amaranth_boards.{module.name}"
            if own and isinstance(device, str):
                known = [to for start, to in _NAMES.items() if device.lower().startswith(start.lower())]
                if known:
                    found[known[0]].append(name.removesuffix("Platform").strip("_"))
    return found


def entry(planner: Planner, device: Device, clock: float) -> tuple[str, str]:
    """Return the smallest and the fastest plan of a network on a device."""
    limits = planner.limits(int(0.9 * device.logic), device.brams)
    try:
        slow = planner.smallest(planner.search.intervals()[-1], limits)
    except PlanError as error:
        return f"no: {str(error).rpartition(': ')[2]}", ""
    try:
        fast = planner.fastest(limits)
    except PlanError:
        fast = slow
    return _cell(slow, device, clock), _cell(fast, device, clock)


def _cell(planned, device: Device, clock: float) -> str:
    cost = planned.cost
    return (
        f"{planned.interval:,} cycles, {clock * 1e6 / planned.interval:,.0f} frames/s: {cost.cells:,.0f} "
        f"({cost.cells / device.logic:.0%}), {cost.brams} RAMs ({cost.brams / device.brams:.0%})"
    )


def page(console: Console, networks: list[str]) -> str:
    """Return the page."""
    lines = [
        "# Does it fit?",
        "",
        "Shipped networks on FPGAs. **Predicted, not built**: cycles are exact, resources those of the cost model",
        "([planning.md](planning.md) tells how far it is off), with the host link, in at most 90 % of the logic and",
        "all block RAMs. Weights lie in block RAM or LUTs; memories that a host fills before the first frame, shared",
        "engines and hardwired layers are not looked at: a network that does not fit here may fit with those.",
        "Written by `python benchmarks/fit_page.py --out docs/fit.md`.",
        "",
    ]
    known = boards()
    clocks = {board.device.name: board.clock_mhz for board in BOARDS.values()}
    for network in networks:
        loaded = zoo.load(network)
        lines += [f"## {network}", "", "| FPGA | logic, block RAMs | clock | smallest plan | fastest plan |"]
        lines += ["|---|---|---|---|---|"]
        planners: dict[str, Planner] = {}
        for device in DEVICES.values():
            with console.status(f"{network} on {device.name}"):
                if device.fabric not in planners:
                    planners[device.fabric] = Planner(loaded, device.fabric, hosted=True)
                clock = clocks.get(device.name, CLOCKS[device.fabric])
                slow, fast = entry(planners[device.fabric], device, clock)
            size = f"{device.logic:,} {logic_name(device.fabric)}, {device.brams}"
            lines.append(f"| {device.name} | {size} | {clock:g} MHz | {slow} | {fast} |")
        lines.append("")
    lines += [
        "## Boards",
        "",
        "Boards of amaranth-boards with these FPGAs (`signfold plan --board` knows the two in bold;",
        "[boards.md](boards.md) has all that can be built):",
        "",
    ]
    bold = {"icebreaker": "ICEBreaker", "ulx3s-85f": "ULX3S_85F"}
    for device in DEVICES.values():
        names = [f"**{name}**" if name in bold.values() else name for name in sorted(set(known[device.name]))]
        lines.append(f"* {device.name}: {', '.join(names) or 'none'}")
    return "\n".join([*lines, ""])


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to write")
    # Those that the planner takes.
    chains = [name for name in zoo.names() if not network_layers(zoo.load(name)).branches]
    parser.add_argument("--networks", nargs="*", default=chains)
    options = parser.parse_args()
    text = page(Console(stderr=True), list(options.networks))
    if options.out:
        options.out.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
