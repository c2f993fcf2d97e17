"""Which modules of a design repeat: synthesis works on each of them once."""

import re
from collections import Counter

__all__ = ["repeated_modules"]

#: Copies from which on a module is kept apart. Fewer are worth more to optimization across their boundaries.
LEAST = 4
#: Characters of a module, with all inside it, from which on it is: copies of a handful of gates cost no time.
SMALL = 2000

_MODULE = re.compile(r"^module (\w+)\(.*?^endmodule", re.MULTILINE | re.DOTALL)
_INSTANCE = re.compile(r"^  (\w+) (?:\w+|\\\S+ ) \($", re.MULTILINE)


def repeated_modules(verilog: str, top: str = "accelerator", *, least: int = LEAST) -> tuple[str, ...]:
    """Return the modules that a synthesis does well to keep apart until its end.

    Parameters
    ----------
    verilog : str
        A design as `signfold.hw.verilog.convert` writes it.
    top : str
        Its top module.
    least : int
        Copies from which on a module is worth it.

    Returns
    -------
    tuple of str
        Names in order of the text: modules of which the design has at least `least` copies, and in these, modules of
        which each copy has that many, and so on. A module inside one of them that occurs less often is part of it.

    Raises
    ------
    ValueError
        If there is no module `top`.
    """
    bodies = {match[1]: match[0] for match in _MODULE.finditer(verilog)}
    if top not in bodies:
        raise ValueError(f"top must be a module of the design, not {top!r}")
    inside = {
        name: Counter(kind for kind in _INSTANCE.findall(body) if kind in bodies) for name, body in bodies.items()
    }
    small = {
        name
        for name in bodies
        if sum(len(bodies[kind]) * number for kind, number in _copies(name, inside).items()) + len(bodies[name]) < SMALL
    }
    kept: set[str] = set()
    roots = [top]
    while roots:
        copies = _copies(roots.pop(), inside)
        often = {name for name, count in copies.items() if count >= least} - small
        # The outermost of them: the others are looked for again inside those.
        within = {name for outer in often for name in _copies(outer, inside)}
        new = often - within - kept
        kept |= new
        roots += sorted(new)
    return tuple(name for name in bodies if name in kept)


def _copies(root: str, inside: dict[str, Counter[str]]) -> Counter[str]:
    """Return how many copies of each module one copy of `root` holds, at all depths."""
    total: Counter[str] = Counter()
    level = Counter({root: 1})
    while level:
        following: Counter[str] = Counter()
        for name, count in level.items():
            for kind, number in inside[name].items():
                following[kind] += count * number
        total += following
        level = following
    return total
