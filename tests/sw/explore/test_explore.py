"""`signfold explore` on real data: resumed, changed, stopped, on a cluster."""

import io
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console
from safetensors.numpy import load
from typer.testing import CliRunner

from signfold.sw.cli import explore_view
from signfold.sw.cli.app import app
from signfold.sw.cli.explore_view import View
from signfold.sw.explore.cluster import DaskPool
from signfold.sw.explore.driver import drive
from signfold.sw.explore.outcome import Outcome, attempt
from signfold.sw.explore.progress import Failure, all_tasks, survey
from signfold.sw.explore.rows import make_rows, read_rows
from signfold.sw.explore.store import Store
from signfold.sw.explore.study_file import make_study, read_study
from signfold.sw.explore.tasks import lay_out_study
from signfold.sw.explore.training import train_step
from signfold.sw.network import Network

#: dorefa's last layer is real, which does not compile; one cycle is too few for anything.
STUDY = """
data = "digits"
topologies = ["8"]
epochs = 2
recipes = ["default", "dorefa"]
plans = ["fastest", { cycles = 1 }]
devices = ["icebreaker", "ecp5"]
"""


def explore(*arguments, status=0):
    done = CliRunner().invoke(app, ["explore", *map(str, arguments)])
    assert done.exit_code == status, done.output + repr(done.exception)
    return done


def counts(folder, *arguments):
    """What was computed and what was kept, by kind of step."""
    stages = json.loads(explore(*arguments, "--out", folder, "--workers", 0, "--json").stdout)["stages"]
    return {kind: (stage["reused"], stage["done"]) for kind, stage in stages.items()}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study that was run once."""
    folder = tmp_path_factory.mktemp("explore")
    (folder / "study.toml").write_text(STUDY)
    first = counts(folder / "out", folder / "study.toml")
    return folder, first


def test_a_study_ends_in_a_table_and_a_plot(study):
    folder, first = study
    assert first == {"train": (0, 2), "compile": (0, 2), "plan": (0, 4)}
    rows = read_rows(folder / "out" / "results.csv")
    assert len(rows) == 2 * 2 * 2
    # What says no is a row with its reason, and ends nothing else.
    by_name = {(row.recipe, row.plan, row.device): row for row in rows}
    assert [name for name, row in by_name.items() if row.status == "ok"] == [("default", "fastest", "icebreaker")]
    good = by_name["default", "fastest", "icebreaker"]
    assert good.front and good.fits and good.stage == "plan" and good.interval_cycles > 0
    assert good.frames_per_second == 12e6 / good.interval_cycles
    assert 0 < good.validation_integer == good.validation_float <= 1 and 0 < good.test_integer == good.test_float <= 1
    network = Network.load(folder / "out" / good.network)
    assert network.metadata["accuracy"]["integer"] == good.validation_integer
    assert (folder / "out" / good.plan_file).is_file()
    assert "real weights" in by_name["dorefa", "fastest", "icebreaker"].reason
    assert by_name["dorefa", "fastest", "icebreaker"].stage == "compile"
    assert "1 cycles" in by_name["default", "1 cycles", "icebreaker"].reason
    assert "no end" in by_name["default", "fastest", "ecp5"].reason
    assert (folder / "out" / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "out" / "pareto.svg").read_text().startswith("<?xml")


def test_what_is_there_is_kept_and_a_changed_study_adds_to_it(study):
    folder, _ = study
    before = (folder / "out" / "results.csv").read_bytes()
    assert counts(folder / "out", folder / "study.toml") == {"train": (2, 0), "compile": (2, 0), "plan": (4, 0)}
    assert (folder / "out" / "results.csv").read_bytes() == before
    (folder / "more.toml").write_text(STUDY.replace('devices = ["icebreaker",', 'devices = ["XC7A35T", "icebreaker",'))
    dry = explore(folder / "more.toml", "--out", folder / "out", "--dry-run").stdout
    assert "2 are open" in dry and "2 kept" in dry
    assert (folder / "out" / "results.csv").read_bytes() == before
    assert counts(folder / "out", folder / "more.toml") == {"train": (2, 0), "compile": (2, 0), "plan": (4, 2)}
    assert len(read_rows(folder / "out" / "results.csv")) == 12


def test_progress_is_shown_at_terminals_alone(study, monkeypatch):
    folder, _ = study
    combinations = lay_out_study(read_study(folder / "study.toml"))
    store, text = Store(folder / "out"), io.StringIO()
    progress = survey(all_tasks(combinations), store)
    progress.stages["train"].shares["x"], progress.slots = 0.5, 2
    for terminal in (False, True):
        console = Console(file=text, force_terminal=terminal, width=140, color_system=None)
        monkeypatch.setattr(explore_view, "console", console)
        with View(combinations, store) as view:
            view.show(progress)
        assert bool(text.getvalue()) == terminal
    for told in ("compile", "2 at a time", "best so far, 1 on the fronts", "default 8 s1, fastest"):
        assert told in text.getvalue()
    quiet = explore(folder / "study.toml", "--out", folder / "out", "--workers", 0)
    assert quiet.stderr == ""


def test_what_is_damaged_is_named_and_made_anew(study):
    folder, _ = study
    network = folder / "out" / read_rows(folder / "out" / "results.csv")[0].network
    before = network.read_bytes()
    network.write_bytes(before[:-1])
    done = explore(folder / "study.toml", "--out", folder / "out", "--workers", 0)
    assert "damaged, computed again" in done.stderr and str(network.parent) in done.stderr.replace("\n", "")
    assert network.read_bytes() == before
    assert "1 computed" in done.stdout


def test_training_in_slices_ends_in_the_same_bits():
    options = make_study({"data": "digits", "epochs": 3}).training
    options = options(make_study({"data": "digits"}).recipes[0], "8", 1).to_json() | {"epochs": 3}
    whole = train_step({"options": options}, {}, {})
    files, slices = {}, 0
    while True:
        part = train_step({"options": options}, {"seconds": 0}, files)
        files, slices = part.files, slices + 1
        if part.done:
            break
        assert part.result == {"epochs": slices}
    assert slices == 3 and part.result == whole.result
    one, other = (load(outcome.files["best.safetensors"]) for outcome in (part, whole))
    assert one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


def break_down(arguments, setting, inputs):
    """Die, as if memory had run out."""
    os._exit(1)


def raise_memory_error(arguments, setting, inputs):
    raise MemoryError("too much")


def give_back(arguments, setting, inputs):
    return Outcome({"epochs": 2, "epoch": 1, "validation_float": 0.5}, {"run": b"."})


def test_on_a_cluster_that_is_there(tmp_path):
    """A step that breaks is a row, and tried again next time."""
    import distributed

    arguments = ("--data", "digits", "--topology", "8", "--epochs", 2, "--device", "icebreaker")
    combinations = lay_out_study(make_study({"data": "digits", "topologies": ["8"], "epochs": 2}))
    tasks, store = all_tasks(combinations), Store(tmp_path / "out")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1",
        dashboard_address="127.0.0.1:0", worker_dashboard_address=None,
    ) as cluster:  # fmt: skip
        address = cluster.scheduler_address
        assert address.startswith("tcp://127.0.0.1:")
        with DaskPool(scheduler=address) as pool:
            assert pool.slots == 1
            progress = survey(tasks, store)
            drive(tasks, store, progress, pool, {"train": raise_memory_error}, {})
        [row] = make_rows(combinations, progress.ends, store)
        assert (row.status, row.stage, row.reason) == ("failed", "train", "MemoryError: too much")
        assert isinstance(progress.ends[tasks[1].key], Failure) and not progress.open
        store.claim("study.json")
        done = explore(*arguments, "--out", tmp_path / "new", "--scheduler", address)
    assert "1 of 1 combinations are done" in done.stdout
    # The cluster is gone, the results are here.
    assert "1 kept, 0 computed" in explore(*arguments, "--out", tmp_path / "new").stdout


def die_once(arguments, setting, inputs):
    """Die, and do better when tried again."""
    marker = Path(setting["marker"])
    if not marker.exists():
        marker.touch()
        os._exit(1)
    return give_back(arguments, setting, inputs)


@pytest.mark.sweep
def test_workers_that_die_and_where_they_listen(tmp_path):
    """A worker is replaced and its step tried again; a step that always kills it is a row."""
    combinations = lay_out_study(make_study({"data": "digits", "topologies": ["8"], "epochs": 2}))
    [train, *_] = all_tasks(combinations)
    with DaskPool(2) as pool:
        mine = psutil.Process()
        listening = [
            each.laddr.ip
            for process in (mine, *mine.children(recursive=True))
            for each in process.net_connections()
            if each.status == psutil.CONN_LISTEN
        ]
        assert len(listening) >= 3 and set(listening) == {"127.0.0.1"}
        store = Store(tmp_path / "out")
        setting = {"marker": str(tmp_path / "died")}
        drive([train], store, survey([train], store), pool, {"train": die_once}, setting)
        assert (tmp_path / "died").exists() and store.find("train", train.key).files() == {"run": b"."}
        store = Store(tmp_path / "other")
        progress = survey([train], store)
        drive([train], store, progress, pool, {"train": break_down}, {})
        assert "worker died" in progress.ends[train.key].reason and not (tmp_path / "other").exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.sweep)])
def test_stopped_and_killed_studies_go_on(tmp_path, how):
    """Slices of training that came back are not lost."""
    command = [str(Path(sysconfig.get_path("scripts")) / "signfold"), "explore", "--data", "digits", "--topology", "64"]
    command += ["--epochs", "400", "--slice", "0", "--workers", "0", "--cycles", "64", "--device", "ecp5"]
    command += ["--out", str(tmp_path)]
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while begun(tmp_path) < 2:
        assert running.poll() is None, running.communicate()[0].decode()
        time.sleep(0.05)
    running.send_signal(how)
    told = running.communicate()[0].decode()
    if how is signal.SIGINT:
        assert running.returncode == 130 and "the same command goes on" in told
        assert [row.status for row in read_rows(tmp_path / "results.csv")] == ["open"]
    epochs = begun(tmp_path)
    assert 2 <= epochs < 400

    def stop_after_one(arguments, setting, inputs):
        assert len(json.loads(inputs["checkpoint.json"])["history"]) == epochs
        outcome = train_step(arguments, {"seconds": 0}, inputs)
        assert not outcome.done and outcome.result["epochs"] == epochs + 1
        return Outcome({"refused": "enough"})

    content = {"data": "digits", "topologies": ["64"], "epochs": 400, "plans": [{"cycles": 64}], "devices": ["ecp5"]}
    combinations = lay_out_study(make_study(content))
    store = Store(tmp_path)
    progress = survey(all_tasks(combinations), store)
    drive(all_tasks(combinations), store, progress, Here(), {"train": stop_after_one}, {})
    assert [row.reason for row in make_rows(combinations, progress.ends, store)] == ["enough"]


class Here:
    """A pool without processes: a step is done when it is handed out."""

    slots = 1

    def __init__(self):
        self.order, self.outcomes = [], []

    def submit(self, task, step, setting, inputs):
        self.order.append(task)
        self.outcomes.append(attempt(step, task.arguments, setting, inputs))
        return len(self.outcomes) - 1

    def wait(self, handles):
        return [(handle, self.outcomes[handle]) for handle in list(handles)]


def test_deeper_steps_come_first_and_nothing_follows_a_refusal(tmp_path):
    """So that a study which is stopped early has whole rows."""

    def step(kind):
        def run(arguments, setting, inputs):
            if kind == "compile" and inputs == {"train": b"3"}:
                raise ValueError("no")
            known = {"validation_integer": 0.5} if kind == "compile" else {"interval_cycles": 1, "luts": 1, "brams": 0}
            return Outcome(
                {"seen": sorted(inputs), **known}, {kind: str(arguments.get("options", {}).get("seed")).encode()}
            )

        return run

    content = {"data": "digits", "topologies": ["8"], "seeds": [1, 2, 3, 4], "plans": [{"cycles": 1}, {"cycles": 2}]}
    combinations = lay_out_study(make_study(content))
    tasks, store, pool = all_tasks(combinations), Store(tmp_path), Here()
    progress, seen = survey(tasks, store), []
    drive(tasks, store, progress, pool, {kind: step(kind) for kind in ("train", "compile", "plan")}, {},
          watch=lambda progress: seen.append(progress.stages["plan"].ended))  # fmt: skip
    kinds = [task.kind for task in pool.order]
    assert len(kinds) == len(set(pool.order)) == 4 + 4 + 6
    # Two are handed out at a time; no network waits for its plans until all are trained.
    assert kinds.index("plan") < max(k for k, kind in enumerate(kinds) if kind == "train")
    assert [row.status for row in make_rows(combinations, progress.ends, store)] == ["ok"] * 4 + ["refused"] * 2 + [
        "ok"
    ] * 2
    assert progress.stages["plan"].skipped == 2 and progress.rest() == 0 and seen == sorted(seen)
    assert store.find("plan", tasks[2].key).result["seen"] == ["compile"]


def begun(folder):
    """Epochs of the run that has begun."""
    found = list(folder.glob("train/*.part/result.json"))
    try:
        return json.loads(found[0].read_text())["result"]["epochs"] if found else 0
    except FileNotFoundError:
        return 0  # just being replaced


def test_the_command_says_what_it_lacks(tmp_path, monkeypatch):
    assert 'title = "' in explore("--example").stdout
    for arguments, told in (
        (("--recipe", "no-such"), "no-such"),
        (("--data", "digits", "--effort", "much"), "much"),
        ((), "--example"),
        ((tmp_path / "missing.toml",), "missing.toml"),
        ((tmp_path / "missing.toml", "--data", "digits"), "give it alone"),
        (("--data", "digits", "--out", "/dev/null"), "must be a folder"),
    ):
        done = CliRunner().invoke(app, ["explore", *map(str, arguments)])
        assert told in str(done.exception), done.output
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = CliRunner().invoke(app, ["explore", "--data", "digits", "--out", str(tmp_path / "out")])
    assert "signfold[explore]" in str(done.exception)


def test_a_scheduler_that_does_not_answer(monkeypatch):
    from signfold.sw.explore import cluster

    monkeypatch.setattr(cluster, "_PATIENCE", 1)
    done = CliRunner().invoke(app, ["explore", "--data", "digits", "--scheduler", "tcp://127.0.0.1:9", "--dry-run"])
    assert done.exit_code == 0
    with pytest.raises(cluster.StudyError, match="127.0.0.1:9"):
        DaskPool(scheduler="tcp://127.0.0.1:9")
