"""What the cost of hardwired layers and shared engines is fitted to: those of random networks."""

import numpy as np

from signfold.hw.fabric import find_fabric
from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.shared_engine import SharedEngineParameters
from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_network, random_plan
from signfold.sw.errors import PlanError
from signfold.sw.lower import lower
from signfold.sw.network import Network
from signfold.sw.plan import Plan

__all__ = ["STAGES", "sample"]


def _network(rng) -> Network:
    if rng.integers(2):
        return random_network(rng, depth=int(rng.integers(2, 5)), widest=int(rng.choice([24, 48, 96])))
    return random_conv_network(rng)


def _stage(rng, fabric: str, kind: type, hardwired: float, shared: float):
    """Return a stage of some kind of a random network with a random plan."""
    while True:
        network = _network(rng)
        plan = random_plan(rng, network, widest=32, hardwired=hardwired, shared=shared)
        try:
            config = lower(network, Plan(plan.layers, plan.lanes, find_fabric(fabric).name))
        except PlanError:
            continue
        found = [layer for layer in config.layers if isinstance(layer, kind)]
        if found:
            return found[int(rng.integers(len(found)))]


#: Kinds of stages, and what makes one.
STAGES = {
    "hardwired": lambda rng, fabric: _stage(rng, fabric, HardwiredParameters, 0.8, 0.0),
    "shared": lambda rng, fabric: _stage(rng, fabric, SharedEngineParameters, 0.0, 0.8),
}


def sample(kind: str, number: int, fabric: str):
    """Return the parameters of a sample: the same for the same number."""
    seed = [list(STAGES).index(kind), number, sum(fabric.encode())]
    return STAGES[kind](np.random.default_rng(seed), fabric)
