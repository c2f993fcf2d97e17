"""The cost model: measure (`collect`), fit (`fit`) and judge it (`check`).

    python benchmarks/cost_model.py collect            # synthesize components and accelerators to fit to
    python benchmarks/cost_model.py fit                # write sw/cost/coefficients.json
    python benchmarks/cost_model.py check              # synthesize others, print the table of errors
    python benchmarks/cost_model.py check --docs docs/planning.md

What has been synthesized is kept in build/cost/ by what it is made of, so that a run that was stopped goes on, and one
after a change measures again what the change has touched. The fit sees samples with numbers below 1,010, the check
those from there on.
"""

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

import cost_fit
import cost_samples
import synthesis
from rich.console import Console
from rich.progress import track

CACHE = Path("build/cost/synthesis.jsonl")
FABRICS = ("ecp5", "ice40", "xilinx")
#: Marks of the table in a page.
BEGIN, END = "<!-- errors -->", "<!-- end of errors -->"
#: The first accelerator that the check looks at and the fit does not.
CHECKED = 1010
#: Components that a run of synthesis takes at once.
_BATCH = 16


class Cache:
    """Netlist counts by the hash of what was synthesized."""

    def __init__(self, path: Path = CACHE):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        entries = [json.loads(line) for line in lines]
        self.known = {entry["key"]: entry["counts"] for entry in entries}
        #: Of each sample, what was measured last.
        self.latest = {(e["kind"], e["number"], e["fabric"]): (e["key"], e["counts"]) for e in entries}

    def add(self, key: str, kind: str, number: int, fabric: str, counts: dict) -> None:
        """Remember a measurement."""
        if self.latest.get((kind, number, fabric), ("",))[0] == key:
            return
        self.known[key] = counts
        self.latest[kind, number, fabric] = key, counts
        entry = {"key": key, "kind": kind, "number": number, "fabric": fabric, "counts": counts}
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def key_of(text: str, fabric: str) -> str:
    """Return the name of a measurement: what was synthesized, and how."""
    return hashlib.sha256(f"{synthesis.SCRIPTS[fabric]}\n{text}".encode()).hexdigest()


def measure(cache: Cache, wanted: list[tuple[str, int, str]], console: Console) -> list[tuple]:
    """Synthesize samples that are not in the cache; return (kind, number, fabric, parameters, counts) of all."""
    done = []
    batches: dict[tuple[str, bool], list] = {}

    def flush(fabric, small):
        batch = batches.pop((fabric, small), [])
        if not batch:
            return
        try:
            results = synthesis.synthesize([text for *_, text in batch], fabric)
        except Exception as error:
            if len(batch) == 1:
                console.print(f"{batch[0][:3]}: {str(error)[-200:]}", markup=False)
                return
            for entry in batch:
                batches[(fabric, small)] = [entry]
                flush(fabric, small)
            return
        for (kind, number, _, parameters, text), counts in zip(batch, results, strict=True):
            cache.add(key_of(text, fabric), kind, number, fabric, counts)
            done.append((kind, number, fabric, parameters, counts))

    for kind, number, fabric in track(wanted, "synthesis", console=console, disable=len(wanted) < 5):
        parameters = cost_samples.sample(kind, number, fabric)
        small = kind in cost_samples.COMPONENTS
        text = synthesis.convert(parameters.create()) if small else synthesis.convert_accelerator(parameters)
        if counts := cache.known.get(key_of(text, fabric)):
            cache.add(key_of(text, fabric), kind, number, fabric, counts)
            done.append((kind, number, fabric, parameters, counts))
            continue
        batches.setdefault((fabric, small), []).append((kind, number, fabric, parameters, text))
        if len(batches[fabric, small]) >= (_BATCH if small else 4):
            flush(fabric, small)
    for fabric, small in list(batches):
        flush(fabric, small)
    return done


def wanted_samples(kinds, fabrics, count, first=0) -> list[tuple[str, int, str]]:
    """Return the samples to take, round robin, so that what is done first is a bit of all."""
    return [(kind, first + n, fabric) for n in range(count) for kind in kinds for fabric in fabrics]


def main() -> None:
    """Collect, fit or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("collect", "fit", "check"))
    parser.add_argument("--kinds", nargs="*", help="only these components or accelerators")
    parser.add_argument("--fabrics", nargs="*", default=FABRICS, choices=FABRICS)
    parser.add_argument("--components", type=int, default=40, help="of each kind and fabric")
    parser.add_argument("--accelerators", type=int, default=20, help="of each kind and fabric")
    parser.add_argument("--first", type=int, default=0, help=f"collect: first accelerator; {CHECKED} for the check's")
    parser.add_argument("--docs", type=Path, help="check: also put the table between the marks in that page")
    parser.add_argument("--cached", action="store_true", help="check: only what has been synthesized before")
    parser.add_argument("--json", action="store_true", help="check: print the errors as JSON")
    options = parser.parse_args()
    console = Console(stderr=True)
    cache = Cache()
    if options.action == "check":
        wanted = wanted_samples(options.kinds or cost_samples.USUAL, options.fabrics, options.accelerators, CHECKED)
        if options.cached:
            wanted = [sample for sample in wanted if sample in cache.latest]
        table = cost_fit.errors(measure(cache, wanted, console))
        if options.json:
            print(json.dumps(table, indent=2))
        else:
            print(cost_fit.markdown(table))
        if options.docs:
            before, begin, rest = options.docs.read_text().partition(BEGIN)
            _, end, after = rest.partition(END)
            options.docs.write_text("".join([before, begin, "\n", cost_fit.markdown(table), "\n", end, after]))
        return
    kinds = options.kinds or (*cost_samples.COMPONENTS, *cost_samples.USUAL)
    if options.action == "collect":
        components = [kind for kind in cost_samples.COMPONENTS if kind in kinds]
        accelerators = [kind for kind in cost_samples.ACCELERATORS if kind in kinds]
        wanted = wanted_samples(components, options.fabrics, options.components)
        wanted += wanted_samples(accelerators, options.fabrics, options.accelerators, options.first)
        measure(cache, wanted, console)
        return
    # What is there: collecting is a step of its own.
    known = [key for key in cache.latest if key[1] < CHECKED]
    present = [
        (*key, cost_samples.sample(*key), cache.latest[key][1])
        for key in track(known, "samples", console=console)
        if key[0] in cost_samples.COMPONENTS or key[0] in cost_samples.USUAL
    ]
    cost_fit.fit(present, console)


if __name__ == "__main__":
    if not os.path.isdir("sw/cost"):
        sys.exit("run this in the root of the repository")
    main()
