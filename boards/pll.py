"""Phase-locked loops: dividers for a wanted frequency, in whole hertz."""

from dataclasses import dataclass

from signfold.sw.errors import BuildError

__all__ = ["Ecp5Pll", "GowinPll", "Ice40Pll", "XilinxPll"]


@dataclass(frozen=True)
class Ice40Pll:
    """Dividers of an iCE40 PLL with simple feedback (Lattice FPGA-TN-02052, "iCE40 sysCLOCK PLL Design and Usage").

    Parameters
    ----------
    reference : int
        Input frequency in hertz.
    divr, divf, divq : int
        Dividers as the primitive takes them: output = reference * (divf + 1) / (divr + 1) / 2**divq.
    """

    reference: int
    divr: int
    divf: int
    divq: int

    @property
    def comparison(self) -> float:
        """Frequency at the phase detector in hertz, 10 to 133 MHz."""
        return self.reference / (self.divr + 1)

    @property
    def oscillator(self) -> float:
        """Frequency of the oscillator in hertz, 533 to 1066 MHz."""
        return self.comparison * (self.divf + 1)

    @property
    def output(self) -> float:
        """Output frequency in hertz."""
        return self.oscillator / (1 << self.divq)

    @property
    def filter_range(self) -> int:
        """Setting of the loop filter, which follows from the frequency at the phase detector."""
        return 1 + sum(self.comparison >= limit for limit in (17e6, 26e6, 44e6, 66e6, 101e6))

    @classmethod
    def nearest(cls, reference: int, wanted: int) -> "Ice40Pll":
        """Return the dividers whose output comes nearest to `wanted` hertz.

        Raises
        ------
        BuildError
            If `wanted` is outside of what the PLL reaches, 16 to 275 MHz.
        """
        if not 16e6 <= wanted <= 275e6:
            raise BuildError(f"clock must be from 16 to 275 MHz with this board's PLL, not {wanted / 1e6:g} MHz")
        candidates = [cls(reference, r, f, q) for r in range(16) for f in range(128) for q in range(1, 7)]
        legal = [c for c in candidates if 10e6 <= c.comparison <= 133e6 and 533e6 <= c.oscillator <= 1066e6]
        return min(legal, key=lambda c: (abs(c.output - wanted), c.divr, c.divf, c.divq))


@dataclass(frozen=True)
class Ecp5Pll:
    """Dividers of an ECP5 PLL with feedback from its output (Lattice FPGA-TN-02200, "ECP5 sysCLOCK PLL/DLL").

    Parameters
    ----------
    reference : int
        Input frequency in hertz.
    clki_div, clkfb_div, clkop_div : int
        Dividers as the primitive takes them: output = reference * clkfb_div / clki_div, and the oscillator runs
        clkop_div times faster.
    """

    reference: int
    clki_div: int
    clkfb_div: int
    clkop_div: int

    @property
    def output(self) -> float:
        """Output frequency in hertz."""
        return self.reference * self.clkfb_div / self.clki_div

    @property
    def oscillator(self) -> float:
        """Frequency of the oscillator in hertz, 400 to 800 MHz."""
        return self.output * self.clkop_div

    @classmethod
    def nearest(cls, reference: int, wanted: int) -> "Ecp5Pll":
        """Return the dividers whose output comes nearest to `wanted` hertz.

        Raises
        ------
        BuildError
            If `wanted` is outside of what the PLL reaches, 3.125 to 400 MHz.
        """
        if not 3.125e6 <= wanted <= 400e6:
            raise BuildError(f"clock must be from 3.125 to 400 MHz with this board's PLL, not {wanted / 1e6:g} MHz")
        legal = []
        for clki_div in range(1, 129):
            # The phase detector takes 3.125 MHz and more.
            if reference / clki_div < 3.125e6:
                break
            for clkfb_div in range(1, 81):
                output = reference * clkfb_div / clki_div
                # The middle of the oscillator's range.
                clkop_div = max(1, min(128, round(600e6 / output)))
                candidate = cls(reference, clki_div, clkfb_div, clkop_div)
                if 400e6 <= candidate.oscillator <= 800e6:
                    legal.append(candidate)
        return min(legal, key=lambda c: (abs(c.output - wanted), c.clki_div, c.clkfb_div, c.clkop_div))


@dataclass(frozen=True)
class GowinPll:
    """Dividers of the rPLL of a GW1N (Gowin UG286, "Gowin Clock"; limits of GW1NR-9 C6/I5, DS117).

    Parameters
    ----------
    reference : int
        Input frequency in hertz.
    idiv, fbdiv, odiv : int
        Dividers: output = reference * fbdiv / idiv, and the oscillator runs odiv times faster. The primitive takes
        the first two less 1.
    """

    reference: int
    idiv: int
    fbdiv: int
    odiv: int

    @property
    def output(self) -> float:
        """Output frequency in hertz."""
        return self.reference * self.fbdiv / self.idiv

    @property
    def oscillator(self) -> float:
        """Frequency of the oscillator in hertz, 400 to 1200 MHz."""
        return self.output * self.odiv

    @classmethod
    def nearest(cls, reference: int, wanted: int) -> "GowinPll":
        """Return the dividers whose output comes nearest to `wanted` hertz.

        Raises
        ------
        BuildError
            If `wanted` is outside of what the PLL reaches, 3.2 to 600 MHz.
        """
        if not 3.2e6 <= wanted <= 600e6:
            raise BuildError(f"clock must be from 3.2 to 600 MHz with this board's PLL, not {wanted / 1e6:g} MHz")
        legal = []
        # The phase detector takes 3 MHz and more.
        for idiv in range(1, min(64, int(reference / 3e6)) + 1):
            for fbdiv in range(1, 65):
                for odiv in (2, 4, 8, *range(16, 129, 16)):
                    candidate = cls(reference, idiv, fbdiv, odiv)
                    if 400e6 <= candidate.oscillator <= 1200e6:
                        legal.append(candidate)
        return min(legal, key=lambda c: (abs(c.output - wanted), c.idiv, c.fbdiv, c.odiv))


@dataclass(frozen=True)
class XilinxPll:
    """Dividers of a PLLE2_BASE of a 7 series FPGA (Xilinx UG472; limits of speed grade -1, DS181 and DS187).

    Parameters
    ----------
    reference : int
        Input frequency in hertz.
    divclk, mult, divide : int
        DIVCLK_DIVIDE, CLKFBOUT_MULT and CLKOUT0_DIVIDE.
    """

    reference: int
    divclk: int
    mult: int
    divide: int

    @property
    def oscillator(self) -> float:
        """Frequency of the oscillator in hertz, 800 to 1600 MHz."""
        return self.reference * self.mult / self.divclk

    @property
    def output(self) -> float:
        """Output frequency in hertz."""
        return self.oscillator / self.divide

    @classmethod
    def nearest(cls, reference: int, wanted: int) -> "XilinxPll":
        """Return the dividers whose output comes nearest to `wanted` hertz.

        Raises
        ------
        BuildError
            If `wanted` is outside of what the PLL reaches, 6.25 to 464 MHz.
        """
        if not 6.25e6 <= wanted <= 464e6:
            raise BuildError(f"clock must be from 6.25 to 464 MHz with this board's PLL, not {wanted / 1e6:g} MHz")
        legal = []
        # The phase detector takes 19 MHz and more.
        for divclk in range(1, int(reference / 19e6) + 1):
            for mult in range(2, 65):
                oscillator = reference * mult / divclk
                if 800e6 <= oscillator <= 1600e6:
                    nearest = round(oscillator / wanted)
                    legal += [cls(reference, divclk, mult, d) for d in (nearest, nearest + 1) if 1 <= d <= 128]
        return min(legal, key=lambda c: (abs(c.output - wanted), c.divclk, c.mult, c.divide))
