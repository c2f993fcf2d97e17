"""Arty Z7-20: Xilinx Zynq XC7Z020, 125 MHz from the Ethernet PHY.

The USB serial port belongs to the processor. The fabric's serial line is on PMOD JA, pin 1 (RX) and pin 2 (TX), for an
adapter of 3.3 V. The processor is not part of the design: the bitstream is loaded over JTAG.
"""

from amaranth.build import Attrs, Platform
from amaranth_boards.arty_z7 import ArtyZ720Platform
from amaranth_boards.resources import UARTResource

from signfold.boards.board import Board
from signfold.boards.pll import XilinxPll
from signfold.boards.xilinx7 import add_clock

__all__ = ["BOARD"]


def _platform() -> Platform:
    platform = ArtyZ720Platform(toolchain="Vivado")
    line = UARTResource(0, rx="1", tx="2", conn=("pmod", 0), attrs=Attrs(IOSTANDARD="LVCMOS33"))
    platform.add_resources([line])
    return platform


BOARD = Board(
    name="arty-z7-20",
    title="Arty Z7-20",
    device="xc7z020clg400-1",
    family="xilinx7",
    platform=_platform,
    reference=125_000_000,
    pll=XilinxPll,
    add_clock=add_clock("clk125"),
    reset_button="button",
    program="openFPGALoader -b arty_z7_20 {bitstream}",
    serial="PMOD JA: pin 1 is RX, pin 2 is TX, of 3.3 V",
)
