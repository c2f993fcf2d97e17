"""Arty A7-35T: Xilinx Artix-7 XC7A35T, 100 MHz, USB serial port on the FTDI chip."""

from amaranth_boards.arty_a7 import ArtyA7_35Platform

from signfold.boards.board import Board
from signfold.boards.pll import XilinxPll
from signfold.boards.xilinx7 import add_clock

__all__ = ["BOARD"]

BOARD = Board(
    name="arty-a7",
    title="Arty A7-35T",
    device="xc7a35ticsg324-1L",
    family="xilinx7",
    platform=lambda: ArtyA7_35Platform(toolchain="Vivado"),
    reference=100_000_000,
    pll=XilinxPll,
    add_clock=add_clock("clk100"),
    reset_button="button",
    program="openFPGALoader -b arty_a7_35t {bitstream}",
)
