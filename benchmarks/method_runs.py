"""One run of the comparison of training methods: train, evaluate, compile, and what the hardware takes."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from counting import synthesize

from signfold.sw.compile import compile_run
from signfold.sw.compile.accuracy import frames_for, measure
from signfold.sw.data import load
from signfold.sw.errors import CompileError, PlanError, SignfoldError
from signfold.sw.files import write_whole
from signfold.sw.generate import generate
from signfold.sw.planner.planner import Planner
from signfold.sw.train.options import TrainingOptions
from signfold.sw.train.recipes import merge, read_recipe

__all__ = ["ENTRIES", "TASKS", "Entry", "Task", "run_entry", "size_entry"]


@dataclass(frozen=True)
class Task:
    """What all methods are compared on.

    Parameters
    ----------
    title : str
        For the table.
    common : mapping
        Options that all methods have alike.
    cycles : int
        Initiation interval that the accelerators are planned for.
    """

    title: str
    common: dict[str, Any]
    cycles: int


#: Pixels come as codes of 8 bits, and layers are few-level from the first to the last: what can be built.
_ALIKE = {"first": "codes", "first_weights": "same", "last_weights": "same", "warmup": 0, "shift": 0, "flip": False}
TASKS = {
    "mnist": Task(
        "MNIST, 784-128-128-10",
        {"dataset": "mnist", "topology": "128,128", "epochs": 15, "batch": 100, **_ALIKE},
        784,
    ),
    "fashion": Task(
        "Fashion-MNIST, 8c3s2-16c3-P2-64-10",
        {"dataset": "fashion-mnist", "topology": "8c3s2,16c3,p2,64", "epochs": 5, "batch": 100, **_ALIKE},
        2000,
    ),
}


@dataclass(frozen=True)
class Entry:
    """A method in the comparison.

    Parameters
    ----------
    recipe : str
        Recipe that its options come from; what a task has in common goes over them.
    changes : mapping
        What goes over both.
    """

    recipe: str
    changes: dict[str, Any] = field(default_factory=dict)


#: Activations of two bits in place of the real ones of methods that have 1-bit weights alone.
_TWO_BITS = {"activation": "bits", "activations": 2}
ENTRIES = {
    "float": Entry("float", {"first_weights": "real", "last_weights": "real"}),
    "BNN": Entry("bnn"),
    "BNN, shift-based": Entry("bnn-torch"),
    "Brevitas": Entry("brevitas"),
    "BNN+": Entry("bnn-plus"),
    "Bop": Entry("bop"),
    "Bitwise": Entry("bitwise"),
    "XNOR-Net": Entry("xnor-net"),
    "XNOR-Net, no K": Entry("xnor-net-code"),
    "Bi-Real": Entry("birealnet"),
    "ResNetE": Entry("resnete"),
    "IR-Net": Entry("irnet-vgg-small"),
    # Its SE blocks divide the channels; the first layer has 8.
    "SD-BNN": Entry("sdbnn", {"reduction": 8}),
    "SD-BNN, static": Entry("sdbnn-static"),
    "Xu and Cheung": Entry("xu-cheung"),
    "BinaryDuo": Entry("binaryduo", {"weights": "1", "weight_scale": "layer"}),
    "DoReFa 1-1": Entry("dorefa", {"activations": 1, "weights": "1"}),
    "DoReFa 1-2": Entry("dorefa", {"activations": 2, "weights": "1"}),
    "DoReFa 2-2": Entry("dorefa", {"activations": 2, "weights": "2"}),
    "BinaryConnect": Entry("binaryconnect"),
    "BinaryConnect 1-2": Entry("binaryconnect", _TWO_BITS),
    "BWN": Entry("bwn"),
    "BWN 1-2": Entry("bwn", _TWO_BITS),
    "ternary": Entry("ternary"),
    "ternary connect": Entry("few-multiplications"),
    "ternary connect, 2 bits": Entry("few-multiplications", _TWO_BITS),
    "ABC-Net": Entry("abc-net"),
}


def options_of(task: Task, entry: Entry, seed: int, epochs: int | None) -> TrainingOptions:
    """Return the options of a run: the recipe's, what the task has in common, what is the entry's own."""
    chosen = read_recipe(entry.recipe).choose(task.common["dataset"], task.common["topology"])
    chosen = merge(merge(chosen, task.common), entry.changes)
    chosen |= {"seed": seed, "threads": 1, "initial": None, "teacher": None, "device": "cpu"}
    return TrainingOptions.from_json(chosen | ({} if epochs is None else {"epochs": epochs}))


def run_entry(
    task_name: str, name: str, seed: int, folder: Path, data_dir: str | None, epochs: int | None
) -> dict[str, Any]:
    """Train one seed of a method, or go on, and evaluate it.

    A run that is done is read; one of other options than today's, for a recipe has changed since, is made anew.

    Returns
    -------
    dict
        `float`, test accuracy of the trained model at its best epoch; `integer`, that of the compiled network; or
        `refused` or `failed`, why there is none.
    """
    import torch

    from signfold.sw.train.checkpoint import exists, read_checkpoint
    from signfold.sw.train.loop import train
    from signfold.sw.train.saved import measure_best

    task = TASKS[task_name]
    options = options_of(task, ENTRIES[name], seed, epochs)
    run = folder / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
    if exists(run) and TrainingOptions.from_json(read_checkpoint(run).training) != options:
        shutil.rmtree(run)
    done = run / "result.json"
    if done.exists():
        return json.loads(done.read_text())
    result: dict[str, Any] = {"task": task_name, "method": name, "seed": seed}
    dataset = load(task.common["dataset"], data_dir)
    try:
        train(options, dataset, run, resume=exists(run))
    except (SignfoldError, ValueError) as error:
        return result | {"failed": str(error)}
    torch.set_num_threads(1)
    result["float"] = measure_best(run, dataset, "test")
    try:
        network = compile_run(run, sample=0, data_dir=data_dir).network
    except CompileError as error:
        result["refused"] = str(error)
    else:
        network.save(run / "network.safetensors")
        result["integer"] = measure(network, *frames_for(network, dataset, "test")).fraction
    write_whole(done, json.dumps(result).encode())
    return result


def size_entry(task_name: str, name: str, folder: Path, fabric: str, tool: str | None) -> dict[str, Any] | None:
    """Plan and synthesize the accelerator of a method's first seed; None where nothing compiled.

    Returns
    -------
    dict
        `luts`, `ffs`, `brams` as counted by `counting.py`, `interval` and `latency` in cycles.
    """
    from signfold.sw.network import Network

    run = folder / f"{name.replace(' ', '-').replace(',', '')}-1"
    done = run / f"size-{fabric}.json"
    if done.exists():
        return json.loads(done.read_text())
    if not (run / "network.safetensors").exists():
        return None
    network = Network.load(run / "network.safetensors")
    try:
        planned = Planner(network, fabric, styles=("array",)).smallest(TASKS[task_name].cycles)
    except PlanError as error:
        return {"failed": str(error)}
    artefacts = generate(network, planned.plan, run / "design")
    memories = {path.name: path.read_bytes() for path in artefacts.folder.glob("*.mem")}
    text = artefacts.verilog.read_text()
    counts = synthesize(text, fabric, run / "synthesis", memories=memories, tool=tool).counts
    size = {"luts": counts.luts, "ffs": counts.ffs, "brams": counts.block_rams}
    size |= {"interval": artefacts.sidecar["interval"], "latency": artefacts.sidecar["latency"]}
    write_whole(done, json.dumps(size).encode())
    return size
