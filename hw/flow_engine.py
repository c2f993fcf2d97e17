"""Engines in `signfold.hw.flow`: when their beats come, and what their windows hold, as arrays of cycles."""

import numpy as np

from signfold.hw.engine_core import EngineCore
from signfold.hw.replay import ReplayParameters
from signfold.hw.stream import QueueParameters
from signfold.hw.window_timing import WindowTiming

__all__ = ["engine_flow"]

#: Long before all cycles, and still far from the ends of int64.
_NEVER = -(1 << 60)


def engine_flow(p: EngineCore, source: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Follow whole frames through an engine that always finds room.

    Parameters
    ----------
    p : EngineCore
        The engine.
    source : numpy.ndarray
        The cycles in which its input beats come.

    Returns
    -------
    tuple of numpy.ndarray and list of int
        When each output beat is there, see `signfold.hw.engine_timing`; and how many positions the windows of each row
        hold at most.
    """
    storage, held = p.feeder.storage, []
    plays, passes = len(p.feeder.planes.plays), p.feeder.passes
    if isinstance(storage, ReplayParameters):
        turn = storage.words
        frames = source.reshape(-1, turn)
        first = _first_ends((frames + turn - np.arange(turn)).max(axis=1), turn, plays * passes)
    else:
        turn = storage.play_words
        first, issued, taken = _windows_played(p, source, plays * passes)
        held = [_held(each, taken, issued) for each in p.feeder.storages]
    # The first play of the first pass is the one that may wait.
    ends = first[:, None] + turn * (np.arange(1, passes + 1) * plays - 1)
    out = ends + storage.DELAY + p.pipeline + QueueParameters.LATENCY
    # Beats of a pass leave one after another, those of the final pass being fewer perhaps.
    counts = [p.array.groups] * (passes - 1) + [p.collector.final_beats]
    due = np.concatenate([out[:, k : k + 1] + np.arange(count) for k, count in enumerate(counts)], axis=1)
    if p.rows > 1:
        # Rows work on positions side by side, a cycle apart, and leave one after another.
        due = due[:, None, :] + np.arange(p.rows)[:, None]
    return due.reshape(-1), held


def _first_ends(latest, turn, plays):
    """Return when the first plays of frames or windows end.

    One begins when the one before has ended, `plays` of `turn` cycles each, and its first play ends no sooner than
    `latest`.
    """
    busy = np.arange(len(latest)) * turn * plays
    return np.maximum(np.maximum.accumulate(latest - busy), turn - 2) + busy


def _windows_played(p, source, plays):
    """Follow an engine's windows; see `signfold.hw.window_timing`.

    Returns
    -------
    tuple of arrays
        When the first play of each window ends, when each tap of its last play has been issued (taps x windows), and
        when each position's first word comes (frames x rows x columns).
    """
    windows, window = p.feeder.storages, p.feeder.storage
    run = 1 if window.by_channel else window.words
    words = source.reshape(-1, window.height, window.width, window.words)
    last = words[..., -1]
    rows, columns = windows[0].output_size
    come = np.full((window.taps, len(last), rows, columns), _NEVER)
    for each in windows:
        for tap in range(window.taps):
            down, across = divmod(tap, window.kernel[1])
            y = np.arange(rows) * each.stride[0] - each.padding[0] + down
            x = np.arange(columns) * each.stride[1] - each.padding[2] + across
            inside = [np.flatnonzero((n >= 0) & (n < size)) for n, size in ((y, window.height), (x, window.width))]
            place = (slice(None), inside[0][:, None], inside[1])
            come[tap][place] = np.maximum(come[tap][place], last[:, y[inside[0]][:, None], x[inside[1]]])
    come = come.reshape(window.taps, -1)
    left = (window.taps - np.arange(window.taps)) * run
    turn = window.taps * run
    first = _first_ends((come + left[:, None]).max(axis=0), turn, plays)
    issued = (first + turn * (plays - 1)) - left[:, None] + run
    if plays == 1:
        # Words wait for positions in the middle of a play.
        cycle = np.concatenate([[-2], first[:-1]])
        for tap in range(window.taps):
            issued[tap] = cycle = np.maximum(cycle, come[tap]) + run
    return first, issued, words[..., 0]


def _held(window, taken, issued):
    """Return the most positions that a window holds at once: see `WindowTiming.needed`."""
    issued = issued.reshape(window.taps, len(taken), *window.output_size)
    kept, users, offsets = [], [], []
    for axis, size in enumerate(window.size):
        last = [window.last_user(axis, n) for n in range(size)]
        kept.append(np.array([n for n in range(size) if last[n] is not None], np.int64))
        users.append(np.array([user for user in last if user is not None], np.int64))
        offsets.append(kept[axis] + window.padding[2 * axis] - users[axis] * window.stride[axis])
    tap = offsets[0][:, None] * window.kernel[1] + offsets[1]
    frames = np.arange(len(taken))[:, None, None]
    freed = issued[tap, frames, users[0][:, None], users[1]] + WindowTiming.REUSE
    taken = taken[:, kept[0][:, None], kept[1]]
    taken, freed = np.sort(taken.reshape(-1)), np.sort(freed.reshape(-1))
    return int((np.arange(1, len(taken) + 1) - np.searchsorted(freed, taken, side="right")).max())
