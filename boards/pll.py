"""Phase-locked loops: dividers for a wanted frequency, in whole hertz."""

from dataclasses import dataclass

from signfold.sw.errors import BuildError

__all__ = ["Ecp5Pll", "Ice40Pll"]


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
