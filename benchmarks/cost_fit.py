"""Fit of the cost model, and its errors."""

import json
from pathlib import Path

import numpy as np
from cost_samples import ACCELERATORS
from scipy.optimize import nnls

from signfold.sw.cost.accelerator import component_parts
from signfold.sw.cost.model import FABRICS, CostModel
from signfold.sw.cost.part import Part

COEFFICIENTS = Path("sw/cost/coefficients.json")
#: Goals of the table.
MEDIAN, TAIL = 0.05, 0.15
#: Logic below which an error counts in parts of this, not of the logic itself; in the fit alone.
_FLOOR = {"luts": 15.0, "ffs": 8.0, "cells": 15.0}
#: Times that samples are weighed anew, and the relative error below which all count the same.
_ROUNDS, _CLOSE = 8, 0.03


#: What a feature of cells takes by its structure; the fit departs from that only for good reason. A carry of two bits
#: of parity words is a LUT6 or two LUT4; a bit of a counter or sum is a LUT; on ECP5 a chain has ends and odd bits.
_CELL = {"sum": 1.0, "tables": 1.0, "short": 1.0, "chain": 1.0, "double": 1.0, "parts": 0.0}
_STRUCTURE = {
    "xilinx": _CELL | {"encoded": 0.5, "plain": 0.7},
    "ice40": _CELL | {"encoded": 1.0, "plain": 1.0, "chains": 0.25},
    "ecp5": _CELL | {"encoded": 1.0, "plain": 1.0, "chains": 3.75},
}


def fit(samples: list[tuple], console) -> None:
    """Write the coefficients that fit the samples: (kind, number, fabric, parameters, counts)."""
    content = {"format": "signfold-cost", "version": 1, "fabrics": {}}
    for fabric in FABRICS:
        own = [sample for sample in samples if sample[2] == fabric]
        if not own:
            continue
        parts = [component_parts(parameters, fabric) for _, _, _, parameters, _ in own]
        luts = _nested(
            _solve(
                own, parts, "luts", lambda part: part.features, lambda part: part.luts, known_cells=_STRUCTURE[fabric]
            )
        )
        ffs = _nested(_solve(own, parts, "ffs", _registers, None, near=1.0))
        cells = _lone(own, parts, luts, ffs) if fabric == "ice40" else {}
        content["fabrics"][fabric] = {"luts": luts, "ffs": ffs, "cells": cells, "samples": len(own)}
        console.print(f"{fabric}: {len(own)} samples")
    COEFFICIENTS.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def _registers(part: Part) -> dict[str, float]:
    """Return what flip-flops are proportional to: those counted."""
    return {"ffs": part.ffs}


def _lone(samples, parts, luts, ffs) -> dict[str, float]:
    """Return the share of the flip-flops of each kind of part that have a logic cell of their own."""
    model = CostModel("ice40", luts, ffs, {})
    found = _solve(
        samples,
        parts,
        "cells",
        lambda part: {"ffs": model.of([part]).ffs / part.count},
        lambda part: model.of([part]).luts / part.count,
        near=0.3,
    )
    return {kind: value["ffs"] for kind, value in _nested(found).items()}


def _solve(samples, parts, resource, features, known, near=None, known_cells=None) -> dict[tuple[str, str], float]:
    """Return coefficients of at least 0 with the least squares of relative errors."""
    names = sorted(
        {(part.kind, name) for own in parts for part in own for name, value in features(part).items() if value}
    )
    column = {name: k for k, name in enumerate(names)}
    matrix, wanted = np.zeros((len(samples), len(names))), np.zeros(len(samples))
    for row, (sample, own) in enumerate(zip(samples, parts, strict=True)):
        count = sample[4][resource]
        weight = 1 / max(count, _FLOOR[resource])
        # Whole accelerators are what it is for.
        weight *= 4.0 if sample[0] in ACCELERATORS else 1.0
        wanted[row] = count * weight
        for part in own:
            if known is not None:
                wanted[row] -= part.count * known(part) * weight
            for name, value in features(part).items():
                if value:
                    matrix[row, column[part.kind, name]] += part.count * value * weight
    # Regard for what is usual, so that rare features do not run away: a LUT a bit, and as many as a memory needs.
    start = np.array([near if near is not None else 0.0 if name == "one" else 1.0 for _, name in names])
    firm = np.array([0.3 if name == "luts" else 0.04 for _, name in names])
    for index, (kind, name) in enumerate(names):
        if known_cells and kind == "cell" and name in known_cells:
            start[index], firm[index] = known_cells[name], 0.5
    norm = np.linalg.norm(matrix, axis=0)
    scale = np.maximum(0.02 * norm, 0.02) if near is not None else np.maximum(firm * norm, 0.004)
    # Nearly the least sum of errors, not of squares, by weighing anew: a few odd samples do not bend the rest.
    trust = np.ones(len(samples))
    for _ in range(_ROUNDS):
        rows = matrix * trust[:, None]
        solution, _ = nnls(
            np.vstack([rows, np.diag(scale)]), np.concatenate([wanted * trust, scale * start]), maxiter=50000
        )
        trust = (_CLOSE / np.maximum(np.abs(matrix @ solution - wanted), _CLOSE)) ** 0.5
    return {name: round(float(value), 4) for name, value in zip(names, solution, strict=True)}


def _nested(solution: dict[tuple[str, str], float]) -> dict[str, dict[str, float]]:
    content: dict[str, dict[str, float]] = {}
    for (kind, name), value in solution.items():
        content.setdefault(kind, {})[name] = value
    return content


def errors(samples: list[tuple]) -> dict:
    """Return the errors of the model on samples: per fabric and resource median, 95th percentile and worst."""
    content = json.loads(COEFFICIENTS.read_text())["fabrics"]
    table: dict = {}
    for fabric in FABRICS:
        own = [sample for sample in samples if sample[2] == fabric]
        if not own:
            continue
        model = CostModel(fabric, content[fabric]["luts"], content[fabric]["ffs"], content[fabric]["cells"])
        predicted = [model.of(component_parts(parameters, fabric)) for _, _, _, parameters, _ in own]
        resources = {}
        for resource in ("luts", "ffs", "brams", *(("cells",) if fabric == "ice40" else ())):
            pairs = [
                (getattr(cost, resource), sample[4][resource]) for cost, sample in zip(predicted, own, strict=True)
            ]
            relative = [(have - want) / max(want, 1) for have, want in pairs]
            size = np.abs(relative)
            resources[resource] = {
                "median": float(np.median(size)),
                "p95": float(np.percentile(size, 95)),
                "worst": float(size.max()),
                "bias": float(np.median(relative)),
                "exact": sum(abs(have - want) < 0.5 for have, want in pairs),
                "smallest": min(want for _, want in pairs),
                "largest": max(want for _, want in pairs),
                "worst_sample": [own[int(size.argmax())][0], own[int(size.argmax())][1]],
            }
        table[fabric] = {"accelerators": len(own), "resources": resources}
    return table


_TITLES = {"luts": "LUT", "ffs": "flip-flop", "brams": "block RAM", "cells": "logic cell"}


def markdown(table: dict) -> str:
    """Return the errors as a table."""
    lines = [
        "| fabric | resource | accelerators | from - to | exact | median error | 95th percentile | worst | bias |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for fabric, entry in table.items():
        for resource, found in entry["resources"].items():
            lines.append(
                f"| {fabric} | {_TITLES[resource]} | {entry['accelerators']} | {found['smallest']:,} - "
                f"{found['largest']:,} | {found['exact']} | {found['median']:.1%} | {found['p95']:.1%} | "
                f"{found['worst']:.1%} | {found['bias']:+.1%} |"
            )
    return "\n".join(lines)
