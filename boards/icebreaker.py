"""iCEBreaker: Lattice iCE40 UP5K, 12 MHz, USB serial port on the FTDI chip's second channel."""

from amaranth.hdl import Const, Instance, Module, Signal
from amaranth.lib import io
from amaranth_boards.icebreaker import ICEBreakerPlatform

from signfold.boards.board import Board
from signfold.boards.pll import Ice40Pll

__all__ = ["BOARD"]


def _add_clock(m: Module, platform: ICEBreakerPlatform, pll: Ice40Pll | None) -> tuple:
    port = platform.request("clk12", 0, dir="-")
    if pll is None:
        m.submodules.clock_buffer = buffer = io.Buffer("i", port)
        return buffer.i, Const(1)
    clock, locked = Signal(name="clock"), Signal(name="locked")
    # The oscillator sits on the pin that belongs to the PLL, which takes the place of the pin's buffer.
    m.submodules.pll = Instance(
        "SB_PLL40_PAD",
        p_FEEDBACK_PATH="SIMPLE",
        p_DIVR=Const(pll.divr, 4),
        p_DIVF=Const(pll.divf, 7),
        p_DIVQ=Const(pll.divq, 3),
        p_FILTER_RANGE=Const(pll.filter_range, 3),
        i_RESETB=Const(1),
        i_BYPASS=Const(0),
        i_PACKAGEPIN=port.io,
        o_PLLOUTGLOBAL=clock,
        o_LOCK=locked,
    )
    return clock, locked


BOARD = Board(
    name="icebreaker",
    title="iCEBreaker",
    device="iCE40UP5K-SG48",
    family="ice40",
    platform=ICEBreakerPlatform,
    reference=12_000_000,
    pll=Ice40Pll,
    add_clock=_add_clock,
    reset_button="button",
    program="iceprog {bitstream}",
)
