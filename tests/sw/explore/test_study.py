"""What a study file says, how it is refused, and which steps it becomes."""

import tomllib
from collections import Counter

import pytest

from signfold.sw.errors import StudyError
from signfold.sw.explore.device import find_target
from signfold.sw.explore.study_file import EXAMPLE, make_study, read_study
from signfold.sw.explore.tasks import data_identity, lay_out_study
from signfold.sw.plan import LayerPlan, Plan
from signfold.sw.planner.devices import BOARDS, DEVICES

SMALL = {"data": "digits", "topologies": ["16", "32"], "recipes": ["default", "bnn"], "epochs": 2}


def kinds(combinations):
    """Numbers of different steps by kind."""
    return Counter(task.kind for task in {task for combination in combinations for task in combination.tasks})


def tools(fabric, board):
    return {"synthesis": {"yosys": "1"}, "route": {"nextpnr": "1"}}


def test_the_example_is_a_study(tmp_path):
    path = tmp_path / "example.toml"
    path.write_text(EXAMPLE)
    study = read_study(path)
    assert len(lay_out_study(study)) == 3 * 3 * 1 * 3 * 2
    options = study.training(study.recipes[2], "64", 2)
    assert (options.activations, options.epochs, options.seed, options.noise) == (2, 40, 2, 3)


@pytest.mark.parametrize("effort, expected", [
    ("model", {"train": 4, "compile": 4, "plan": 16}),
    ("synthesis", {"train": 4, "compile": 4, "plan": 16, "synthesis": 16}),
    ("route", {"train": 4, "compile": 4, "plan": 16, "synthesis": 16, "route": 24}),
])  # fmt: skip
def test_steps_are_shared(effort, expected):
    content = {"plans": ["fastest", {"cycles": 64}], "devices": ["icebreaker", "XC7A35T"], "routing_seeds": [1, 2, 3]}
    combinations = lay_out_study(make_study({**SMALL, **content, "effort": effort}), tools)
    assert kinds(combinations) == expected
    assert len(combinations) == 4 * 2 * (3 + 1 if effort == "route" else 2)
    # Devices without pins are not routed.
    assert {c.routing_seed for c in combinations if c.device.name == "XC7A35T"} == {None}


def test_keys_follow_what_decides():
    def keys(kind, **changes):
        combinations = lay_out_study(make_study({**SMALL, **changes}), tools)
        return {task.key for combination in combinations for task in combination.tasks if task.kind == kind}

    assert keys("train") == keys("train", title="x", devices=["ecp5"], plans=[{"cycles": 3}], effort="route")
    assert not keys("train") & keys("train", epochs=3)
    assert not keys("train") & keys("train", data="mnist", options={"threshold": 128})
    assert keys("compile", epochs=3) != keys("compile")
    assert not keys("plan") & keys("plan", clock_mhz=20)
    # A plan is known by what it is, not by its name; a device by what it has.
    named = {"plans": [{"cycles": 64, "name": "slow"}]}
    assert keys("plan", **named) == keys("plan", plans=[{"cycles": 64}])
    assert keys("train", options={"device": "cpu"}) == keys("train")
    assert keys("train") < keys("train", topologies=["16", "32", "64"])


def test_versions_of_tools_are_part_of_the_keys():
    study = make_study({**SMALL, "effort": "route"})
    newer = lambda fabric, board: {**tools(fabric, board), "route": {"nextpnr": "2"}}  # noqa: E731
    old, new = lay_out_study(study, tools)[0], lay_out_study(study, newer)[0]
    assert [a.key == b.key for a, b in zip(old.tasks, new.tasks, strict=True)] == [True] * 4 + [False]


def test_each_data_set_is_known_by_its_contents():
    assert len({tuple(data_identity(name)) for name in ("digits", "mnist", "fashion-mnist", "cifar10")}) == 4


def test_devices():
    board = find_target("icebreaker")
    assert (board.fabric, board.clock_mhz, board.board) == ("ice40", BOARDS["icebreaker"].clock_mhz, "icebreaker")
    assert board.logic == int(0.9 * DEVICES["iCE40UP5K"].logic)
    assert find_target("XC7A35T", 50).clock_mhz == 50 and find_target("XC7A35T").board is None
    assert find_target("ecp5").logic is None


def test_files_are_relative_to_the_study(tmp_path):
    Plan((LayerPlan(4, 8), LayerPlan(2, 8)), fabric="ecp5").save(tmp_path / "narrow.toml")
    (tmp_path / "mine.toml").write_text(
        'title = "mine"\npaper = ""\nsource = ""\ndata = "digits"\n[options]\nactivations = 2\n'
    )
    path = tmp_path / "study.toml"
    path.write_text('data = "digits"\nrecipes = [{ file = "mine.toml" }]\nplans = [{ file = "narrow.toml" }]\n')
    study = read_study(path)
    assert (study.recipes[0].name, study.plans[0].name) == ("mine", "narrow")
    assert study.training(study.recipes[0], "16", 1).activations == 2
    assert tomllib.loads(study.plans[0].text)["layer"][1]["cols"] == 2


@pytest.mark.parametrize("content, told", [
    ({"colour": 1}, "colour"),
    ({"data": "nothing"}, "nothing"),
    ({"data": 3}, "3"),
    ({"recipes": ["no-such"]}, "no-such"),
    ({"recipes": []}, "recipes"),
    ({"recipes": [3]}, "3"),
    ({"recipes": ["bnn", "bnn"]}, "twice"),
    ({"recipes": [{"recipe": "bnn", "file": "x"}]}, "one of"),
    ({"recipes": [{"file": "missing.toml"}]}, "missing.toml"),
    ({"recipes": [{"options": {"lrr": 1}}]}, "lrr"),
    ({"recipes": [{"real_weights": 17}]}, "17"),
    ({"recipes": [{"options": {"initial": "run"}}]}, "initial"),
    ({"recipes": [{"options": {"teacher": {"run": "run"}}}]}, "teacher"),
    ({"topologies": ["nonsense"]}, "nonsense"),
    ({"topologies": "64"}, "topologies"),
    ({"plans": ["slowest"]}, "slowest"),
    ({"plans": [{"cycles": 0}]}, "cycles"),
    ({"plans": [{"cycles": 1.5}]}, "cycles"),
    ({"plans": [{"fps": True}]}, "fps"),
    ({"plans": [{"cycles": 1, "fps": 1}]}, "one of"),
    ({"plans": [{"cycles": 1, "styles": ["soft"]}]}, "soft"),
    ({"plans": [{"file": "no-plan.toml"}]}, "no-plan.toml"),
    ({"devices": ["toaster"]}, "toaster"),
    ({"seeds": [-1]}, "-1"),
    ({"routing_seeds": [1 << 31]}, "routing_seeds"),
    ({"effort": "much"}, "much"),
    ({"clock_mhz": 0}, "clock_mhz"),
    ({"options": 3}, "options"),
])  # fmt: skip
def test_refusals_name_what_is_wrong(content, told):
    with pytest.raises(StudyError, match=told):
        make_study({"data": "digits", **content})


@pytest.mark.parametrize("content", [None, b"= 1", b"\xff"])
def test_files_that_are_no_study(tmp_path, content):
    path = tmp_path / "study.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StudyError, match="study.toml"):
        read_study(path)


def test_a_recipe_that_one_topology_cannot_have_is_a_row():
    """A network that branches has no several bases, say; here a topology that is none stands for all such."""
    study = make_study({**SMALL, "topologies": ["16", "nonsense"], "recipes": ["default"]})
    good, bad = lay_out_study(study)
    assert good.refused is None and "nonsense" in bad.refused and not bad.tasks
