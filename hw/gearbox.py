"""Gearboxes: change how many codes of a frame travel side by side."""

import math
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.shapes import beat_layout
from signfold.hw.timing import Beats, Scheduled, Timing

__all__ = ["Narrower", "NarrowerParameters", "Widener", "WidenerParameters", "gearboxes"]


def gearboxes(
    elements: int, bits: int, lanes_in: int, lanes_out: int
) -> tuple["WidenerParameters | NarrowerParameters", ...]:
    """Return the gearboxes, in order, that take frames from `lanes_in` to `lanes_out` codes a beat.

    None where the widths are equal, one where one divides the other, else two that meet at the greatest common
    divisor, whose beats then bound the throughput.
    """
    common = math.gcd(lanes_in, lanes_out)
    chain = []
    if lanes_in != common:
        chain.append(NarrowerParameters(elements, bits, lanes_in, common))
    if lanes_out != common:
        chain.append(WidenerParameters(elements, bits, common, lanes_out))
    return tuple(chain)


@dataclass(frozen=True)
class _GearboxParameters(Scheduled):
    """Frames of `elements` codes of `bits` bits, `lanes_in` a beat at the input and `lanes_out` at the output.

    A frame's beats carry its codes in order, lane 0 first; lanes past the end of the frame hold 0 at the output and are
    ignored at the input.

    Parameters
    ----------
    elements : int
        Codes of a frame, at least 1.
    bits : int
        Width of a code.
    lanes_in, lanes_out : int
        Codes a beat.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    elements: int
    bits: int
    lanes_in: int
    lanes_out: int

    def __post_init__(self):
        for name in ("elements", "bits", "lanes_in", "lanes_out"):
            check_integer(name, getattr(self, name), minimum=1)
        wide, narrow = self._wide_narrow
        if wide % narrow:
            raise ValueError(f"lanes_in = {self.lanes_in} and lanes_out = {self.lanes_out} must divide one another")
        if wide <= narrow:
            raise ValueError(f"lanes_out must differ from lanes_in = {self.lanes_in} in the direction of the gearbox")

    @property
    def beats_in(self) -> int:
        """Beats of a frame at the input."""
        return -(-self.elements // self.lanes_in)

    @property
    def beats_out(self) -> int:
        """Beats of a frame at the output."""
        return -(-self.elements // self.lanes_out)

    @property
    def interval(self) -> int:
        """Cycles from one frame to the next without back-pressure."""
        return max(self.beats_in, self.beats_out)

    def compute(self, beats: list[list[int]]) -> list[list[int]]:
        """Return a frame's output beats for its input beats, each a list of codes."""
        codes = [code for beat in beats for code in beat][: self.elements]
        codes += [0] * (self.beats_out * self.lanes_out - self.elements)
        return [codes[i : i + self.lanes_out] for i in range(0, len(codes), self.lanes_out)]


class WidenerParameters(_GearboxParameters):
    """Gearbox from few codes a beat to a multiple of them; TypeError or ValueError where they do not fit.

    Parameters
    ----------
    elements, bits, lanes_in, lanes_out : int
        Codes of a frame, width of a code, codes a beat at the input and at the output (a multiple).
    """

    @property
    def _wide_narrow(self):
        return self.lanes_out, self.lanes_in

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which output beats become available; see `signfold.hw.timing`."""
        beats, left = Beats(source), 0
        ratio = self.lanes_out // self.lanes_in
        while True:
            for first in range(0, self.beats_in, ratio):
                complete = max(beats.take(left) for _ in range(first, min(first + ratio, self.beats_in)))
                left = yield complete + 1

    def create(self) -> "Widener":
        """Return the gateware."""
        return Widener(self)


class NarrowerParameters(_GearboxParameters):
    """Gearbox from many codes a beat to a divisor of them; TypeError or ValueError where they do not fit.

    Parameters
    ----------
    elements, bits, lanes_in, lanes_out : int
        Codes of a frame, width of a code, codes a beat at the input and at the output (a divisor).
    """

    @property
    def _wide_narrow(self):
        return self.lanes_in, self.lanes_out

    @property
    def final_parts(self) -> int:
        """Output beats made of a frame's final input beat."""
        return self.beats_out - (self.beats_in - 1) * (self.lanes_in // self.lanes_out)

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which output beats become available; see `signfold.hw.timing`."""
        beats, left = Beats(source), 0
        ratio = self.lanes_in // self.lanes_out
        while True:
            for beat in range(self.beats_in):
                # The next beat enters while the last part leaves.
                left = beats.take(left)
                for _ in range(ratio if beat < self.beats_in - 1 else self.final_parts):
                    left = yield left + 1

    def create(self) -> "Narrower":
        """Return the gateware."""
        return Narrower(self)


class _Gearbox(wiring.Component):
    def __init__(self, parameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(p.lanes_in, p.bits))),
                "o": Out(stream.Signature(beat_layout(p.lanes_out, p.bits))),
            }
        )


class Widener(_Gearbox):
    """Gather narrow beats into wide ones.

    An output beat appears in the cycle after the last input beat that it is made of; throughput one input beat a cycle,
    also from frame to frame. Each frame must be whole, `last` on its final beat; lanes that it does not fill hold 0.

    Parameters
    ----------
    parameters : WidenerParameters
        Frame size and widths.

    Members
    -------
    i : In(stream of beat_layout(lanes_in, bits))
        Narrow beats.
    o : Out(stream of beat_layout(lanes_out, bits))
        Wide beats.
    """

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        ratio = p.lanes_out // p.lanes_in
        width = p.lanes_in * p.bits
        part = Signal(range(ratio))
        held = Signal(p.lanes_out * p.bits)
        final_parts = p.beats_in - (p.beats_out - 1) * ratio
        # Beats enter at the top and move down. Those of a final beat that is not full have not come all the way: one
        # constant shift, where a table a part would be needed to write each to its place.
        final = held >> ((ratio - final_parts) * width)
        m.d.comb += [
            self.i.ready.eq(~self.o.valid | self.o.ready),
            Cat(self.o.payload.codes).eq(
                final if p.beats_out == 1 or final_parts == ratio else Mux(self.o.payload.last, final, held)
            ),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            complete = Signal()
            m.d.comb += complete.eq((part == ratio - 1) | self.i.payload.last)
            m.d.sync += [
                part.eq(Mux(complete, 0, part + 1)),
                self.o.valid.eq(complete),
                self.o.payload.last.eq(self.i.payload.last),
                held.eq(Cat(held[width:], self.i.payload.codes)),
            ]
        return m


class Narrower(_Gearbox):
    """Split wide beats into narrow ones.

    The first part of a beat appears in the cycle after the beat; throughput one output beat a cycle, also from frame
    to frame. The final beat of a frame yields only the parts that hold codes of the frame.

    Parameters
    ----------
    parameters : NarrowerParameters
        Frame size and widths.

    Members
    -------
    i : In(stream of beat_layout(lanes_in, bits))
        Wide beats.
    o : Out(stream of beat_layout(lanes_out, bits))
        Narrow beats.
    """

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        ratio = p.lanes_in // p.lanes_out
        width = p.lanes_out * p.bits
        rest = Signal(p.lanes_in * p.bits)
        left = Signal(range(ratio))
        final = Signal()
        in_frame = p.elements - (p.beats_in - 1) * p.lanes_in
        m.d.comb += [
            Cat(self.o.payload.codes).eq(rest[:width]),
            self.o.payload.last.eq(final & (left == 0)),
            self.i.ready.eq(~self.o.valid | (self.o.ready & (left == 0))),
        ]
        with m.If(self.o.ready):
            m.d.sync += [rest.eq(rest >> width), left.eq(left - 1)]
            with m.If(left == 0):
                m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                self.o.valid.eq(1),
                final.eq(self.i.payload.last),
                left.eq(Mux(self.i.payload.last, p.final_parts - 1, ratio - 1)),
                rest.eq(Cat(self.i.payload.codes)),
            ]
            with m.If(self.i.payload.last):
                m.d.sync += rest.eq(Cat(self.i.payload.codes)[: in_frame * p.bits])
        return m
