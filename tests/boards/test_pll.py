"""PLL settings: within the limits of the FPGA, and as near as they say."""

import random

import pytest

from signfold.boards.pll import Ecp5Pll, GowinPll, Ice40Pll, XilinxPll
from signfold.sw.errors import BuildError


def test_ice40_known_settings():
    """Settings that icepll, of project IceStorm, gives for 12 MHz: DIVR, DIVF, DIVQ, FILTER_RANGE."""
    for wanted, settings in {24: (0, 63, 5, 1), 48: (0, 63, 4, 1), 30: (0, 79, 5, 1), 60: (0, 79, 4, 1)}.items():
        pll = Ice40Pll.nearest(12_000_000, wanted * 1_000_000)
        assert (pll.divr, pll.divf, pll.divq, pll.filter_range) == settings
        assert pll.output == wanted * 1e6


@pytest.mark.parametrize("seed", range(40))
def test_ice40_limits(seed):
    wanted = random.Random(seed).randint(16_000_000, 275_000_000)
    pll = Ice40Pll.nearest(12_000_000, wanted)
    assert 10e6 <= pll.comparison <= 133e6
    assert 533e6 <= pll.oscillator <= 1066e6
    assert 0 <= pll.divr < 16 and 0 <= pll.divf < 128 and 1 <= pll.divq <= 6
    assert pll.output == 12e6 * (pll.divf + 1) / (pll.divr + 1) / 2**pll.divq
    # One step of the oscillator is 12 MHz, halved divq times.
    assert abs(pll.output - wanted) <= 6e6 / 2**pll.divq + 1


@pytest.mark.parametrize("seed", range(40))
def test_ecp5_limits(seed):
    wanted = random.Random(seed).randint(4_000_000, 390_000_000)
    pll = Ecp5Pll.nearest(25_000_000, wanted)
    assert 25e6 / pll.clki_div >= 3.125e6
    assert 400e6 <= pll.oscillator <= 800e6
    assert 1 <= pll.clki_div <= 128 and 1 <= pll.clkfb_div <= 80 and 1 <= pll.clkop_div <= 128
    assert abs(pll.output - wanted) <= 0.03 * wanted


def test_ecp5_exact_multiples():
    for wanted in (50, 60, 75, 80, 100):
        assert Ecp5Pll.nearest(25_000_000, wanted * 1_000_000).output == wanted * 1e6


@pytest.mark.parametrize("seed", range(40))
def test_gowin_limits(seed):
    wanted = random.Random(seed).randint(4_000_000, 400_000_000)
    pll = GowinPll.nearest(27_000_000, wanted)
    assert 27e6 / pll.idiv >= 3e6 and 400e6 <= pll.oscillator <= 1200e6
    assert 1 <= pll.fbdiv <= 64 and pll.odiv in (2, 4, 8, *range(16, 129, 16))
    assert abs(pll.output - wanted) <= 0.1 * wanted


def test_gowin_known_settings():
    """Settings that gowin_pll, of project Apicula, gives for 27 MHz: IDIV_SEL, FBDIV_SEL, ODIV_SEL."""
    for wanted, settings in {54: (0, 1, 8), 81: (0, 2, 8), 36: (2, 3, 16)}.items():
        pll = GowinPll.nearest(27_000_000, wanted * 1_000_000)
        assert (pll.idiv - 1, pll.fbdiv - 1, pll.odiv) == settings and pll.output == wanted * 1e6


@pytest.mark.parametrize("reference", (100_000_000, 125_000_000))
@pytest.mark.parametrize("seed", range(20))
def test_xilinx_limits(reference, seed):
    wanted = random.Random(seed).randint(6_250_000, 464_000_000)
    pll = XilinxPll.nearest(reference, wanted)
    assert reference / pll.divclk >= 19e6 and 800e6 <= pll.oscillator <= 1600e6
    assert 2 <= pll.mult <= 64 and 1 <= pll.divide <= 128 and 1 <= pll.divclk <= 56
    assert pll.output == reference * pll.mult / pll.divclk / pll.divide
    assert abs(pll.output - wanted) <= 0.02 * wanted


def test_xilinx_exact():
    for reference in (100, 125):
        for wanted in (25, 50, 75, 150, 200):
            assert XilinxPll.nearest(reference * 1_000_000, wanted * 1_000_000).output == wanted * 1e6


@pytest.mark.parametrize(
    ("pll", "wanted", "message"),
    [
        (Ice40Pll, 15_000_000, r"^clock must be from 16 to 275 MHz with this board's PLL, not 15 MHz$"),
        (Ice40Pll, 276_000_000, r"^clock must be from 16 to 275 MHz with this board's PLL, not 276 MHz$"),
        (Ecp5Pll, 3_000_000, r"^clock must be from 3\.125 to 400 MHz with this board's PLL, not 3 MHz$"),
        (GowinPll, 3_000_000, r"^clock must be from 3\.2 to 600 MHz with this board's PLL, not 3 MHz$"),
        (XilinxPll, 465_000_000, r"^clock must be from 6\.25 to 464 MHz with this board's PLL, not 465 MHz$"),
        (Ecp5Pll, 401_000_000, r"^clock must be from 3\.125 to 400 MHz with this board's PLL, not 401 MHz$"),
    ],
)
def test_out_of_reach(pll, wanted, message):
    with pytest.raises(BuildError, match=message):
        pll.nearest(12_000_000, wanted)
