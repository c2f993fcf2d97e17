"""Graphs of additions have exactly the matrix that they were made for, and few additions."""

import time

import numpy as np
import pytest

from signfold.hw.adder_graph import AdderGraph, Output, Sum
from signfold.sw.hardwire import LARGEST_MATRIX, adder_graph
from signfold.sw.hardwire.differences import digit_count, parents


@pytest.mark.parametrize("seed", range(60))
def test_random_matrix(seed):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    outputs, inputs = (int(n) for n in rng.integers(1, 30, 2))
    largest = int(rng.choice([1, 1, 2, 7, 15, 300]))
    matrix = rng.integers(-largest, largest + 1, (outputs, inputs))
    if rng.integers(2):
        matrix |= 1
    if rng.integers(3) == 0:
        matrix[rng.integers(outputs, size=outputs // 2 + 1)] = matrix[0] * rng.choice([-1, 0, 1, 2])
    graph = adder_graph(matrix)
    assert (graph.matrix == matrix).all()
    values = rng.integers(0, 16, (20, inputs))
    assert (graph.compute(values) == values @ matrix.T).all()
    low, high = np.array(graph.ranges(15)).T
    terms = values @ graph.coefficients.T
    assert (terms >= low).all() and (terms <= high).all()
    assert adder_graph(matrix) == graph


def test_shares_what_it_can():
    """Against one tree a row; and a large layer takes seconds."""
    rng = np.random.default_rng(0)
    signs = 2 * rng.integers(0, 2, (64, 64)) - 1
    assert len(adder_graph(signs).sums) < 64 * 63 / 4
    # Equal rows, and rows that are others negated, cost nothing.
    assert len(adder_graph(np.concatenate([signs, signs, -signs])).sums) == len(adder_graph(signs).sums)
    start = time.process_time()
    large = 2 * rng.integers(0, 2, (256, 256)) - 1
    assert len(adder_graph(large).sums) < 256 * 255 / 5
    assert time.process_time() - start < 60


def test_digit_count():
    def counted(number):
        digits = 0
        while number:
            if number & 1:
                number -= 2 - (number & 3)
                digits += 1
            number >>= 1
        return digits

    numbers = np.arange(-600, 600)
    assert digit_count(numbers).tolist() == [counted(abs(int(number))) for number in numbers]


@pytest.mark.parametrize("deepest", [0, 1, 3])
def test_parents_come_first_and_chains_end(deepest):
    matrix = 2 * np.random.default_rng(1).integers(0, 2, (20, 12)) - 1
    depth = {-1: -1}
    for row, parent, sign in parents(matrix, deepest):
        depth[row] = depth[parent] + 1
        assert sign in (-1, 1)
    assert len(depth) == 21 and max(depth.values()) <= deepest


def test_too_large_a_matrix_is_refused():
    with pytest.raises(ValueError, match=rf"at most {LARGEST_MATRIX} signed digits other than 0, not {1 << 18}$"):
        adder_graph(np.ones((512, 512), int))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, (), (Output(None),)), r"^graph inputs must be an integer of at least 1, not 0$"),
        ((2, (), ()), r"^graph outputs must hold at least one output$"),
        ((2, (Sum(0, 2),), (Output(2),)), r"^sum 0 right must be an integer from 0 to 1, not 2$"),
        ((2, (Sum(0, 1, False, -1),), (Output(2),)), r"^sum 0 left_shift must be an integer from 0 to 62, not -1$"),
        ((2, (), (Output(2),)), r"^output 0 term must be an integer from 0 to 1, not 2$"),
    ],
)
def test_wrong_graph(arguments, message):
    with pytest.raises(ValueError, match=message):
        AdderGraph(*arguments)
