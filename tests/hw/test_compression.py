"""Trees of counters count, whatever the columns, and use each bit once."""

import random

import pytest

from signfold.hw.compression import adder_tree, counter_tree
from signfold.hw.counter import CounterParameters


def check(tree, seed):
    rng = random.Random(seed)
    for _ in range(20):
        bits = [rng.getrandbits(1) for _ in tree.inputs]
        assert tree.compute(bits) == sum(bit << column for bit, column in zip(bits, tree.inputs, strict=True))
    read = [bit for layer in tree.layers for step in layer for bit in step.bits]
    read += [bit for part in tree.parts for _, bit in part]
    made = [step.first + k for layer in tree.layers for step in layer for k in range(step.counter.width)]
    assert sorted(read) == sorted([*range(len(tree.inputs)), *made])


@pytest.mark.parametrize("seed", range(40))
def test_counter_trees_of_any_columns(seed):
    rng = random.Random(seed)
    heights = [rng.randrange(0, 40) for _ in range(rng.randrange(1, 6))]
    heights[0] += not any(heights)
    tree = counter_tree(heights)
    check(tree, seed)
    columns = [column for part in tree.parts for column, _ in part]
    assert columns.count(0) <= 4 and all(columns.count(column) <= 2 for column in set(columns) - {0})


@pytest.mark.parametrize("seed", range(40))
def test_adder_trees_of_any_groups(seed):
    rng = random.Random(seed)
    groups = []
    for _ in range(rng.randrange(1, 5)):
        column = rng.randrange(3)
        groups.append((*[0] * column, *rng.choice([(rng.randrange(1, 70),), (1, rng.randrange(1, 40))])))
    tree = adder_tree(groups, join=True)
    check(tree, seed)
    assert len(tree.parts) == 1
    check(adder_tree(groups, join=False), seed)


def test_an_adder_has_no_idle_input_where_bits_are_one_less_than_a_power_of_two():
    tree = adder_tree([(63,)], join=True)
    heights = [step.counter.heights for layer in tree.layers for step in layer]
    assert sorted(set(heights)) == [(3,), (3, 2), (3, 2, 2), (3, 2, 2, 2), (3, 2, 2, 2, 2)]
    assert sum(map(len, heights)) == 63 - 6  # full adders: a popcount of n bits takes n less those of its result


def test_columns_that_overlap_are_refused():
    with pytest.raises(ValueError, match=r"^groups must hold columns whose sums do not overlap, not \(2, 3\)$"):
        adder_tree([(2, 3)], join=True)


@pytest.mark.parametrize(("heights", "tables"), [((3,), 1), ((6,), 3), ((5, 3, 1), 4), ((2, 1), 3), ((1, 1), 2)])
def test_tables_of_counters(heights, tables):
    assert CounterParameters(heights).tables == tables
