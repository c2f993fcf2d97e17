"""Top of a board's design: clock, reset and pins around a Verilog design with ports clk, rst, rx and tx."""

from amaranth.build import Platform
from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, ResetSignal, Signal
from amaranth.lib import io
from amaranth.lib.cdc import FFSynchronizer

from signfold.boards.board import Board, Pll

__all__ = ["BoardTop"]

#: Seconds that reset lasts. The block RAMs of an iCE40 read zeros for about 3 us after configuration.
_RESET_TIME = 20e-6


class BoardTop(Elaboratable):
    """Clock, power-on reset and pins of a board.

    The clock runs at `frequency`, from the PLL unless that is the board's oscillator. Reset is asserted from
    configuration on, while the PLL is not locked or the reset button is pressed, and for 20 us after. The first LED is
    lit while the design runs.

    Parameters
    ----------
    board : Board
        Board.
    design : str
        Name of the Verilog module, which the platform holds as a file.
    pll : Ice40Pll, Ecp5Pll or None
        Settings of the PLL; None for the oscillator itself.
    """

    def __init__(self, board: Board, design: str, pll: Pll | None):
        self.board = board
        self.design = design
        self.pll = pll

    @property
    def frequency(self) -> float:
        """Clock frequency in hertz."""
        return self.board.reference if self.pll is None else self.pll.output

    def elaborate(self, platform: Platform) -> Module:
        m = Module()
        clock, running = self.board.add_clock(m, platform, self.pll)
        m.domains.sync = ClockDomain("sync")
        m.d.comb += ClockSignal("sync").eq(clock)
        # Vivado derives the clock behind its PLL by itself; place and route for Gowin takes the frequency as an option.
        if self.pll is not None and self.board.family in ("ice40", "ecp5"):
            platform.add_clock_constraint(clock, self.frequency)

        m.submodules.button = button = io.Buffer("i", platform.request(self.board.reset_button, 0, dir="-"))
        stop, start = Signal(), Signal(init=1)
        m.d.comb += stop.eq(button.i | ~running)
        # Counts by itself: its registers start at 0 with the configuration and need no reset.
        m.domains.start = ClockDomain("start", reset_less=True, local=True)
        m.d.comb += ClockSignal("start").eq(clock)
        stopped = Signal()
        m.submodules.stop = FFSynchronizer(stop, stopped, o_domain="start")
        elapsed = Signal(range(round(_RESET_TIME * self.frequency) + 1))
        with m.If(stopped):
            m.d.start += [elapsed.eq(0), start.eq(1)]
        with m.Elif(elapsed == round(_RESET_TIME * self.frequency)):
            m.d.start += start.eq(0)
        with m.Else():
            m.d.start += elapsed.eq(elapsed + 1)
        m.d.comb += ResetSignal("sync").eq(start)

        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.submodules.led = led = io.Buffer("o", platform.request("led", 0, dir="-"))
        m.submodules.design = Instance(
            self.design, i_clk=ClockSignal("sync"), i_rst=ResetSignal("sync"), i_rx=rx.i, o_tx=tx.o
        )
        m.d.comb += led.o.eq(~start)
        return m
