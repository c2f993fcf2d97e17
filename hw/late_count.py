"""Count that is kept a cycle late, so that nothing waits for an addition behind what is counted."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value

__all__ = ["LateCount"]


class LateCount:
    """Number of things that came less those that went, counted a cycle late.

    What came and went in the cycle before is told apart where the count is looked at: `equals` is exact, and depends on
    registers alone.

    Parameters
    ----------
    m : Module
        Where the registers are placed, in domain `sync`.
    name : str
        Their name.
    most : int
        Largest number, at least 1; the first is 0.
    more, less : Value
        In this cycle one comes, one goes.
    again : (Value, int), optional
        In the cycle before this many came at once, and one went. `equals` is of no use in such a cycle.
    """

    def __init__(
        self, m: Module, name: str, most: int, more: Value, less: Value, again: tuple[Value, int] | None = None
    ):
        self._count = count = Signal(range(most + 1), name=name)
        self._came, self._went = came, went = Signal(name=f"{name}_came"), Signal(name=f"{name}_went")
        m.d.sync += [came.eq(more), went.eq(less)]
        if again is not None:
            occurs, number = again
            m.d.sync += count.eq(count + Mux(occurs, number - 1, Mux(went, -1, 0)) + came)
        else:
            with m.If(came ^ went):
                m.d.sync += count.eq(count + Cat(1, went.replicate(len(count) - 1)))

    def equals(self, number: int) -> Value:
        """Return whether there are `number`, what comes and goes in this cycle not counted."""
        fewer, same, more = (self._count == n for n in (number - 1, number, number + 1))
        return Mux(self._came ^ self._went, Mux(self._came, fewer, more), same)
