"""Slack: storage that lets the stages of an accelerator keep their common interval, whatever the rhythm of each."""

from dataclasses import replace

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.engine_core import EngineCore
from signfold.hw.engine_timing import engine_timing
from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.hardwired_timing import HardwiredProbe
from signfold.hw.timing import offered, take_all

__all__ = ["with_slack"]

#: Frames after which every stage has found its rhythm.
_FRAMES = 3


def with_slack(config: AcceleratorConfig) -> AcceleratorConfig:
    """Return the accelerator with as much storage before each window as keeps the stages from waiting for one another.

    A window alone needs no more than its lines. In a chain its positions come when the stage before makes them, for
    example evenly over the frame, while its last windows still hold the end of the frame before. What is stored at most
    when frames are offered evenly at the accelerator's interval, and nothing ever waits for a place, is enough: input
    that comes sooner makes no output later. Windows of hardwired layers take what lies around the image without input,
    while positions come: these wait in a queue, where they have to wait at all.

    Parameters
    ----------
    config : AcceleratorConfig
        An accelerator; its slack is not looked at.
    """
    layers = [replace(layer, slack=0) if _windowed(layer) else layer for layer in config.layers]
    if not any(_windowed(layer) for layer in layers):
        return config
    bare = replace(config, layers=tuple(layers))
    beats, interval = bare.pixels.beats, bare.interval
    timing = offered(frame * interval + beat * interval // beats for frame in range(_FRAMES) for beat in range(beats))
    probes = {}
    for _, parameters in bare.stages:
        if isinstance(parameters, HardwiredParameters) and parameters.image is not None:
            probes[parameters.name] = probe = HardwiredProbe(parameters)
            timing = probe.timing(timing)
        elif _windowed(parameters):
            feeder = parameters.feeder.playing(timing, unbounded=True)
            probes[parameters.name] = feeder
            timing = engine_timing(parameters, feeder)
        else:
            timing = parameters.timing(timing)
    take_all(timing)
    for k, layer in enumerate(layers):
        if isinstance(layer, HardwiredParameters) and layer.image is not None:
            slack, room = probes[layer.name].needed()
            layers[k] = replace(layer, slack=slack, room=room)
        elif _windowed(layer):
            stored = zip(probes[layer.name].needed(), layer.feeder.storages, strict=True)
            slack = max(needed - storage.capacity for needed, storage in stored)
            layers[k] = replace(layer, slack=max(0, slack))
    return replace(config, layers=tuple(layers))


def _windowed(layer) -> bool:
    return isinstance(layer, (EngineCore, HardwiredParameters)) and layer.image is not None
