"""Asynchronous serial line, 8 data bits, no parity, 1 stop bit: receiver and transmitter."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer

__all__ = ["UartParameters", "UartReceiver", "UartTransmitter"]

_DATA_BITS = 8
_FRAME_BITS = 1 + _DATA_BITS + 1


@dataclass(frozen=True)
class UartParameters:
    """Timing of a serial line.

    Parameters
    ----------
    divisor : int
        Clock cycles a bit, 4 .. 65535: clock frequency over baud rate.

    Raises
    ------
    TypeError, ValueError
        If `divisor` is of the wrong kind or out of range.
    """

    divisor: int

    def __post_init__(self):
        # Below four cycles a bit, mid-bit sampling has no margin left beside the uncertainty of the start edge.
        check_integer("UART divisor", self.divisor, minimum=4, maximum=65535)

    @property
    def byte_cycles(self) -> int:
        """Cycles that one byte occupies the line: start bit, data, stop bit."""
        return _FRAME_BITS * self.divisor

    def compute_levels(self, data: Iterable[int]) -> list[int]:
        """Return the level of the line in each cycle while `data` is sent without a pause, first start bit first."""
        levels = []
        for byte in data:
            for bit in (0, *((byte >> n) & 1 for n in range(_DATA_BITS)), 1):
                levels += [bit] * self.divisor
        return levels

    def compute_bytes(self, levels: Sequence[int]) -> bytes:
        """Return what a receiver makes of a line with the given level in each cycle; the line idles afterwards."""
        data = bytearray()
        start = 0
        while start < len(levels):
            if levels[start]:
                start += 1
                continue
            samples = [start + self.divisor // 2 + n * self.divisor for n in range(_FRAME_BITS)]
            bits = [levels[at] if at < len(levels) else 1 for at in samples]
            if bits[0]:  # a glitch, not a start bit
                start = samples[0] + 1
                continue
            start = samples[-1] + 1
            if bits[-1]:
                data.append(sum(bit << n for n, bit in enumerate(bits[1:-1])))
            else:  # no stop bit: drop the byte and wait for the line to idle
                while start < len(levels) and not levels[start]:
                    start += 1
                start += 1
        return bytes(data)

    def create_receiver(self) -> "UartReceiver":
        """Return the receiver's gateware."""
        return UartReceiver(self)

    def create_transmitter(self) -> "UartTransmitter":
        """Return the transmitter's gateware."""
        return UartTransmitter(self)


class UartReceiver(wiring.Component):
    """Receive bytes from a serial line.

    Each bit is sampled in its middle, counted from the falling edge of the start bit. A start bit that is high again
    in its middle is ignored. A byte without a stop bit is dropped, and the receiver waits for the line to go high. It
    is ready for the next start bit from the middle of the stop bit on, so a sender may be up to 4 % faster.

    A byte appears `9 * divisor + divisor // 2 + LATENCY` cycles after the first cycle of its start bit. The line has
    no flow control: a byte that arrives while the one before is still offered is lost.

    Parameters
    ----------
    parameters : UartParameters
        Timing.

    Members
    -------
    rx : In(1)
        The line, asynchronous; two registers bring it into the domain.
    o : Out(stream of 8 bits)
        Bytes.
    """

    LATENCY = 3

    def __init__(self, parameters: UartParameters):
        self.parameters = parameters
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(_DATA_BITS))})

    def elaborate(self, platform):
        divisor = self.parameters.divisor
        m = Module()
        rx = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, rx, init=1)

        timer = Signal(range(divisor))
        # Samples move down; the marker starts at the top and falls out when the stop bit comes in.
        samples = Signal(_DATA_BITS + 1)
        m.d.sync += timer.eq(timer - 1)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += timer.eq(divisor // 2 - 1)
                with m.If(~rx):
                    m.next = "START"
            with m.State("START"):
                with m.If(timer == 0):
                    m.d.sync += [timer.eq(divisor - 1), samples.eq(1 << _DATA_BITS)]
                    with m.If(rx):
                        m.next = "IDLE"
                    with m.Else():
                        m.next = "DATA"
            with m.State("DATA"):
                with m.If(timer == 0):
                    m.d.sync += [timer.eq(divisor - 1), samples.eq(Cat(samples[1:], rx))]
                    with m.If(samples[0]):
                        # Not shifted: the stop bit is no data.
                        m.d.sync += samples.eq(samples)
                        with m.If(rx):
                            with m.If(~self.o.valid | self.o.ready):
                                m.d.sync += [self.o.payload.eq(samples[1:]), self.o.valid.eq(1)]
                            m.next = "IDLE"
                        with m.Else():
                            m.next = "BREAK"
            with m.State("BREAK"):
                with m.If(rx):
                    m.next = "IDLE"
        return m


class UartTransmitter(wiring.Component):
    """Send bytes over a serial line.

    The start bit begins in the cycle after a byte is taken; throughput one byte in exactly `10 * divisor` cycles. The
    line idles high, also in reset.

    Parameters
    ----------
    parameters : UartParameters
        Timing.

    Members
    -------
    i : In(stream of 8 bits)
        Bytes; ready in the last cycle of a stop bit and while the line idles.
    tx : Out(1)
        The line, from a register.
    """

    LATENCY = 1

    def __init__(self, parameters: UartParameters):
        self.parameters = parameters
        super().__init__({"i": In(stream.Signature(_DATA_BITS)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        divisor = self.parameters.divisor
        m = Module()
        timer = Signal(range(divisor))
        bits_left = Signal(range(_FRAME_BITS))
        levels = Signal(_FRAME_BITS, init=(1 << _FRAME_BITS) - 1)
        m.d.comb += [
            self.tx.eq(levels[0]),
            self.i.ready.eq((timer == 0) & (bits_left == 0)),
        ]
        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(bits_left != 0):
            m.d.sync += [timer.eq(divisor - 1), bits_left.eq(bits_left - 1), levels.eq(Cat(levels[1:], Const(1, 1)))]
        with m.Elif(self.i.valid):
            m.d.sync += [
                timer.eq(divisor - 1),
                bits_left.eq(_FRAME_BITS - 1),
                levels.eq(Cat(Const(0, 1), self.i.payload, Const(1, 1))),
            ]
        return m
