"""Depths of the queues where branches meet, and slack of windows, from a graph's schedule: nothing is simulated."""

from dataclasses import replace
from itertools import chain

from signfold.hw.engine_core import EngineCore
from signfold.hw.flow import Flow
from signfold.hw.graph import GraphConfig
from signfold.hw.graph_timing import Deadlock
from signfold.hw.join import Join
from signfold.hw.stream import QueueParameters

__all__ = ["keeps_pace", "least_depths", "with_depths"]

#: Frames after which every component has found its rhythm.
_FRAMES = 3
#: Frames that show whether an interval is kept, and how many of them, the last ones, must be as far apart.
_SHOWN, _STEADY = 9, 4
#: Beats of a frame, times queues, up to which the least depths are looked for.
_SEARCHED = 3000


def with_depths(config: GraphConfig, *, least: bool | None = None) -> GraphConfig:
    """Return the accelerator with queues and windows so deep that it keeps its interval, exactly.

    Frames are followed through the components at the interval of the slowest, as though every join's queues and every
    window had no end (`signfold.hw.flow`); what was held at most is enough for all to go on without ever waiting for a
    place, as input that comes sooner makes no output later. Inputs of joins that never waited get no queue.

    Parameters
    ----------
    config : GraphConfig
        An accelerator; its queues and its windows' slack are not looked at.
    least : bool or None
        Whether `least_depths` then shortens the queues; None: where that takes about a second at most.
    """
    found = _without_waiting(config)
    if least is None:
        least = found.moved * sum(map(bool, chain(*found.queues))) <= _SEARCHED
    return least_depths(found) if least else found


def never_waits(config: GraphConfig) -> bool:
    """Return whether queues and windows are so deep that nothing waits for a place in them at `config.bound`."""
    needed = _without_waiting(config)
    queues = zip(chain(*config.queues), chain(*needed.queues), strict=True)
    slack = [
        (have.slack, least.slack) for have, least in zip(config.layers, needed.layers, strict=True) if _windowed(have)
    ]
    return all(have >= least for have, least in (*queues, *slack))


def _without_waiting(config):
    """Return the accelerator with queues and slack with which nothing ever waits for a place."""
    layers = tuple(_with_slack(layer, 0) for layer in config.layers)
    # Any depth will do for what has no end.
    queues = tuple(
        (QueueParameters.LEAST,) * len(read) if isinstance(layer, Join) else (0,) * len(read)
        for layer, read in zip(layers, config.inputs, strict=True)
    )
    bare = replace(config, layers=layers, queues=queues)
    beats, interval = bare.pixels.beats, bare.bound
    offers = [frame * interval + beat * interval // beats for frame in range(_FRAMES) for beat in range(beats)]
    flow = Flow(bare.pieces, offers)
    layers, queues = list(layers), []
    for k, (layer, read) in enumerate(zip(layers, config.inputs, strict=True)):
        if _windowed(layer):
            stored = zip(flow.windows[f"{layer.kind}_{k}"], layer.feeder.storages, strict=True)
            layers[k] = _with_slack(layer, max(0, *(needed - storage.capacity for needed, storage in stored)))
        queues.append(tuple(flow.queues.get(f"queue_{k}_{way}", 0) for way in range(len(read))))
    return replace(config, layers=tuple(layers), queues=tuple(queues))


def least_depths(config: GraphConfig) -> GraphConfig:
    """Return the accelerator with the least queues that keep its interval.

    Queue by queue, the deepest first, the least depth is looked for at which frames still follow one another at
    `config.bound`, exactly, with those that were found before. So each is the least beside the others: one place less
    costs throughput, or stops all.

    Parameters
    ----------
    config : GraphConfig
        An accelerator that keeps its interval, such as `with_depths` returns.
    """
    places = sorted(
        ((depth, k, way) for k, depths in enumerate(config.queues) for way, depth in enumerate(depths) if depth),
        reverse=True,
    )
    for depth, k, way in places:
        enough, too_little = depth, -1
        while enough - too_little > 1:
            # No queue at all is a depth of its own, and below those that there are.
            tried = 0 if too_little < 0 else (enough + too_little) // 2
            if 0 < tried < QueueParameters.LEAST:
                too_little = tried
            elif keeps_pace(_with_queue(config, k, way, tried)):
                enough = tried
            else:
                too_little = tried
        config = _with_queue(config, k, way, enough)
    return config


def keeps_pace(config: GraphConfig) -> bool:
    """Return whether frames follow one another at `config.bound`, the interval of the slowest component."""
    classes = config.scores.classes
    try:
        taken = config.schedule([config.settling] * (_SHOWN * config.pixels.beats))
    except Deadlock:
        return False
    ends = taken[classes - 1 :: classes]
    return ends[-1] - ends[-1 - _STEADY] == _STEADY * config.bound


def _with_queue(config, k, way, depth):
    queues = [list(depths) for depths in config.queues]
    queues[k][way] = depth
    return replace(config, queues=tuple(map(tuple, queues)))


def _with_slack(layer, slack):
    """Return the layer with the slack, the same one where it has that: tables of new ones are packed anew."""
    return replace(layer, slack=slack) if _windowed(layer) and layer.slack != slack else layer


def _windowed(layer):
    return isinstance(layer, EngineCore) and layer.image is not None
