"""Where every beat of a graph is when queues and windows have no end: whole streams at a time, as arrays of cycles.

The same cycles as `signfold.hw.graph_timing` finds beat by beat, in a fraction of a second for networks of millions of
beats. What a queue or window holds at most follows from them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from signfold.hw.add_join import AddJoinParameters
from signfold.hw.concat_join import ConcatJoinParameters
from signfold.hw.engine_core import EngineCore
from signfold.hw.flow_engine import engine_flow
from signfold.hw.fork import ForkParameters
from signfold.hw.gearbox import NarrowerParameters, WidenerParameters
from signfold.hw.pad_channels import PadChannelsParameters
from signfold.hw.stream import QueueParameters
from signfold.hw.unit_stage import UnitStageParameters

__all__ = ["Flow"]

#: Long before all cycles, and still far from the ends of int64.
_NEVER = -(1 << 60)
#: Rounds after which beats that keep one another waiting must have come to rest.
_ROUNDS = 200


class Flow:
    """Frames that go through a graph.

    A component whose output is not taken at once keeps those before it waiting. So cycles are found in rounds: each
    follows the streams from the first component to the last with what the round before found of when beats are taken,
    until nothing changes. Where beats come evenly few rounds do. Credits of engines are taken to suffice.

    Parameters
    ----------
    pieces : sequence of signfold.hw.graph.Piece
        Components, each after those it reads; the depths of queues do not matter.
    offers : iterable of int
        Ascending cycles in which the first piece's input beats come, whole frames.

    Attributes
    ----------
    queues : dict of str to int
        For each queue the least depth at which nothing waits outside; 0 where nothing waits inside either.
    windows : dict of str to list of int
        For each engine with windows how many positions each row's storage holds at most.
    """

    def __init__(self, pieces: Sequence[Any], offers: Iterable[int]):
        self._pieces, self._offers = pieces, np.array(list(offers), np.int64)
        self.queues: dict[str, int] = {}
        self.windows: dict[str, list[int]] = {}
        #: When the beats of each piece, and way of a fork, were taken: in the round before, and in this one.
        self._taken: dict[tuple[int, int | None], np.ndarray] = {}
        #: What each engine took, and when what came of it was there.
        self._engines: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for _ in range(_ROUNDS):
            before, self._taken = self._taken, {}
            self._round(before)
            if before and all((cycles == before[link]).all() for link, cycles in self._taken.items()):
                break

    def taken(self, link: tuple[int, int | None]) -> np.ndarray:
        """Return the cycles in which the beats of a piece, or of a way of a fork, are taken."""
        return self._taken[link]

    def _round(self, before):
        """Follow all streams once."""
        come: dict[tuple[int, int | None], np.ndarray] = {}
        for number, piece in enumerate(self._pieces):
            p, links = piece.parameters, piece.sources
            streams = [come[link] for link in links] or [self._offers]
            if isinstance(p, ForkParameters):
                ways = [(number, way) for way in range(p.ways)]
                taken = streams[0]
                if before:
                    taken = np.maximum.reduce([taken, *(before[way] for way in ways)])
                    taken = _one_a_cycle(taken)
                    streams[0] = np.maximum(streams[0], _after(taken, 1) + 1)
                come |= dict.fromkeys(ways, streams[0])
                self._taken[links[0]] = taken
                continue
            left = before.get((number, None))
            come[number, None], taken = self._through(piece, streams, left)
            for link, cycles in zip(links, taken, strict=False):
                self._taken[link] = cycles
        # Nobody keeps the last piece waiting.
        self._taken[len(self._pieces) - 1, None] = come[len(self._pieces) - 1, None]

    def _through(self, piece, streams, left):
        """Return when a component's beats come, and when it takes those of each source; `left`: when its own left."""
        p, source = piece.parameters, streams[0]
        match p:
            case EngineCore():
                seen = self._engines.get(piece.name)
                if seen is None or not np.array_equal(seen[0], source):
                    due, held = engine_flow(p, source)
                    self._engines[piece.name] = seen = source, due
                    if held:
                        self.windows[piece.name] = held
                due = seen[1]
                return _one_a_cycle(np.maximum(due, _after(left, 1) + 1)), [source]
            case QueueParameters():
                fetched = np.maximum(source + 1, _after(left, 1))
                if left is not None:
                    self.queues[piece.name] = _depth(source, fetched, left)
                return fetched + 1, [source]
            case UnitStageParameters():
                taken = np.maximum(source, _after(left, p.queue.depth) + 1)
                return np.maximum(taken + p.unit_latency + 1, _after(left, 1)) + 1, [taken]
            case AddJoinParameters():
                taken = np.maximum(np.maximum.reduce(streams), _after(left, 1))
                return taken + 1, [taken] * len(streams)
            case ConcatJoinParameters():
                packets = [each.reshape(-1, beats) for each, beats in zip(streams, p.source_beats, strict=True)]
                taken = _one_a_cycle(np.maximum(np.concatenate(packets, axis=1).reshape(-1), _after(left, 1)))
                parts = np.split(taken.reshape(-1, p.beats), np.cumsum(p.source_beats)[:-1], axis=1)
                return taken + 1, [part.reshape(-1) for part in parts]
            case WidenerParameters():
                ratio = p.lanes_out // p.lanes_in
                first = np.arange(p.beats_out) * ratio
                last = np.minimum(first + ratio, p.beats_in) - 1
                room = np.repeat(
                    _after(left, 1, len(source) // p.beats_in * p.beats_out),
                    np.tile(last - first + 1, len(source) // p.beats_in),
                )
                taken = _one_a_cycle(np.maximum(source, room))
                return taken.reshape(-1, p.beats_in)[:, last].reshape(-1) + 1, [taken]
            case NarrowerParameters():
                parts = np.full(p.beats_in, p.lanes_in // p.lanes_out)
                parts[-1] = p.final_parts
                first = np.zeros(p.beats_out, bool)
                first[np.cumsum(parts) - parts] = True
                return _spread(source, np.tile(first, len(source) // p.beats_in), left)
            case PadChannelsParameters():
                ahead, own, behind = p.beats
                packets = len(source) // own
                places = np.tile(np.arange(ahead + own + behind), packets)
                gone, taken = _spread(
                    source,
                    (places >= ahead) & (places < ahead + own),
                    left,
                    lead=(places < ahead, np.repeat(source.reshape(-1, own)[:, 0], ahead)),
                )
                return gone, taken
            case _:
                # A register: the input stage. Of the output stage nobody asks.
                taken = np.maximum(source, _after(left, 1, len(source)))
                return taken + 1, [taken]


def _after(left, places, length=None):
    """Return when the beat so many places before each one left, which it waits for; the first ones wait for none."""
    if left is None:
        return np.full(length or 1, _NEVER)
    return np.concatenate([np.full(min(places, len(left)), _NEVER), left[:-places]])


def _one_a_cycle(due):
    """Return when beats leave that are due at given cycles, in order, one a cycle at most."""
    number = np.arange(len(due))
    return np.maximum.accumulate(due - number) + number


def _spread(source, own, left, lead=None):
    """Return when beats come of which some, `own`, are input beats, and others follow them at once.

    `lead`: beats that precede a packet's own ones, and when its first one comes.
    """
    due = np.full(len(own), _NEVER)
    due[own] = source
    if lead is not None:
        due[lead[0]] = lead[1]
    come = _one_a_cycle(np.maximum(due, _after(left, 1, len(own))) + 1)
    return come, [come[own] - 1]


def _depth(written, fetched, taken):
    """Return the depth of a queue: see `signfold.hw.stream.needed_depth`; 0 where its payloads leave at once."""
    if (taken == written + QueueParameters.LATENCY).all():
        return 0
    gone = np.searchsorted(fetched, written, side="left")
    return max(QueueParameters.LEAST, int((np.arange(len(written)) - gone).max()) + 2)
