"""A component whose memories of weights are filled after reset, for benches that know of no weights."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from signfold.hw.rom import RomParameters

__all__ = ["loading"]


class _Loading(wiring.Component):
    """Pass streams `i` and `o` of a component on, the input only once all chunks have gone in."""

    def __init__(self, inner, chunks):
        self._inner, self._chunks = inner, chunks
        super().__init__({"i": inner.signature.members["i"], "o": inner.signature.members["o"]})

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = self._inner
        words = tuple(byte | (n == len(chunk) - 1) << 8 for chunk in self._chunks for n, byte in enumerate(chunk))
        m.submodules.bytes = table = RomParameters("bytes", 9, (*words, 0)).create()
        number, following, primed = Signal(range(len(words) + 1)), Signal(range(len(words) + 1)), Signal()
        finished = number == len(words)
        m.d.comb += [
            inner.w.valid.eq(primed & ~finished),
            inner.w.payload.data.eq(table.data[:8]),
            inner.w.payload.last.eq(table.data[8]),
            following.eq(number + (inner.w.valid & inner.w.ready)),
            table.address.eq(following),
            inner.i.payload.eq(self.i.payload),
            inner.i.valid.eq(self.i.valid & finished),
            self.i.ready.eq(inner.i.ready & finished),
        ]
        m.d.sync += [number.eq(following), primed.eq(1)]
        wiring.connect(m, inner.o, wiring.flipped(self.o))
        return m


def loading(component: wiring.Component, chunks: list[bytes]) -> wiring.Component:
    """Return a component with streams `i` and `o` that loads its weights by itself; without chunks the same component.

    Parameters
    ----------
    component : Component
        With streams `i`, `o` and, where there are chunks, `w`.
    chunks : list of bytes
        What to send to `w` before the first input is taken.
    """
    return _Loading(component, chunks) if chunks else component
