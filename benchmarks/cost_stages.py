"""The cost of hardwired layers and shared engines: measure (`collect`), fit (`fit`) and judge it (`check`).

    python benchmarks/cost_stages.py collect --samples 24   # synthesize stages of random networks
    python benchmarks/cost_stages.py fit                    # write sw/cost/stages.json
    python benchmarks/cost_stages.py check                  # stages that the fit has not seen

Everything else, arrays and queues and tables, is fitted by `benchmarks/cost_model.py` before and is known here. The fit
sees even numbers of samples, the check odd ones. Measurements are kept in build/cost/stages.jsonl by what was
synthesized.
"""

import argparse
import hashlib
import json
from pathlib import Path

import cost_samples_stages
import numpy as np
import synthesis
from rich.progress import track
from scipy.optimize import nnls

from signfold.sw.cost.accelerator import component_parts
from signfold.sw.cost.model import FABRICS, CostModel

CACHE = Path("build/cost/stages.jsonl")
FITTED, KNOWN = Path("sw/cost/stages.json"), Path("sw/cost/coefficients.json")
#: What a feature takes by its structure, which the fit departs from only for good reason: bits that are added,
#: compared, counted and chosen between.
_STRUCTURE = {
    "additions": {"adders": 1.1, "chains": 1.0, "gates": 0.9},
    "constant threshold": {"constant": 0.5, "bound": 1.0, "entries": 0.5},
    "constant sum": {"sum": 1.0, "varies": 0.5},
    "line window": {"corners": 0.5, "places": 2.0, "pad": 1.0},
    "gather": {"word": 2.0, "one": 2.0},
    "hardwired": {"room": 3.0, "one": 3.0},
    "hardwired.border": {"number": 2.0, "places": 3.0, "classes": 1.0},
    "walk": {"iterations": 2.0, "levels": 1.0, "values": 2.0, "grown": 0.5, "distinct": 0.5, "counts": 0.5},
    "packer": {"word": 1.0, "place": 2.0, "beat": 1.0, "pooled": 1.0, "one": 5.0},
    "shared": {"simd": 1.0, "planes": 0.5, "padded": 1.0, "coded": 1.0, "addresses": 2.0, "layers": 1.0, "room": 3.0},
    "loader": {"value": 0.1, "memories": 1.0, "address": 1.0, "one": 45.0},
    "shared thresholds": {"compared": 1.0, "lanes": 1.0},
}
#: LUTs below which an error counts in parts of this.
_FLOOR = 30.0


def measure(kinds, fabrics, numbers) -> None:
    """Synthesize samples that the cache does not hold."""
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    known = read()
    wanted = [(kind, number, fabric) for number in numbers for kind in kinds for fabric in fabrics]
    for kind, number, fabric in track(wanted, "synthesis"):
        text = synthesis.convert(cost_samples_stages.sample(kind, number, fabric).create())
        key = hashlib.sha256(f"{synthesis.SCRIPTS[fabric]}\n{text}".encode()).hexdigest()
        if known.get((kind, number, fabric), {}).get("key") == key:
            continue
        entry = {"key": key, "kind": kind, "number": number, "fabric": fabric}
        try:
            entry["counts"] = synthesis.synthesize([text], fabric)[0]
        except RuntimeError as error:
            print(kind, number, fabric, str(error)[-200:])
            continue
        with CACHE.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def read() -> dict[tuple[str, int, str], dict]:
    """Return what was measured last of each sample."""
    lines = CACHE.read_text().splitlines() if CACHE.exists() else []
    return {(e["kind"], e["number"], e["fabric"]): e for e in map(json.loads, lines)}


def samples(parity: int, fabric: str) -> list[tuple]:
    """Return kind, number, parts and counts of the samples of a fabric."""
    found = []
    for (kind, number, own), entry in read().items():
        if own == fabric and number % 2 == parity:
            parameters = cost_samples_stages.sample(kind, number, fabric)
            found.append((kind, number, component_parts(parameters, fabric), entry["counts"]))
    return found


def known_model(fabric: str) -> CostModel:
    """Return the model without what is fitted here."""
    content = json.loads(KNOWN.read_text())["fabrics"][fabric]
    return CostModel(fabric, content["luts"], content["ffs"], content["cells"])


def fit(fabric: str) -> dict:
    """Return the coefficients of a fabric: LUTs of each feature, and for iCE40 flip-flops in cells of their own."""
    own, model = samples(0, fabric), known_model(fabric)
    features = lambda part: part.features if part.kind not in model.luts else {}  # noqa: E731
    luts = _solve(own, model, "luts", features, lambda part: model.of([part]).luts, 1.0)
    both = CostModel(fabric, {**model.luts, **luts}, model.ffs, model.cells)
    cells = {}
    if fabric == "ice40":
        lone = lambda part: {"ffs": part.ffs} if part.kind not in model.cells else {}  # noqa: E731
        found = _solve(own, both, "cells", lone, lambda part: both.of([part]).cells, 0.3)
        cells = {kind: value["ffs"] for kind, value in found.items()}
    return {"luts": luts, "ffs": {}, "cells": cells, "samples": len(own)}


def _solve(own, model, resource, features, known, usual) -> dict[str, dict[str, float]]:
    """Return coefficients of at least 0 with the least squares of relative errors."""
    names = sorted({(p.kind, name) for *_, parts, _ in own for p in parts for name, v in features(p).items() if v})
    column = {name: k for k, name in enumerate(names)}
    matrix, wanted = np.zeros((len(own), len(names))), np.zeros(len(own))
    for row, (_, _, parts, counts) in enumerate(own):
        weight = 1 / max(counts[resource], _FLOOR)
        wanted[row] = weight * (counts[resource] - sum(known(part) for part in parts))
        for part in parts:
            for name, value in features(part).items():
                if value:
                    matrix[row, column[part.kind, name]] += weight * part.count * value
    other = lambda name: 0.0 if name == "one" else usual  # noqa: E731
    structure = _STRUCTURE if usual == 1.0 else {}
    start = np.array([structure.get(kind, {}).get(name, other(name)) for kind, name in names])
    scale = np.maximum(0.3 * np.linalg.norm(matrix, axis=0), 0.004)
    solution, _ = nnls(np.vstack([matrix, np.diag(scale)]), np.concatenate([wanted, scale * start]), maxiter=50000)
    content: dict[str, dict[str, float]] = {}
    for (kind, name), value in zip(names, solution, strict=True):
        content.setdefault(kind, {})[name] = round(float(value), 4)
    return content


def table(parity: int) -> str:
    """Return the errors of the whole model on samples, as a table."""
    fitted = json.loads(FITTED.read_text())["fabrics"]
    lines = ["| fabric | stage | resource | samples | median error | 95th percentile | worst | bias |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for fabric in FABRICS:
        model = known_model(fabric)
        mine = fitted.get(fabric, {"luts": {}, "cells": {}})
        model = CostModel(fabric, {**model.luts, **mine["luts"]}, model.ffs, {**model.cells, **mine["cells"]})
        for kind in cost_samples_stages.STAGES:
            own = [sample for sample in samples(parity, fabric) if sample[0] == kind]
            if not own:
                continue
            for resource in ("luts", "ffs", "brams", *(("cells", "sprams") if fabric == "ice40" else ())):
                relative = np.array([
                    (getattr(model.of(parts), resource) - counts[resource]) / max(1, counts[resource])
                    for *_, parts, counts in own
                ])  # fmt: skip
                size = np.abs(relative)
                lines.append(
                    f"| {fabric} | {kind} | {resource} | {len(own)} | {np.median(size):.1%} | "
                    f"{np.percentile(size, 95):.1%} | {size.max():.1%} | {np.median(relative):+.1%} |"
                )
    return "\n".join(lines)


def main() -> None:
    """Collect, fit or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("collect", "fit", "check"))
    parser.add_argument("--kinds", nargs="*", default=list(cost_samples_stages.STAGES))
    parser.add_argument("--fabrics", nargs="*", default=FABRICS, choices=FABRICS)
    parser.add_argument("--samples", type=int, default=24, help="of each kind and fabric [%(default)s]")
    options = parser.parse_args()
    if options.action == "collect":
        measure(options.kinds, options.fabrics, range(options.samples))
    elif options.action == "fit":
        content = {"format": "signfold-cost", "version": 1, "fabrics": {fabric: fit(fabric) for fabric in FABRICS}}
        FITTED.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
        print(table(0))
    else:
        print(table(1))


if __name__ == "__main__":
    main()
