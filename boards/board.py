"""What the build needs to know of a board."""

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.build import Platform
from amaranth.hdl import Module

from signfold.boards.pll import Ecp5Pll, Ice40Pll

__all__ = ["Board", "Pll"]

#: Settings of a PLL.
Pll = Ice40Pll | Ecp5Pll


@dataclass(frozen=True)
class Board:
    """A board with an open toolchain.

    Parameters
    ----------
    name : str
        Name at the command line.
    title : str
        Name for people.
    device : str
        FPGA.
    family : str
        "ice40" or "ecp5": which tools build it.
    platform : callable
        Returns a new Amaranth platform.
    reference : int
        Frequency of the board's oscillator in hertz.
    pll : type
        PLL of the FPGA.
    add_clock : callable
        Called with module, platform, PLL settings or None; adds the clock input and returns the clock and a signal that
        is 1 once the clock runs.
    reset_button : str
        Resource, number 0, that resets the design while pressed.
    program : str
        Command that loads a bitstream, with {bitstream} in place of its path.
    """

    name: str
    title: str
    device: str
    family: str
    platform: Callable[[], Platform]
    reference: int
    pll: type[Ice40Pll] | type[Ecp5Pll]
    add_clock: Callable[[Module, Platform, Pll | None], tuple]
    reset_button: str
    program: str

    @property
    def bitstream_suffix(self) -> str:
        """Suffix of a bitstream's file name."""
        return {"ice40": ".bin", "ecp5": ".bit"}[self.family]
