"""What lies between a fork and the join where its ways meet: the part of a graph that the depth of a queue concerns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from signfold.hw.flow import Flow
from signfold.hw.fork import ForkParameters
from signfold.hw.graph import GraphConfig, Piece
from signfold.hw.graph_timing import Deadlock, GraphTiming
from signfold.hw.stream import QueueParameters

__all__ = ["Region", "shortened"]

#: Frames that show whether an interval is kept, and how many of them, the last ones, must be as far apart.
_SHOWN, _STEADY = 5, 2


def shortened(config: GraphConfig, *, progress: Callable[[int], object] | None = None) -> GraphConfig:
    """Return the accelerator with queues so short that one place less, in any of them, costs throughput.

    As `signfold.hw.depths.least_depths`, for networks too large for that: each queue is tried in its region alone,
    whose input comes as soon as it could. So what loses throughput there loses it in the whole; what keeps it there
    might lose it in the whole, where regions make one another wait, which `signfold.hw.depths.keeps_pace` finds.

    Parameters
    ----------
    config : GraphConfig
        An accelerator whose queues are deep enough for all, as `signfold.hw.depths.with_depths` returns it.
    progress : callable, optional
        Called with the number of queues done since the last call.
    """
    beats, interval = config.pixels.beats, config.bound
    offers = [frame * interval + beat * interval // beats for frame in range(_SHOWN) for beat in range(beats)]
    flow = Flow(config.pieces, offers)
    found: dict[tuple[int, int], int] = {}
    ratio = 1.0
    for k, depths in enumerate(config.queues):
        for way, depth in enumerate(depths):
            if not depth:
                continue
            layer = config.layers[k]
            region = Region.of(config, f"{layer.kind}_{k}")
            come = offers if region.entry is None else flow.taken(region.entry).tolist()
            leaving = layer.positions * -(-layer.channels // layer.lanes)
            name = f"queue_{k}_{way}"
            # Whatever was found for others of this join stays.
            for (other, side), have in found.items():
                if other == k:
                    region = region.with_queue(f"queue_{k}_{side}", have)

            def enough(tried, region=region, come=come, leaving=leaving, name=name):
                return region.with_queue(name, tried).keeps_pace(come, interval, leaving, _STEADY)

            found[k, way] = least = _least(enough, depth, round(depth * ratio))
            ratio = least / depth
            if progress is not None:
                progress(1)
    queues = tuple(
        tuple(found.get((k, way), 0) for way in range(len(depths))) for k, depths in enumerate(config.queues)
    )
    return replace(config, queues=queues)


def _least(enough: Callable[[int], bool], most: int, guess: int) -> int:
    """Return the least depth that is enough, 0 or one that queues have; a good guess saves most tries."""
    below, above = -1, most

    def narrow(tried):
        nonlocal below, above
        if enough(tried):
            above = tried
        else:
            below = tried

    for tried in (guess, guess - 1):
        if QueueParameters.LEAST <= tried and below < tried < above:
            narrow(tried)
    while above - below > 1:
        tried = (above + below) // 2
        if 0 < tried < QueueParameters.LEAST:
            # There is none so short: either without, or the shortest.
            tried = 0 if below < 0 else tried
            if tried:
                below = QueueParameters.LEAST - 1
                continue
        narrow(tried)
    return above


@dataclass(frozen=True)
class Region:
    """The components on all ways to a join from the last one that all of them pass.

    Attributes
    ----------
    pieces : tuple of Piece
        Components, each after those it reads; the first has no sources, the last is the join.
    entry : tuple of (int, int or None)
        Where the first one's input comes from, as a source in the whole graph; None: it is the input stage.
    """

    pieces: tuple[Piece, ...]
    entry: tuple[int, int | None] | None

    @classmethod
    def of(cls, config: GraphConfig, join: str) -> "Region":
        """Return the region of a join, named as a piece of the graph."""
        pieces = config.pieces
        last = next(number for number, piece in enumerate(pieces) if piece.name == join)
        behind = _reached([last], lambda number: [source for source, _ in pieces[number].sources])
        first = max(number for number in behind - {last} if _passed_by_all(pieces, number, last))
        inside = sorted(number for number in behind if number >= first)
        inside = [number for number in inside if number == first or _reads_from(pieces, number, first)]
        place = {number: k for k, number in enumerate(inside)}
        own = [replace(pieces[first], sources=())]
        for number in inside[1:]:
            sources = tuple((place[source], way) for source, way in pieces[number].sources)
            own.append(replace(pieces[number], sources=sources))
        return cls(tuple(own), pieces[first].sources[0] if pieces[first].sources else None)

    def with_queue(self, name: str, depth: int) -> "Region":
        """Return the region with another depth of a queue; 0: without it."""
        at = next(number for number, piece in enumerate(self.pieces) if piece.name == name)
        if depth:
            queue = replace(self.pieces[at].parameters, depth=depth)
            changed = replace(self.pieces[at], parameters=queue)
            return replace(self, pieces=(*self.pieces[:at], changed, *self.pieces[at + 1 :]))
        end = self.pieces[at].sources[0]

        def source(link):
            number, way = end if link[0] == at else link
            return number - (number > at), way

        left = [piece for piece in self.pieces if piece.name != name]
        return replace(self, pieces=tuple(replace(p, sources=tuple(map(source, p.sources))) for p in left))

    def keeps_pace(self, offers: Sequence[int], interval: int, beats: int, steady: int) -> bool:
        """Return whether what leaves the join comes frame by frame at an interval, in the last `steady` of some frames.

        Parameters
        ----------
        offers : sequence of int
            The cycles in which the input of some frames comes.
        interval : int
            Cycles from frame to frame.
        beats : int
            Beats that the join gives in a frame.
        steady : int
            How many frames, the last ones, are looked at.
        """
        try:
            ends = GraphTiming(self.pieces).run(offers)[beats - 1 :: beats]
        except Deadlock:
            return False
        return ends[-1] - ends[-1 - steady] <= steady * interval


def _reached(start, neighbours):
    """Return all numbers that can be reached."""
    found, left = set(start), list(start)
    while left:
        for number in neighbours(left.pop()):
            if number not in found:
                found.add(number)
                left.append(number)
    return found


def _passed_by_all(pieces: Sequence[Piece], gate: int, last: int) -> bool:
    """Return whether all ways from the input to a piece pass another, which forks or is the input stage."""
    if gate and not isinstance(pieces[gate].parameters, ForkParameters):
        return False

    def before(number: int) -> list[Any]:
        return [] if number == gate else [source for source, _ in pieces[number].sources]

    return gate == 0 or 0 not in _reached([last], before)


def _reads_from(pieces, number, first):
    return first in _reached([number], lambda each: [source for source, _ in pieces[each].sources])
