"""DE10-Nano: Intel Cyclone V 5CSEBA6, 50 MHz.

The USB serial port belongs to the processor. The fabric's serial line is on the Arduino header, pin 0 (RX) and pin 1
(TX), for an adapter of 3.3 V.
"""

from amaranth.build import Platform
from amaranth.hdl import Const, Module
from amaranth.lib import io
from amaranth_boards.de10_nano import DE10NanoPlatform

from signfold.boards.board import Board

__all__ = ["BOARD"]


def _add_clock(m: Module, platform: Platform, pll: None) -> tuple:
    m.submodules.clock_buffer = buffer = io.Buffer("i", platform.request("clk50", 0, dir="-"))
    return buffer.i, Const(1)


BOARD = Board(
    name="de10-nano",
    title="DE10-Nano",
    device="5CSEBA6U23I7",
    family="cyclone5",
    platform=lambda: DE10NanoPlatform(toolchain="Quartus"),
    reference=50_000_000,
    pll=None,
    add_clock=_add_clock,
    reset_button="button",
    # The second device of the chain: the first is the processor.
    program='quartus_pgm --mode JTAG --operation "p;{bitstream}@2"',
    serial="Arduino header: pin 0 is RX, pin 1 is TX, of 3.3 V",
)
