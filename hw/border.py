"""Border classes: output positions whose windows meet the padding in the same way, and a counter that tells them."""

import operator
from dataclasses import dataclass
from functools import cached_property

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.lookup import lookup

__all__ = ["BorderClasses", "BorderCounter"]


@dataclass(frozen=True)
class BorderClasses:
    """Classes of the output positions of a convolution, each the class of its row combined with that of its column.

    Parameters
    ----------
    rows, columns : tuple of int
        Class of each output row and of each output column, from 0 on.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def __post_init__(self):
        for name in ("rows", "columns"):
            classes = getattr(self, name)
            if not isinstance(classes, tuple):
                raise TypeError(f"border {name} must be a tuple of integers, not {classes!r}")
            if not classes:
                raise ValueError(f"border {name} must hold at least one class")
            for number in classes:
                check_integer(f"border {name}", number, minimum=0, maximum=255)
            object.__setattr__(self, name, tuple(operator.index(number) for number in classes))

    @property
    def positions(self) -> int:
        """Output positions."""
        return len(self.rows) * len(self.columns)

    @property
    def column_classes(self) -> int:
        """Classes of columns."""
        return max(self.columns) + 1

    @property
    def count(self) -> int:
        """Classes of positions: row class * column classes + column class, from 0 on."""
        return (max(self.rows) + 1) * self.column_classes

    @cached_property
    def sequence(self) -> tuple[int, ...]:
        """Class of each position, row by row."""
        return tuple(row * self.column_classes + column for row in self.rows for column in self.columns)

    def create(self) -> "BorderCounter":
        """Return the gateware."""
        return BorderCounter(self)


class BorderCounter(wiring.Component):
    """Step through the positions of frames that follow one another, and tell their classes. No latency.

    A border of one class costs nothing.

    Parameters
    ----------
    classes : BorderClasses
        Classes of the positions of a frame.

    Members
    -------
    step : In(1)
        Go to the next position.
    current : Out
        Class of the position; after reset of the first.
    upcoming : Out
        Class of the position after it.
    following : Out
        Class in the next cycle: `upcoming` with `step`, else `current`.
    """

    def __init__(self, classes: BorderClasses):
        self.classes = classes
        number = range(max(2, classes.count))
        first = classes.sequence[0] if classes.count > 1 else 0
        super().__init__(
            {"step": In(1), "current": Out(number, init=first), "upcoming": Out(number), "following": Out(number)}
        )

    def elaborate(self, platform):
        p = self.classes
        m = Module()
        if p.count == 1:
            return m
        # Place of the upcoming position.
        second = 1 % len(p.columns), (1 // len(p.columns)) % len(p.rows)
        column, row = Signal(range(len(p.columns)), init=second[0]), Signal(range(len(p.rows)), init=second[1])
        m.d.comb += [
            self.upcoming.eq(
                lookup(m, row, [number * p.column_classes for number in p.rows], "row_class")
                + lookup(m, column, p.columns, "column_class")
            ),
            self.following.eq(Mux(self.step, self.upcoming, self.current)),
        ]
        m.d.sync += self.current.eq(self.following)
        with m.If(self.step):
            with m.If(column == len(p.columns) - 1):
                m.d.sync += [column.eq(0), row.eq(Mux(row == len(p.rows) - 1, 0, row + 1))]
            with m.Else():
                m.d.sync += column.eq(column + 1)
        return m
