"""Loop: a counter that knows ahead whether it stands at its end."""

from amaranth.hdl import Const, Mux, Signal

__all__ = ["Loop"]


class Loop:
    """A counter from 0 to `count` - 1, again and again. Part of another component's module.

    Whether it stands at its end is in a register where a comparison would take a table, so that what depends on it
    begins right at the clock's edge. Where `count` is a power of two it returns to 0 by itself, without a reset.

    Parameters
    ----------
    name : str
        Name of its signals.
    count : int
        Values, at least 1.

    Attributes
    ----------
    value : Signal
        Where it stands; 0 after reset.
    at_end : Value
        It stands at `count` - 1.
    """

    def __init__(self, name: str, count: int):
        self._count = count
        self.value = Signal(range(count), name=name)
        if count == 1:
            self.at_end = Const(1)
        elif count == 2:
            self.at_end = self.value
        else:
            self.at_end = Signal(name=f"{name}_at_end")

    def step(self) -> list:
        """Return the statements, for the clock's domain, that go on by one."""
        if self._count == 1:
            return []
        power = self._count & (self._count - 1) == 0
        statements = [self.value.eq(self.value + 1 if power else Mux(self.at_end, 0, self.value + 1))]
        if self._count > 2:
            statements.append(self.at_end.eq(self.value == self._count - 2))
        return statements
