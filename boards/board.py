"""What the build needs to know of a board."""

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.build import Platform
from amaranth.hdl import Module

from signfold.boards.pll import Ecp5Pll, GowinPll, Ice40Pll, XilinxPll

__all__ = ["Board", "Pll"]

#: Settings of a PLL.
Pll = Ice40Pll | Ecp5Pll | GowinPll | XilinxPll

#: Suffix of a bitstream by family.
_SUFFIXES = {"ice40": ".bin", "ecp5": ".bit", "gowin": ".fs", "xilinx7": ".bit", "cyclone5": ".sof"}
#: What arrays are made of, where the family's name does not say it.
_FABRICS = {"xilinx7": "xilinx", "cyclone5": "plain"}


@dataclass(frozen=True)
class Board:
    """A board.

    Parameters
    ----------
    name : str
        Name at the command line.
    title : str
        Name for people.
    device : str
        FPGA.
    family : str
        "ice40", "ecp5" or "gowin", which open tools build; "xilinx7" (Vivado) or "cyclone5" (Quartus).
    platform : callable
        Returns a new Amaranth platform.
    reference : int
        Frequency of the board's oscillator in hertz.
    pll : type or None
        PLL of the FPGA; None: the clock is the oscillator's.
    add_clock : callable
        Called with module, platform, PLL settings or None; adds the clock input and returns the clock and a signal that
        is 1 once the clock runs.
    reset_button : str
        Resource, number 0, that resets the design while pressed.
    program : str
        Command that loads a bitstream, with {bitstream} in place of its path.
    serial : str
        Where the serial line is, if not on the board's USB port.
    """

    name: str
    title: str
    device: str
    family: str
    platform: Callable[[], Platform]
    reference: int
    pll: type[Pll] | None
    add_clock: Callable[[Module, Platform, Pll | None], tuple]
    reset_button: str
    program: str
    serial: str = ""

    @property
    def bitstream_suffix(self) -> str:
        """Suffix of a bitstream's file name."""
        return _SUFFIXES[self.family]

    @property
    def fabric(self) -> str:
        """What a plan's arrays are made of by default."""
        return _FABRICS.get(self.family, self.family)
