"""The cost model: coefficients, and what they make of parts."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from signfold.sw.cost.part import Part

__all__ = ["FABRICS", "Cost", "CostModel", "cost_model"]

#: Fabrics that there is a model of.
FABRICS = ("ecp5", "ice40", "xilinx")
#: Coefficients of each kind of part.
_TABLES = ("luts", "ffs", "cells")


@dataclass(frozen=True)
class Cost:
    """Resources.

    Parameters
    ----------
    luts : float
        Lookup tables, those of carries and small memories among them; see `benchmarks/counting.py`.
    ffs : float
        Flip-flops.
    brams : int
        Block RAMs; halves of 36 kbit on Xilinx.
    dsps, sprams : int
        Multipliers, large RAMs of iCE40 UP.
    cells : float
        Logic cells: on iCE40, where a LUT and a flip-flop share one only if the one feeds the other. Else `luts`.
    """

    luts: float = 0
    ffs: float = 0
    brams: int = 0
    dsps: int = 0
    sprams: int = 0
    cells: float = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.luts + other.luts,
            self.ffs + other.ffs,
            self.brams + other.brams,
            self.dsps + other.dsps,
            self.sprams + other.sprams,
            self.cells + other.cells,
        )

    def __sub__(self, other: "Cost") -> "Cost":
        return self + Cost(-other.luts, -other.ffs, -other.brams, -other.dsps, -other.sprams, -other.cells)


@dataclass(frozen=True)
class CostModel:
    """Coefficients of a fabric.

    Parameters
    ----------
    fabric : str
        Fabric.
    luts, ffs, cells : mapping
        Of each kind of part, what one of each feature takes. Flip-flops and block RAMs are counted: `ffs` holds what
        counting misses, and for iCE40 `cells` the share of flip-flops that have a logic cell of their own.
    """

    fabric: str
    luts: Mapping[str, Mapping[str, float]]
    ffs: Mapping[str, Mapping[str, float]]
    cells: Mapping[str, float]

    def of(self, parts: Iterable[Part]) -> Cost:
        """Return what parts take together."""
        luts = ffs = cells = 0.0
        brams = dsps = sprams = 0
        for part in parts:
            tables = part.luts + sum(
                value * self.luts.get(part.kind, {}).get(name, 0.0) for name, value in part.features.items()
            )
            counted = self.ffs.get(part.kind, {})
            registers = part.ffs * counted.get("ffs", 1.0) + counted.get("one", 0.0)
            luts += part.count * tables
            ffs += part.count * registers
            cells += part.count * (tables + self.cells.get(part.kind, 0.0) * registers)
            brams += part.count * part.brams
            dsps += part.count * part.dsps
            sprams += part.count * part.sprams
        return Cost(luts, ffs, brams, dsps, sprams, cells if self.fabric == "ice40" else luts)


@lru_cache
def cost_model(fabric: str) -> CostModel:
    """Return the model of a fabric, with the coefficients that come with the package.

    Raises
    ------
    ValueError
        If there is none.
    """
    if fabric not in FABRICS:
        raise ValueError(f"fabric must be one of {', '.join(FABRICS)}, not {fabric!r}")
    # Shared engines and hardwired layers are fitted by themselves, after what other stages are made of.
    contents = [
        json.loads(files("signfold.sw.cost").joinpath(name).read_text())["fabrics"].get(fabric, {})
        for name in ("coefficients.json", "stages.json")
    ]
    tables = [{k: v for content in contents for k, v in content.get(name, {}).items()} for name in _TABLES]
    return CostModel(fabric, *tables)
