"""Cost of what feeds an array: storage and sequencer."""

from functools import lru_cache

from signfold.hw.feeder import FeederParameters
from signfold.hw.replay import ReplayParameters
from signfold.hw.sequencer import SequencerParameters
from signfold.hw.window_parameters import WindowParameters
from signfold.sw.cost.part import Part, bits_of, memory_part

__all__ = ["feeder_parts", "queue_parts"]


def feeder_parts(p: FeederParameters, fabric: str) -> list[Part]:
    """Return the parts of a feeder."""
    rows = 1 if isinstance(p.storage, ReplayParameters) else p.rows
    delay = p.storage.DELAY
    plays = p.planes.plays
    address = bits_of(p.sequencer.addresses)
    selects = p.storage.bits > 1 and not p.planes.space
    plane = bits_of(p.storage.bits) if selects else 0
    doubles = any(play.double for play in plays)
    ffs = (delay - 1) * address + delay * (3 + doubles + plane)
    features = {"one": 1, "rows": rows - 1}
    if selects:
        features["planes"] = p.rows * p.storage.simd * (p.storage.bits - 1)
    parts = [Part("feeder", ffs, features=features), _sequencer(p.sequencer)]
    if isinstance(p.storage, ReplayParameters):
        return [*parts, *_replay(p.storage, fabric)]
    for window in p.storages:
        parts += _window(window, fabric)
    return parts


def _sequencer(p: SequencerParameters) -> Part:
    address, play, turn = bits_of(p.addresses), bits_of(len(p.planes.plays)), bits_of(p.passes)
    ffs = address + play + turn + (p.passes > 2) + (len(p.planes.plays) > 2)
    features = {"one": 1, "turn": turn, "address": address}
    if play:
        # `base` keeps the start of a pass's block.
        ffs += address if p.passes > 1 else 0
        features |= {"play": play, "base": address}
    return Part("sequencer", ffs, features=features)


def _replay(p: ReplayParameters, fabric: str) -> list[Part]:
    pointer, level, word = bits_of(p.depth), p.depth.bit_length(), bits_of(p.words)
    features = {"one": 1, "pointers": 2 * pointer, "level": level, "word": word}
    # Flags for room and for a word at hand; counts are kept a cycle late.
    ffs = 2 * pointer + level + word + 4 + 2 * (p.words > 1)
    # In a single play what has come and what is left are the same, and its start is never returned to.
    if p.plays > 1 and p.words > 1:
        features |= {"again": 1, "base": pointer, "left": level}
        ffs += pointer + level + 3
    return [Part("replay", ffs, features=features), memory_part(fabric, p.simd * p.bits, p.depth)]


@lru_cache(maxsize=4096)
def _window(p: WindowParameters, fabric: str) -> list[Part]:
    capacity = p.capacity
    size = capacity * p.words
    across = bits_of(p.width)
    place, words, image_row = bits_of(size), bits_of(p.words), bits_of(p.height)
    row = max(p.height, p.height + p.rows).bit_length() + 1
    # What is added to `base` for each frame leaves its lowest bits alone where it ends in zeros.
    base = max(0, bits_of(p.rows) - ((p.height & -p.height).bit_length() - 1))
    rows, columns = p.output_size
    taps = bits_of(p.kernel[0]) + bits_of(p.kernel[1])
    corners = (4 * p.height).bit_length() + 1 if rows > 1 else 0
    corners += (4 * p.width).bit_length() + 1 if columns > 1 else 0
    ffs = row + across + base + words + image_row + capacity.bit_length() + place
    ffs += words + taps + bits_of(columns) + bits_of(rows) + corners
    ffs += 2 + (words and 1) + words + 2
    unused = sum(p.last_user(axis, n) is None for axis, count in enumerate(p.size) for n in range(count))
    features = {
        "one": 1,
        "rows": row,
        "corners": corners,
        "place": place,
        "words": words,
        "taps": taps,
        "output": bits_of(columns) + bits_of(rows),
        "unused": min(unused, 8),
        "code": p.simd * p.bits,
    }
    parts = [Part("window", ffs, features=features), memory_part(fabric, p.simd * p.bits, size)]
    parts += [memory_part(fabric, place, p.rows << across), *queue_parts(place, capacity, fabric, late=False)]
    return parts


def queue_parts(width: int, depth: int, fabric: str, count: int = 1, *, late: bool = True) -> list[Part]:
    """Return the parts of a queue; `late`: it counts what it holds a cycle late."""
    inner = depth - 1
    pointers, level = 2 * bits_of(inner), inner.bit_length()
    features = {"one": 1, "pointers": pointers, "level": level}
    if inner & (inner - 1):
        features["wraps"] = pointers
    # Three flags: there is room, something is stored, something is offered. And what came and went a cycle ago.
    queue = Part("queue", pointers + level + 3 + 2 * late, features=features, count=count)
    return [queue, memory_part(fabric, width, inner, count)]
