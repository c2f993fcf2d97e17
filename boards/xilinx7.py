"""The clock of boards with a Xilinx 7 series FPGA."""

from collections.abc import Callable

from amaranth.build import Platform
from amaranth.hdl import Const, Instance, Module, Signal
from amaranth.lib import io

from signfold.boards.pll import XilinxPll

__all__ = ["add_clock"]


def add_clock(resource: str) -> Callable[[Module, Platform, XilinxPll | None], tuple]:
    """Return what adds the clock of an oscillator, as `signfold.boards.board.Board` wants it.

    Parameters
    ----------
    resource : str
        The oscillator's resource, number 0.
    """

    def add(m: Module, platform: Platform, pll: XilinxPll | None) -> tuple:
        m.submodules.clock_buffer = buffer = io.Buffer("i", platform.request(resource, 0, dir="-"))
        clock, locked = Signal(name="clock"), Signal(name="locked")
        if pll is None:
            m.submodules.clock_net = Instance("BUFG", i_I=buffer.i, o_O=clock)
            return clock, Const(1)
        made, feedback = Signal(name="made"), Signal(name="feedback")
        # Vivado derives the clock of the output from that of the input.
        m.submodules.pll = Instance(
            "PLLE2_BASE",
            p_CLKIN1_PERIOD=1e9 / pll.reference,
            p_DIVCLK_DIVIDE=pll.divclk,
            p_CLKFBOUT_MULT=pll.mult,
            p_CLKOUT0_DIVIDE=pll.divide,
            i_CLKIN1=buffer.i,
            # The phase of the output does not matter: nothing else runs from the input.
            i_CLKFBIN=feedback,
            o_CLKFBOUT=feedback,
            i_PWRDWN=Const(0),
            i_RST=Const(0),
            o_CLKOUT0=made,
            o_LOCKED=locked,
        )
        m.submodules.clock_net = Instance("BUFG", i_I=made, o_O=clock)
        return clock, locked

    return add
