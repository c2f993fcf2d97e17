"""When a stream's end pauses: patterns shared by every bench, whatever its simulator."""

import itertools
import random
from collections.abc import Iterator

__all__ = ["Stall", "stalls"]

#: A stall pattern; `stalls` says what each kind means.
Stall = float | int | str

#: Longest run of equal cycles in a "bursts" pattern.
_LONGEST_BURST = 32


def stalls(pattern: Stall, rng: random.Random) -> Iterator[bool]:
    """Yield, cycle by cycle and without end, whether the end of a stream pauses.

    Parameters
    ----------
    pattern : float, int or str
        A float in [0, 1) pauses each cycle with that probability. An int pauses for that many cycles and never again.
        A string of "0" and "1" holding at least one "0" repeats for ever, "1" a pause. "bursts" alternates between
        pausing and going, each for 1 to 32 cycles at random.
    rng : random.Random
        Source of the random patterns; the other patterns leave it alone.

    Returns
    -------
    iterator of bool
        True for a cycle without offering (source) or accepting (sink).

    Raises
    ------
    TypeError
        If `pattern` is none of these kinds.
    ValueError
        If `pattern` would pause for ever or is out of range.
    """
    if isinstance(pattern, bool) or not isinstance(pattern, float | int | str):
        raise TypeError(f"Stall pattern must be a float, an int or a string, not {pattern!r}")
    if isinstance(pattern, str):
        if pattern == "bursts":
            return _bursts(rng)
        if set(pattern) - {"0", "1"} or "0" not in pattern:
            raise ValueError(f'Stall pattern must be "bursts" or 0s and 1s with at least one 0, not {pattern!r}')
        return itertools.cycle(bit == "1" for bit in pattern)
    if isinstance(pattern, int):
        if pattern < 0:
            raise ValueError(f"Stall pattern must be a non-negative number of cycles, not {pattern!r}")
        return itertools.chain(itertools.repeat(True, pattern), itertools.repeat(False))
    if not 0 <= pattern < 1:
        raise ValueError(f"Stall probability must be at least 0 and below 1, not {pattern!r}")
    if pattern == 0:
        return itertools.repeat(False)
    return (rng.random() < pattern for _ in itertools.count())


def _bursts(rng: random.Random) -> Iterator[bool]:
    while True:
        yield from itertools.repeat(True, rng.randint(1, _LONGEST_BURST))
        yield from itertools.repeat(False, rng.randint(1, _LONGEST_BURST))
