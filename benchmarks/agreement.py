"""A trained network that branches against what it was compiled to, on the test split: accuracies, classes, codes.

python benchmarks/agreement.py runs/resnet20 [--fraction F] [--frames N]
"""

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table

from signfold.sw import data
from signfold.sw.compile.checkpoint import read_model
from signfold.sw.compile.graph_driver import FRAMES, compile_graph, graph_agreement
from signfold.sw.compile.torch_front import TorchModel


def main() -> None:
    """Compile, evaluate both, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run folder of signfold train")
    parser.add_argument("--fraction", type=int, help="fraction bits (default: by the scales)")
    parser.add_argument("--frames", type=int, help="test pictures (default: all)")
    arguments = parser.parse_args()
    console = Console(width=100)
    model = read_model(arguments.run, None)
    dataset = data.load(model.dataset)
    with console.status("compile"):
        compiled = compile_graph(model, dataset.split("train")[0][:FRAMES], fraction=arguments.fraction)
    frames, labels = (part[: arguments.frames] for part in dataset.split("test"))
    with console.status(f"evaluate {len(frames)} pictures twice"):
        classes = compiled.network.evaluate(frames).classes
        trained = TorchModel(model).classes(frames)
        found = graph_agreement(model, compiled, frames, classes, len(frames))
    table = Table("", "of the float model", "of the integers", "differing")
    right = [int(np.count_nonzero(each == labels)) for each in (trained, classes)]
    table.add_row("pictures right", *map(str, right), "")
    table.add_row("classes", str(len(frames)), str(len(frames)), str(found["classes"]["differing"]))
    for entry in found["codes"]:
        count = str(entry["codes"])
        table.add_row(f"codes of {entry['layer']}", count, count, str(entry["differing"]))
    console.print(f"{arguments.run}: {len(frames)} test pictures, {compiled.folded.fraction} fraction bits")
    console.print(table)


if __name__ == "__main__":
    main()
