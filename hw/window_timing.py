"""The cycles of windows that play in step: when positions are written and words issued, without simulating."""

from bisect import bisect_right

from signfold.hw.timing import Beats, Timing

__all__ = ["WindowTiming"]


class WindowTiming:
    """Cycles at which the words of plays are issued.

    Parameters
    ----------
    windows : sequence of WindowParameters
        Windows that take the same positions and issue in the same cycles; more than one only as the rows of an array.
    source : Timing
        Words at the input.
    unbounded : bool
        Never wait for a place, to learn how many would do: see `needed`.
    """

    #: Cycles from the issue of a position's last word to the earliest transfer of a word that takes its place.
    REUSE = 3

    def __init__(self, windows, source: Timing, *, unbounded: bool = False):
        self._beats = Beats(source)
        self._windows = [_Storage(p, unbounded) for p in windows]
        self._p = p = windows[0]
        self._loops = p.by_channel and p.words or 1
        self._written: list[int] = []
        self._last_taken = -1
        self._cycle = -2  # a word can be issued in the first cycle after reset, one before cycle 0
        self._place = [0, 0, 0, 0]  # frame, row, column, channel group of the next play
        self._corners = [(0, 0)]  # cycle from which rows above are no longer wanted

    def play(self, earliest: int, advance: bool) -> int:
        """Return the cycle at which the next play's last word is issued.

        Parameters
        ----------
        earliest : int
            Cycle before which the first word may not be issued.
        advance : bool
            It is the last play of its position (or channel group).

        Raises
        ------
        NoMoreBeats
            The source has ended.
        """
        p = self._p
        frame, y, x, group = self._place
        run = 1 if p.by_channel else p.words
        letting_go = advance and group == self._loops - 1
        cycle = max(self._cycle, earliest - 1)
        for tap in range(p.taps):
            down, across = divmod(tap, p.kernel[1])
            row = y * p.stride[0] - p.padding[0] + down
            freeing = []
            if 0 <= row < p.height:
                for storage in self._windows:
                    q = storage.parameters
                    column = x * q.stride[1] - q.padding[2] + across
                    if 0 <= column < q.width:
                        cycle = max(cycle, self._arrival(frame, row, column))
                        if letting_go and (q.last_user(0, row), q.last_user(1, column)) == (y, x):
                            freeing.append(storage)
            cycle += run
            for storage in freeing:
                storage.freed.append(cycle + self.REUSE)
        self._cycle = cycle
        if advance:
            self._advance(cycle)
        return cycle

    def needed(self) -> list[int]:
        """Return how many places each window has used at once."""
        return [storage.needed() for storage in self._windows]

    def _advance(self, cycle):
        """Go on to the next channel group, position, row and frame."""
        p = self._p
        rows, columns = p.output_size
        place = self._place
        for level, size in ((3, self._loops), (2, columns), (1, rows), (0, None)):
            place[level] = 0 if place[level] + 1 == size else place[level] + 1
            if place[level]:
                break
        if level < 2:
            # A row was finished.
            top = place[0] * p.height + max(0, place[1] * p.stride[0] - p.padding[0])
            self._corners.append((cycle + 1, top))

    @property
    def open(self) -> bool:
        """Whether it is known when there is room for the next position."""
        line, at = divmod(len(self._written), self._p.width)
        return all(storage.open(line, at, self._corners) for storage in self._windows)

    @property
    def written(self) -> int:
        """Positions that have been taken."""
        return len(self._written)

    def take_position(self) -> None:
        """Take the next position as soon as there is room for it.

        Raises
        ------
        NoMoreBeats
            The source has ended.
        """
        p = self._p
        line, at = divmod(len(self._written), p.width)
        room = max(storage.room(line, at, self._corners) for storage in self._windows)
        for word in range(p.words):
            self._last_taken = self._beats.take(max(room, self._last_taken + 1))
            if word == 0:
                for storage in self._windows:
                    storage.take(line, at, self._last_taken)
        self._written.append(self._last_taken)

    def fetch(self, count: int) -> None:
        """See to it that `count` positions have been taken; whoever lets others take them replaces this."""
        while len(self._written) < count:
            self.take_position()

    def _arrival(self, frame, row, column):
        """Return the cycle of a position's last word."""
        p = self._p
        index = (frame * p.height + row) * p.width + column
        if len(self._written) <= index:
            self.fetch(index + 1)
        return self._written[index]


class _Storage:
    """Places of one window."""

    def __init__(self, parameters, unbounded):
        self.parameters = parameters
        self.freed: list[int] = []
        self._unbounded = unbounded
        self._taken: list[int] = []
        self._corner = 0

    def open(self, line, column, corners):
        """Return whether `room` is known yet."""
        p = self.parameters
        if self._unbounded:
            return True
        # Rows are told apart modulo `rows`.
        while self._corner < len(corners) and corners[self._corner][1] + p.rows <= line:
            self._corner += 1
        number = len(self._taken)
        held = p.used(line % p.height, column) and number >= p.capacity
        return self._corner < len(corners) and not (held and number - p.capacity >= len(self.freed))

    def room(self, line, column, corners):
        """Return the cycle from which the position of row `line`, counted over all frames, can be taken."""
        p = self.parameters
        if self._unbounded:
            return 0
        while corners[self._corner][1] + p.rows <= line:
            self._corner += 1
        earliest = corners[self._corner][0]
        if p.used(line % p.height, column):
            number = len(self._taken)
            if number >= p.capacity:
                earliest = max(earliest, self.freed[number - p.capacity])
        return earliest

    def take(self, line, column, cycle):
        """Note the cycle in which a position gets its place."""
        if self.parameters.used(line % self.parameters.height, column):
            self._taken.append(cycle)

    def needed(self):
        """Return the most places that are taken at once."""
        return max(k + 1 - bisect_right(self.freed, cycle) for k, cycle in enumerate(self._taken))
