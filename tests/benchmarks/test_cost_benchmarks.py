"""The cost model's benchmarks: samples are what their numbers say, and the fit finds what there is to find."""

import cost_fit
import cost_model
import cost_samples
import fit_page
import numpy as np
import pytest
import synthesis

from signfold.hw.accelerator import AcceleratorConfig
from signfold.sw.cost import Cost
from signfold.sw.cost.part import Part
from signfold.sw.errors import PlanError
from signfold.sw.planner.devices import DEVICES


@pytest.mark.parametrize("kind", ["array", "gearbox", "threshold"])
def test_a_number_says_what_a_component_is(kind):
    texts = [synthesis.convert(cost_samples.sample(kind, number, "ecp5").create()) for number in (3, 3, 4)]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("kind", ["dense", "conv", "shipped"])
def test_a_number_says_what_an_accelerator_is_on_a_fabric(kind):
    first, again, other = (cost_samples.sample(kind, 5, fabric) for fabric in ("ice40", "ice40", "xilinx"))
    assert all(isinstance(config, AcceleratorConfig) for config in (first, again, other))
    tables = [[(rom.width, rom.words) for rom in config.roms] for config in (first, again, other)]
    assert tables[0] == tables[1] != tables[2] and first.interval == again.interval


def test_fit_and_check_see_different_accelerators():
    checked = cost_model.wanted_samples(cost_samples.USUAL, cost_model.FABRICS, 36, cost_model.CHECKED)
    assert len(checked) == len(set(checked)) == 36 * 4 * 3
    assert min(number for _, number, _ in checked) >= cost_model.CHECKED


def test_the_fit_finds_what_each_feature_takes():
    random = np.random.default_rng(1)
    samples, parts = [], []
    for number in range(40):
        a, b = (int(value) for value in random.integers(1, 50, 2))
        luts = 2 * a + 3 * b + (500 if number == 7 else 0)  # an odd one does not bend the rest
        samples.append(("queue", number, "ecp5", None, {"luts": luts}))
        parts.append([Part("queue", features={"a": a, "b": b})])
    found = cost_fit._solve(samples, parts, "luts", lambda part: part.features, lambda part: part.luts)
    assert found[("queue", "a")] == pytest.approx(2, rel=0.05) and found[("queue", "b")] == pytest.approx(3, rel=0.05)


class _Planned:
    interval = 100
    cost = Cost(luts=500, cells=500, brams=2)


class _Planner:
    """Stands for a planner that finds nothing faster, or nothing at all."""

    class search:
        @staticmethod
        def intervals():
            return [10, 100]

    def __init__(self, fits: bool):
        self.fits = fits

    def limits(self, logic, brams):
        return logic, brams

    def smallest(self, cycles, limits):
        if not self.fits:
            raise PlanError("100 cycles need 500 LUTs, 90 allowed: no plan fits: at least 500 LUTs are needed")
        return _Planned

    def fastest(self, limits):
        raise PlanError("no plan fits")


def test_a_page_says_what_fits_and_why_not():
    device = DEVICES["LFE5U-25F"]
    slow, fast = fit_page.entry(_Planner(True), device, 25.0)
    assert slow == fast == "100 cycles, 250,000 frames/s: 500 (2%), 2 RAMs (4%)"
    assert fit_page.entry(_Planner(False), device, 25.0) == ("no: at least 500 LUTs are needed", "")
    assert "ULX3S_85F" in fit_page.boards()["LFE5U-85F"]
