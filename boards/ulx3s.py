"""ULX3S with the largest FPGA: Lattice ECP5 LFE5U-85F, 25 MHz, USB serial port on the FTDI chip."""

from amaranth.hdl import Const, Instance, Module, Signal
from amaranth.lib import io
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from signfold.boards.board import Board
from signfold.boards.pll import Ecp5Pll

__all__ = ["BOARD"]


def _add_clock(m: Module, platform: ULX3S_85F_Platform, pll: Ecp5Pll | None) -> tuple:
    port = platform.request("clk25", 0, dir="-")
    m.submodules.clock_buffer = buffer = io.Buffer("i", port)
    if pll is None:
        return buffer.i, Const(1)
    clock, locked = Signal(name="clock"), Signal(name="locked")
    m.submodules.pll = Instance(
        "EHXPLLL",
        p_CLKI_DIV=pll.clki_div,
        p_CLKFB_DIV=pll.clkfb_div,
        p_CLKOP_DIV=pll.clkop_div,
        # Charge pump and loop filter as Lattice's own tool sets them for any frequency.
        a_ICP_CURRENT="12",
        a_LPF_RESISTOR="8",
        a_MFG_ENABLE_FILTEROPAMP="1",
        a_MFG_GMCREF_SEL="2",
        # The phase of the output does not matter: nothing else runs from the input.
        p_CLKOP_CPHASE=pll.clkop_div - 1,
        p_CLKOP_FPHASE=0,
        p_CLKOP_ENABLE="ENABLED",
        p_FEEDBK_PATH="CLKOP",
        p_INTFB_WAKE="DISABLED",
        p_PLLRST_ENA="DISABLED",
        p_STDBY_ENABLE="DISABLED",
        p_DPHASE_SOURCE="DISABLED",
        p_OUTDIVIDER_MUXA="DIVA",
        i_CLKI=buffer.i,
        i_CLKFB=clock,
        i_RST=Const(0),
        i_STDBY=Const(0),
        i_PHASESEL0=Const(0),
        i_PHASESEL1=Const(0),
        i_PHASEDIR=Const(0),
        i_PHASESTEP=Const(0),
        i_PHASELOADREG=Const(0),
        i_PLLWAKESYNC=Const(0),
        i_ENCLKOP=Const(0),
        o_CLKOP=clock,
        o_LOCK=locked,
    )
    return clock, locked


BOARD = Board(
    name="ulx3s-85f",
    title="ULX3S-85F",
    device="LFE5U-85F-6BG381C",
    family="ecp5",
    platform=ULX3S_85F_Platform,
    reference=25_000_000,
    pll=Ecp5Pll,
    add_clock=_add_clock,
    reset_button="button_fire",
    program="openFPGALoader -b ulx3s {bitstream}",
)
