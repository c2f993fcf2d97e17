"""What the command line uses of the simulation, in one place to reach lazily."""

from signfold.sim.axi import simulate_axi
from signfold.sim.cells import FAMILIES
from signfold.sim.netlist import check_netlist, simulate_netlist
from signfold.sim.runner import SIMULATORS
from signfold.sim.simulate import HARNESSES, Options, simulate

__all__ = [
    "FAMILIES",
    "HARNESSES",
    "SIMULATORS",
    "Options",
    "check_netlist",
    "simulate",
    "simulate_axi",
    "simulate_netlist",
]
