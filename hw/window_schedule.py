"""The cycles of a window: when positions are written and words appear, without simulating."""

__all__ = ["schedule"]


def schedule(parameters, offers: list[int]) -> list[int]:
    """Return the cycles at which the words of all windows and passes of one frame appear; see `WindowParameters`."""
    p = parameters
    arrivals = _Arrivals(p, offers)
    appear = []
    for y in range(p.output_size[0]):
        for x in range(p.output_size[1]):
            for play in range(p.passes):
                _play(p, arrivals, appear, y, x, final=play == p.passes - 1)
    return appear


def _play(p, arrivals, appear, y, x, *, final):
    """Append the cycles of one pass over a window, and tell `arrivals` of the places that it frees."""
    for tap in range(p.taps):
        row = y * p.stride[0] - p.padding[0] + tap // p.kernel[1]
        column = x * p.stride[1] - p.padding[2] + tap % p.kernel[1]
        inside = 0 <= row < p.height and 0 <= column < p.width
        # Around the image nothing is waited for, but the first word comes no sooner than after two cycles of reading.
        ready = arrivals.written(row, column) + p.LATENCY if inside else p.LATENCY - 1
        for _ in range(p.words):
            appear.append(max(ready, appear[-1] + 1 if appear else 0))
        if inside and final and (p.last_user(0, row), p.last_user(1, column)) == (y, x):
            arrivals.freed.append(appear[-1] + p.REUSE)


class _Arrivals:
    """Cycles at which positions are written, given those at which places are freed."""

    def __init__(self, parameters, offers):
        self.parameters, self.offers = parameters, offers
        self.freed, self.cycles, self.placed = [], [], 0

    def written(self, row, column):
        """Return the cycle of the position's last word."""
        p = self.parameters
        while len(self.cycles) <= row * p.width + column:
            index = len(self.cycles)
            earliest = self.cycles[-1] + 1 if self.cycles else 0
            if p.used(index // p.width, index % p.width):
                if self.placed >= p.capacity:
                    earliest = max(earliest, self.freed[self.placed - p.capacity])
                self.placed += 1
            for word in range(p.words):
                cycle = max(earliest, self.offers[index * p.words + word])
                earliest = cycle + 1
            self.cycles.append(cycle)
        return self.cycles[row * p.width + column]
