"""Plans: how wide the array of each layer is."""

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from signfold.hw.check import check_integer
from signfold.hw.gearbox import gearboxes
from signfold.sw.errors import PlanError
from signfold.sw.files import write_whole
from signfold.sw.layers import DenseLayer, dense_layers
from signfold.sw.network import Network

__all__ = ["LayerPlan", "Plan", "default_plan"]

_KEYS = ("cols", "simd", "hop", "stages")

#: Rough tables (LUT4) that the default plan weighs: one bit of XNOR and popcount, one column's accumulator and sums.
_TABLES_A_BIT, _TABLES_A_COLUMN = 2.6, 45


@dataclass(frozen=True)
class LayerPlan:
    """The array of one dense layer.

    Parameters
    ----------
    cols : int
        Columns: channels worked on at once.
    simd : int
        Bits of a word: inputs worked on at once.
    hop : int
        Columns that a word passes in a cycle, and codes of an output beat; divides `cols`, at least
        cols / ceil(fan-in / simd).
    stages : int
        Pipeline registers in the popcount.

    Raises
    ------
    TypeError, ValueError
        If a value is not a positive integer (`stages`: not an integer of at least 0).
    """

    cols: int
    simd: int
    hop: int = 1
    stages: int = 1

    def __post_init__(self):
        check_integer("cols", self.cols, minimum=1)
        check_integer("simd", self.simd, minimum=1)
        check_integer("hop", self.hop, minimum=1)
        check_integer("stages", self.stages, minimum=0, maximum=16)


@dataclass(frozen=True)
class Plan:
    """One engine a dense layer.

    Parameters
    ----------
    layers : tuple of LayerPlan
        Arrays in network order.
    lanes : int
        Input codes of a beat.

    Raises
    ------
    TypeError, ValueError
        If `lanes` is not a positive integer.
    """

    layers: tuple[LayerPlan, ...]
    lanes: int = 1

    def __post_init__(self):
        check_integer("lanes", self.lanes, minimum=1)
        object.__setattr__(self, "layers", tuple(self.layers))

    def to_toml(self) -> str:
        """Return the plan as text that a person can edit and `load` reads back."""
        lines = ["# Input codes of a beat.", f"lanes = {self.lanes}"]
        for k, layer in enumerate(self.layers):
            lines += ["", f"# Layer {k}.", "[[layer]]"]
            lines += [f"{name} = {getattr(layer, name)}" for name in _KEYS]
        return "\n".join(lines) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan as TOML."""
        write_whole(path, self.to_toml().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Plan":
        """Read a plan.

        Raises
        ------
        PlanError
            If the file is absent, is not TOML or holds anything but a plan; the message names the place.
        """
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise PlanError(f"plan {str(path)!r}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PlanError(f"plan {str(path)!r} is not TOML: {error}") from None
        unknown = sorted(set(content) - {"lanes", "layer"})
        if unknown:
            raise PlanError(f"plan {str(path)!r}: unknown key {unknown[0]!r}, allowed are 'lanes' and [[layer]]")
        entries = content.get("layer", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise PlanError(f"plan {str(path)!r}: 'layer' must be an array of tables, one [[layer]] a layer")
        layers = []
        for k, entry in enumerate(entries):
            strange = sorted(set(entry) - set(_KEYS)) or sorted({"cols", "simd"} - set(entry))
            if strange:
                what = "unknown" if strange[0] in entry else "missing"
                allowed = ", ".join(_KEYS)
                raise PlanError(f"plan {str(path)!r}, layer {k}: {what} key {strange[0]!r}, keys are {allowed}")
            try:
                layers.append(LayerPlan(**entry))
            except (TypeError, ValueError) as error:
                raise PlanError(f"plan {str(path)!r}, layer {k}: {error}") from None
        try:
            return cls(tuple(layers), content.get("lanes", 1))
        except (TypeError, ValueError) as error:
            raise PlanError(f"plan {str(path)!r}: {error}") from None


def default_plan(network: Network, *, lanes: int = 1, target_cycles: int | None = None) -> Plan:
    """Choose small arrays that keep up.

    Parameters
    ----------
    network : Network
        What to plan for: a chain of dense layers.
    lanes : int
        Input codes of a beat.
    target_cycles : int, optional
        Cycles from frame to frame to reach. By default the input's own: ceil(elements / lanes), at least one a class.

    Returns
    -------
    Plan
        Of the arrays considered (words of up to 1,024 bits), those with the least estimated logic whose initiation
        interval is at most the target. Words of more than 64 bits, whose popcounts are slow, are taken only where they
        save more than a fifth of a layer's logic.

    Raises
    ------
    PlanError
        If the network is no chain of dense layers, or the target cannot be reached; the message names the layer or
        the number of cycles that can be reached.
    """
    check_integer("lanes", lanes, minimum=1)
    layers = dense_layers(network)
    elements, classes = layers[0].fan_in, layers[-1].channels
    floor = max(-(-elements // lanes), classes)
    target = floor if target_cycles is None else target_cycles
    check_integer("target cycles", target, minimum=1)
    if target < floor:
        raise PlanError(
            f"target cycles must be at least {floor}, not {target!r}: a frame takes {-(-elements // lanes)} input "
            f"beats of {lanes} codes and {classes} result beats"
        )
    plans = []
    upstream = lanes
    for k, layer in enumerate(layers):
        fitting = list(_candidates(layer, upstream, target))
        if k == len(layers) - 1:
            fitting = [plan for plan in fitting if _gear_interval(layer.channels, plan.hop, 1) <= target]
        if not fitting:
            raise PlanError(f"layer {k}: no array of words up to 1024 bits reaches {target} cycles a frame")
        best = min(fitting, key=lambda plan: (_tables(layer, plan) * (1.2 if plan.simd > 64 else 1), plan.hop))
        plans.append(best)
        upstream = best.hop
    return Plan(tuple(plans), lanes)


def _candidates(layer: DenseLayer, upstream: int, target: int) -> Iterator[LayerPlan]:
    """Yield arrays that take at most `target` cycles a frame, fed by beats of `upstream` codes."""
    divisors = {d for d in range(1, min(layer.fan_in, 1024) + 1) if layer.fan_in % d == 0}
    powers = {1 << i for i in range(11) if 1 << i < 2 * layer.fan_in}
    # Multiples of the incoming beats need no detour through narrower ones.
    multiples = {upstream << i for i in range(10) if upstream << i < 2 * layer.fan_in}
    for simd in sorted(divisors | powers | multiples):
        words = -(-layer.fan_in // simd)
        if words > target or _gear_interval(layer.fan_in, upstream, simd) > target:
            continue
        cols = -(-layer.channels // min(target // words, layer.channels))
        hop = -(-cols // words)
        cols = -(-cols // hop) * hop
        yield LayerPlan(cols, simd, hop, stages=1 if simd <= 64 else 2)


def _gear_interval(elements: int, lanes_in: int, lanes_out: int) -> int:
    return max((gear.interval for gear in gearboxes(elements, 1, lanes_in, lanes_out)), default=0)


def _tables(layer: DenseLayer, plan: LayerPlan) -> float:
    width = (-(-layer.fan_in // plan.simd) * plan.simd).bit_length()
    return plan.cols * (plan.simd * _TABLES_A_BIT + _TABLES_A_COLUMN * width / 10)
