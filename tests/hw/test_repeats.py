"""Repeated modules: what a synthesis keeps apart."""

import pytest

from signfold.hw.repeats import SMALL, repeated_modules


def design(**modules):
    """Verilog of modules given as lists of the modules inside them; those called `tiny...` are small."""
    text = ""
    for name, inside in modules.items():
        lines = [f"  {kind} \\{kind}[{k}]  (\n    .clk(clk)\n  );" for k, kind in enumerate(inside)]
        padding = [] if name.startswith("tiny") else ["  // logic"] * (SMALL // 11 + 1)
        text += "\n".join([f"module {name}(clk);", "  input clk;", *padding, *lines, "endmodule", "", ""])
    return text


def test_what_occurs_often_is_kept():
    text = design(top=["column"] * 8 + ["once", "few", "few"], once=["FDRE"] * 9, few=[], column=[])
    assert repeated_modules(text, "top") == ("column",)
    assert repeated_modules(text, "top", least=2) == ("few", "column")


def test_parts_of_what_is_kept_are_kept_where_each_copy_has_many():
    text = design(
        top=["column"] * 8, column=["cell", "lane", "lane", "lane", "lane"], cell=["popcount"], popcount=[], lane=[]
    )
    assert repeated_modules(text, "top") == ("column", "lane")


def test_modules_of_a_few_lines_are_part_of_what_holds_them():
    text = design(top=["tiny"] * 99 + ["cell"] * 5, cell=["tiny_counter"] * 9, tiny=[], tiny_counter=[])
    assert repeated_modules(text, "top") == ("cell",)
    # What holds large ones is large.
    text = design(top=["tiny"] * 9, tiny=["once", "once"], once=[])
    assert repeated_modules(text, "top") == ("tiny",)


def test_copies_in_different_places_count_together():
    text = design(top=["a", "b"], a=["cell"] * 2, b=["cell"] * 2, cell=[])
    assert repeated_modules(text, "top") == ("cell",)


def test_an_unknown_top_is_refused():
    with pytest.raises(ValueError, match="^top must be a module of the design, not 'accelerator'$"):
        repeated_modules(design(top=[]))
