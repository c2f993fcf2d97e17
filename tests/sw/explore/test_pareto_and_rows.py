"""Fronts against brute force; tables that come back as they were written; the plot."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signfold.sw.errors import StudyError
from signfold.sw.explore.pareto import front
from signfold.sw.explore.rows import Row, read_rows, write_rows

POINTS = st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[st.integers(-3, 3)] * n), max_size=30))


def dominates(a, b):
    return all(x >= y for x, y in zip(a, b, strict=True)) and a != b


@given(POINTS)
def test_the_front_is_what_nothing_dominates(points):
    assert front(points) == [k for k, p in enumerate(points) if not any(dominates(other, p) for other in points)]


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBER = st.none() | st.floats(allow_nan=False)
COUNT = st.none() | st.integers(0, 10**9)
ROWS = st.builds(
    Row,
    recipe=TEXT,
    topology=TEXT,
    seed=st.integers(0, 2**31),
    plan=TEXT,
    device=TEXT,
    routing_seed=COUNT,
    reason=TEXT,
    validation_integer=NUMBER,
    fmax_mhz=NUMBER,
    luts=COUNT,
    fits=st.none() | st.booleans(),
    front=st.booleans(),
)


@settings(max_examples=25)
@given(st.lists(ROWS, max_size=8))
def test_tables_come_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    write_rows(path, rows)
    assert read_rows(path) == rows


@pytest.mark.parametrize("text", [None, "", "a,b\n1,2\n", "\x00\xff"])
def test_what_is_no_table_is_told(tmp_path, text):
    path = tmp_path / "rows.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(StudyError, match="rows.csv"):
        read_rows(path)


def test_a_damaged_table_is_told(tmp_path):
    path = tmp_path / "rows.csv"
    write_rows(path, [Row("a", "64", 1, "fastest", "ecp5", front=True)])
    path.write_bytes(path.read_bytes().replace(b"yes", b"maybe"))
    with pytest.raises(StudyError, match="maybe"):
        read_rows(path)


def test_only_rows_with_a_design_that_fits_are_compared():
    row = Row("a", "64", 1, "fastest", "ecp5", status="ok")
    assert row.complete and replace(row, fits=True).complete
    assert not replace(row, fits=False).complete and not replace(row, status="refused").complete
