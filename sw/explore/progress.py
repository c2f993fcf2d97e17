"""How far a study is: what became of each step."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from signfold.sw.explore.store import Store, Stored
from signfold.sw.explore.tasks import KINDS, Combination, Task

__all__ = ["Failure", "Progress", "Stage", "all_tasks", "survey"]


@dataclass(frozen=True)
class Failure:
    """A step that broke: nothing is kept, so that another run tries again.

    Parameters
    ----------
    reason : str
        What happened.
    """

    reason: str


@dataclass
class Stage:
    """How far the steps of one kind are.

    Parameters
    ----------
    total : int
        Steps of the study.
    reused : int
        Found in the folder.
    done : int
        Done now.
    refused, failed, skipped : int
        Of these two, those that said no; those that broke; those whose inputs are missing for good.
    running : int
        Handed out.
    seconds : float
        Time that those that are reused or done took.
    shares : dict of str to float
        Share that is done of each that goes on.
    """

    total: int = 0
    reused: int = 0
    done: int = 0
    refused: int = 0
    failed: int = 0
    skipped: int = 0
    running: int = 0
    seconds: float = 0.0
    shares: dict[str, float] = field(default_factory=dict)

    @property
    def ended(self) -> int:
        """Steps that need nothing more."""
        return self.reused + self.done + self.failed + self.skipped

    def rest(self) -> float | None:
        """Return the seconds of work that are left; None: not known yet."""
        left = self.total - self.ended - sum(self.shares.values())
        known = self.reused + self.done
        return 0.0 if left <= 0 else None if not known else left * self.seconds / known


@dataclass
class Progress:
    """How far a study is.

    Parameters
    ----------
    stages : dict of str to Stage
        By kind of step.
    ends : dict of str to Stored or Failure
        What became of each step, by key.
    slots : int
        Steps at a time.
    """

    stages: dict[str, Stage]
    ends: dict[str, Stored | Failure]
    slots: int = 1

    @property
    def open(self) -> bool:
        """Whether anything is left to do."""
        return any(stage.ended < stage.total for stage in self.stages.values())

    def dead(self, task: Task) -> bool:
        """Return whether a step has ended without a result, so that none can follow it."""
        end = self.ends.get(task.key)
        return isinstance(end, Failure) or (end is not None and end.refused is not None)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the numbers of steps by kind and by what became of them."""
        names = ("total", "reused", "done", "refused", "failed", "skipped")
        return {kind: {name: getattr(stage, name) for name in names} for kind, stage in self.stages.items()}

    def rest(self) -> float | None:
        """Return the seconds that are left, or None if they are not known yet."""
        each = [stage.rest() for stage in self.stages.values()]
        return None if None in each else sum(each) / max(1, self.slots)


def all_tasks(combinations: Iterable[Combination]) -> list[Task]:
    """Return every step once, in the order of the combinations."""
    return list({task.key: task for combination in combinations for task in combination.tasks}.values())


def survey(tasks: Iterable[Task], store: Store) -> Progress:
    """Return how far a study is by what lies in its folder."""
    progress = Progress({}, {})
    for task in tasks:
        stage = progress.stages.setdefault(task.kind, Stage())
        stage.total += 1
        if (stored := store.find(task.kind, task.key)) is not None:
            progress.ends[task.key] = stored
            stage.reused += 1
            stage.refused += stored.refused is not None
            stage.seconds += stored.seconds
    progress.stages = {kind: progress.stages[kind] for kind in KINDS if kind in progress.stages}
    for task in tasks:
        if task.key not in progress.ends and any(progress.dead(need) for need in task.needs):
            progress.stages[task.kind].skipped += 1
            progress.ends[task.key] = Failure("")
    return progress
