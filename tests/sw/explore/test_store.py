"""Outcomes on disk: whole, checked, replaced; and how far a study is by them."""

import pytest

from signfold.sw.errors import StudyError
from signfold.sw.explore.outcome import Outcome
from signfold.sw.explore.progress import survey
from signfold.sw.explore.store import Store
from signfold.sw.explore.tasks import Task

OUTCOME = Outcome({"value": 0.5}, {"a": b"1", "sub/b": b"\x00"}, seconds=2.0)


def test_outcomes_come_back(tmp_path):
    store = Store(tmp_path / "study")
    assert store.find("train", "k") is None
    store.put("train", "k", {"options": {}}, OUTCOME)
    found = store.find("train", "k")
    assert (found.result, found.files(), found.seconds, found.refused) == (OUTCOME.result, OUTCOME.files, 2.0, None)
    store.put("train", "k", {}, Outcome({"refused": "no"}))
    assert store.find("train", "k").refused == "no" and store.find("train", "k").files() == {}
    assert sorted(path.name for path in (tmp_path / "study" / "train").iterdir()) == ["k"]


def test_what_has_begun_goes_when_it_is_done(tmp_path):
    store = Store(tmp_path)
    for count in (1, 2):
        store.put("train", "k", {}, Outcome({"epochs": count}, {"state": bytes([count])}, done=False))
    assert store.find("train", "k") is None
    assert store.find("train", "k", part=True).files() == {"state": b"\x02"}
    store.put("train", "k", {}, OUTCOME)
    assert store.find("train", "k", part=True) is None
    assert [path.name for path in (tmp_path / "train").iterdir()] == ["k"]


@pytest.mark.parametrize("name", ["a", "sub/b", "result.json"])
@pytest.mark.parametrize("how", ["gone", "changed"])
def test_damage_is_noticed_and_named(tmp_path, name, how):
    store = Store(tmp_path)
    path = store.put("plan", "k", {}, OUTCOME).folder / name
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert store.find("plan", "k") is None
    assert len(store.damaged) == 1 and str(tmp_path) in store.damaged[0]
    # It is made anew in the same place.
    store.put("plan", "k", {}, OUTCOME)
    assert store.find("plan", "k").files() == OUTCOME.files


def test_an_outcome_of_another_key_does_not_count(tmp_path):
    store = Store(tmp_path)
    store.put("plan", "a", {}, OUTCOME).folder.rename(store.place("plan", "b"))
    assert store.find("plan", "b") is None and "something else" in store.damaged[0]


def test_a_failing_write_leaves_what_was_there(tmp_path):
    store = Store(tmp_path)
    store.put("plan", "k", {}, OUTCOME)
    with pytest.raises(OSError):
        store.put("plan", "k", {}, Outcome({}, {"x" * 300: b""}))
    assert store.find("plan", "k").files() == OUTCOME.files
    assert [path.name for path in (tmp_path / "plan").iterdir()] == ["k"]


def test_folders_of_others_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(StudyError, match=r"thesis\.tex"):
        Store(tmp_path).claim("study.json")
    with pytest.raises(StudyError, match="must be a folder"):
        Store(tmp_path / "thesis.tex").claim("study.json")
    (tmp_path / "study.json").write_text("{}")
    Store(tmp_path).claim("study.json")


def test_a_survey_counts_what_is_there(tmp_path):
    train = Task("train", "t", {}, (), "")
    done, refused = Task("compile", "c", {}, (train,), ""), Task("compile", "d", {}, (train,), "")
    after, left = Task("plan", "p", {}, (refused,), ""), Task("plan", "q", {}, (done,), "")
    store = Store(tmp_path)
    store.put("train", "t", {}, OUTCOME)
    store.put("compile", "c", {}, OUTCOME)
    store.put("compile", "d", {}, Outcome({"refused": "no"}))
    progress = survey([train, done, refused, after, left], store)
    compiled, planned = progress.stages["compile"], progress.stages["plan"]
    assert (compiled.reused, compiled.refused, compiled.ended, compiled.rest()) == (2, 1, 2, 0.0)
    assert (planned.total, planned.skipped, planned.ended, planned.rest()) == (2, 1, 1, None)
    assert progress.open and progress.rest() is None
