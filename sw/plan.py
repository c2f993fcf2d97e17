"""Plans: how wide the array of each layer is."""

import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from signfold.hw.check import check_integer
from signfold.hw.fabric import find_fabric
from signfold.hw.planes import PlaneParameters
from signfold.hw.rom import ROM_STYLES
from signfold.sw.errors import PlanError
from signfold.sw.files import write_whole

__all__ = ["LayerPlan", "Plan"]

_KEYS = ("cols", "simd", "hop", "stages", "rows", "space", "pool", "style", "memory", "shares")
#: Keys that a plan always shows.
_ALWAYS = ("cols", "simd", "hop", "stages")
_STYLES = ("array", "multiplier", "hardwired")
#: Keys that a hardwired layer, which has no array and no memory, leaves at their defaults.
_ARRAY_ALONE = ("cols", "rows", "space", "memory")


@dataclass(frozen=True)
class LayerPlan:
    """The array of one layer with weights.

    Parameters
    ----------
    cols : int
        Columns: channels worked on at once.
    simd : int
        Codes of a word: input channels worked on at once; 1 for depthwise convolutions.
    hop : int
        Columns that a word passes in a cycle, and codes of an output beat; divides `cols`, at least
        cols / words of a pass. Depthwise convolutions have no hop: all columns' codes leave in one beat.
    stages : int
        Pipeline registers in the popcount, or behind multipliers and among the additions.
    rows : int
        Output positions worked on at once; divides the width of a convolution's output.
    space : bool
        Bit planes side by side in each cell, instead of one after another in time.
    pool : int
        Channels that poolings after this layer work on at once; 0: the codes of a beat.
    style : str
        "array"; "multiplier": an array whose cells multiply whole codes, in multiplier blocks where the FPGA has them,
        instead of counting one pair of bit planes after another; `space` has no meaning then, and weights cannot be
        loaded; or "hardwired": the weights become logic that computes all channels of a position at once. `simd` is
        then the codes of an input beat (all input channels for a convolution), `hop` those of an output beat, `stages`
        the registers between inputs and comparisons; `cols`, `rows`, `space` and `memory` have no meaning.
    memory : str
        Where the weights lie: "block", "lut" or "auto"; see `signfold.hw.rom.RomParameters`. "loaded": in memory that
        the host fills before the first frame.
    shares : bool
        The layer runs on the array of the layer before it, which computes them in turn. No other key is given then.

    Raises
    ------
    TypeError, ValueError
        If a value is not a positive integer (`stages`, `pool`: not an integer of at least 0), `space` not a truth
        value, or `style` or `memory` not one of those above.
    """

    cols: int = 1
    simd: int = 1
    hop: int = 1
    stages: int = 1
    rows: int = 1
    space: bool = False
    pool: int = 0
    style: str = "array"
    memory: str = "auto"
    shares: bool = False

    def __post_init__(self):
        check_integer("cols", self.cols, minimum=1)
        check_integer("simd", self.simd, minimum=1)
        check_integer("hop", self.hop, minimum=1)
        check_integer("stages", self.stages, minimum=0, maximum=16)
        check_integer("rows", self.rows, minimum=1)
        check_integer("pool", self.pool, minimum=0)
        for name in ("space", "shares"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be true or false, not {getattr(self, name)!r}")
        if self.shares:
            for key in fields(self):
                if key.name != "shares" and getattr(self, key.name) != key.default:
                    raise ValueError(
                        f"{key.name} must not be given for a layer that shares the array of the layer before it, "
                        f"not {getattr(self, key.name)!r}"
                    )
        for name, allowed in (("style", _STYLES), ("memory", (*ROM_STYLES, "loaded"))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        if self.style == "hardwired":
            for key in fields(self):
                if key.name in _ARRAY_ALONE and getattr(self, key.name) != key.default:
                    value = getattr(self, key.name)
                    raise ValueError(f"{key.name} must be {key.default!r} for a hardwired layer, not {value!r}")
        if self.style == "multiplier":
            if self.space:
                raise ValueError("space must be false for a multiplier array, whose words hold codes whole, not true")
            if self.memory == "loaded":
                raise ValueError(f"memory must be one of {', '.join(ROM_STYLES)} for a multiplier array, not 'loaded'")

    def planes(self, activation_bits: int, weight_levels: int) -> PlaneParameters:
        """Return the bit planes of the layer's array for codes of so many bits and weights of so many levels."""
        multiplies = self.style == "multiplier"
        return PlaneParameters(activation_bits, weight_levels, self.space or multiplies, multiplies)


@dataclass(frozen=True)
class Plan:
    """One engine a layer with weights.

    Parameters
    ----------
    layers : tuple of LayerPlan
        Arrays in network order.
    lanes : int
        Input codes of a beat.
    fabric : str
        What the arrays are made of; see `signfold.hw.fabric`.

    Raises
    ------
    TypeError, ValueError
        If `lanes` is not a positive integer, or there is no such fabric.
    """

    layers: tuple[LayerPlan, ...]
    lanes: int = 1
    fabric: str = "plain"

    def __post_init__(self):
        check_integer("lanes", self.lanes, minimum=1)
        if self.layers and tuple(self.layers)[0].shares:
            raise ValueError("layer 0: shares must be false, because no layer is before it")
        find_fabric(self.fabric)
        object.__setattr__(self, "layers", tuple(self.layers))

    def to_toml(self) -> str:
        """Return the plan as text that a person can edit and `load` reads back."""
        lines = ["# Input codes of a beat.", f"lanes = {self.lanes}"]
        lines += ["# What the arrays are made of.", f'fabric = "{self.fabric}"']
        for k, layer in enumerate(self.layers):
            lines += ["", f"# Layer {k}.", "[[layer]]"]
            # What is the default and rarely looked at is left out.
            for key in fields(layer):
                value = getattr(layer, key.name)
                shown = key.name in _ALWAYS and not (layer.style == "hardwired" and key.name in _ARRAY_ALONE)
                shown = shown and not layer.shares
                if shown or value != key.default:
                    lines.append(f"{key.name} = " + (f'"{value}"' if isinstance(value, str) else str(value).lower()))
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
        unknown = sorted(set(content) - {"lanes", "fabric", "layer"})
        if unknown:
            allowed = "'lanes', 'fabric' and [[layer]]"
            raise PlanError(f"plan {str(path)!r}: unknown key {unknown[0]!r}, allowed are {allowed}")
        entries = content.get("layer", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise PlanError(f"plan {str(path)!r}: 'layer' must be an array of tables, one [[layer]] a layer")
        layers = []
        for k, entry in enumerate(entries):
            needed = {"simd"} if entry.get("style") == "hardwired" else {"cols", "simd"}
            needed = set() if entry.get("shares") is True else needed
            strange = sorted(set(entry) - set(_KEYS)) or sorted(needed - set(entry))
            if strange:
                what = "unknown" if strange[0] in entry else "missing"
                allowed = ", ".join(_KEYS)
                raise PlanError(f"plan {str(path)!r}, layer {k}: {what} key {strange[0]!r}, keys are {allowed}")
            try:
                layers.append(LayerPlan(**entry))
            except (TypeError, ValueError) as error:
                raise PlanError(f"plan {str(path)!r}, layer {k}: {error}") from None
        try:
            return cls(tuple(layers), content.get("lanes", 1), content.get("fabric", "plain"))
        except (TypeError, ValueError) as error:
            raise PlanError(f"plan {str(path)!r}: {error}") from None
