"""Stalls inside a graph: every stream between two components pauses at random."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.graph import GraphAccelerator, GraphConfig

__all__ = ["Hiccup", "StalledGraph"]

#: Taps of a Fibonacci register of 23 bits whose sequence has no shorter period than 2**23 - 1 (x^23 + x^18 + 1).
_LENGTH, _TAP = 23, 18


class Hiccup(wiring.Component):
    """A stream that pauses at random and stores nothing; offers that were made stand.

    Parameters
    ----------
    shape : ShapeLike
        Payload.
    seed : int
        First state of its random bits; not 0 modulo 2**23.
    pause : int
        Share of cycles that begin no transfer, in 16ths, 0 to 15.

    Members
    -------
    i : In(stream of shape)
        Payloads.
    o : Out(stream of shape)
        The same.
    """

    def __init__(self, shape: Any, seed: int, pause: int):
        self.seed, self.pause = seed, pause
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        state = Signal(_LENGTH, init=self.seed % ((1 << _LENGTH) - 1) + 1)
        # Four steps a cycle, for four new bits.
        bits = [state[_LENGTH - 1 - k] ^ state[_TAP - 1 - k] for k in range(4)]
        m.d.sync += state.eq(Cat(*reversed(bits), state))
        opened, held = Signal(), Signal()
        m.d.comb += [
            opened.eq(held | (Cat(bits) >= self.pause)),
            self.o.payload.eq(self.i.payload),
            self.o.valid.eq(self.i.valid & opened),
            self.i.ready.eq(self.o.ready & opened),
        ]
        m.d.sync += held.eq(self.o.valid & ~self.o.ready)
        return m


class StalledGraph(GraphAccelerator):
    """A graph in which every stream between two components pauses at random.

    Parameters
    ----------
    config : GraphConfig
        The network as gateware parameters.
    seed : int
        Of what happens when.
    pause : int
        See `Hiccup`.
    """

    def __init__(self, config: GraphConfig, seed: int, pause: int):
        super().__init__(config)
        self._seed, self._pause = seed, pause

    def link(self, m: Module, name: str, source: Any, sink: Any) -> None:
        """Connect two components through a stream that pauses."""
        self._seed += 7919
        hiccup = Hiccup(source.payload.shape(), self._seed, self._pause)
        m.submodules[f"hiccup_{name}"] = hiccup
        wiring.connect(m, source, hiccup.i)
        wiring.connect(m, hiccup.o, sink)
