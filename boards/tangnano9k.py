"""Tang Nano 9K: Gowin GW1NR-9C, 27 MHz, USB serial port on the board's BL702."""

from amaranth.build import Platform
from amaranth.hdl import Const, Instance, Module, Signal
from amaranth.lib import io
from amaranth_boards.tang_nano_9k import TangNano9kPlatform

from signfold.boards.board import Board
from signfold.boards.pll import GowinPll

__all__ = ["BOARD"]


def _add_clock(m: Module, platform: Platform, pll: GowinPll | None) -> tuple:
    m.submodules.clock_buffer = buffer = io.Buffer("i", platform.request("clk27", 0, dir="-"))
    if pll is None:
        return buffer.i, Const(1)
    clock, locked = Signal(name="clock"), Signal(name="locked")
    off = {f"p_{name}": "false" for name in ("DYN_IDIV_SEL", "DYN_FBDIV_SEL", "DYN_ODIV_SEL", "DYN_DA_EN")}
    off |= {f"p_CLKOUT{name}_BYPASS": "false" for name in ("", "P", "D")}
    idle = {f"i_{name}": Const(0, 6) for name in ("FBDSEL", "IDSEL", "ODSEL")}
    idle |= {f"i_{name}": Const(0, 4) for name in ("PSDA", "DUTYDA", "FDLY")}
    m.submodules.pll = Instance(
        "rPLL",
        p_FCLKIN=f"{pll.reference / 1e6:g}",
        p_DEVICE="GW1NR-9C",
        p_IDIV_SEL=pll.idiv - 1,
        p_FBDIV_SEL=pll.fbdiv - 1,
        p_ODIV_SEL=pll.odiv,
        p_DYN_SDIV_SEL=2,
        p_CLKFB_SEL="internal",
        p_CLKOUTD_SRC="CLKOUT",
        p_CLKOUTD3_SRC="CLKOUT",
        p_PSDA_SEL="0000",
        p_DUTYDA_SEL="1000",
        i_CLKIN=buffer.i,
        i_CLKFB=Const(0),
        i_RESET=Const(0),
        i_RESET_P=Const(0),
        o_CLKOUT=clock,
        o_LOCK=locked,
        **off,
        **idle,
    )
    return clock, locked


BOARD = Board(
    name="tang-nano-9k",
    title="Tang Nano 9K",
    device="GW1NR-LV9QN88PC6/I5",
    family="gowin",
    platform=lambda: TangNano9kPlatform(toolchain="Apicula"),
    reference=27_000_000,
    pll=GowinPll,
    add_clock=_add_clock,
    reset_button="button",
    program="openFPGALoader -b tangnano9k {bitstream}",
)
