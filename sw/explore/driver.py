"""The driver of a study: hands out what is missing, deepest steps first, and keeps what comes back."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from signfold.sw.explore.outcome import Outcome, StepFunction
from signfold.sw.explore.progress import Failure, Progress
from signfold.sw.explore.store import Store, Stored
from signfold.sw.explore.tasks import KINDS, Task

__all__ = ["Pool", "drive"]


class Pool(Protocol):
    """Where steps are run."""

    @property
    def slots(self) -> int:
        """Steps at a time."""

    def submit(self, task: Task, step: StepFunction, setting: Mapping[str, Any], inputs: Mapping[str, bytes]) -> Any:
        """Hand out a step and return its handle."""

    def wait(self, handles: Iterable[Any]) -> Iterator[tuple[Any, Outcome | Failure]]:
        """Yield those that have ended, none of them after a second without one."""


class _Driver:
    def __init__(self, tasks: list[Task], store: Store, progress: Progress) -> None:
        self.store, self.progress = store, progress
        self._ready: list[tuple[int, int, Task]] = []
        self._waiting: dict[str, list[Task]] = {}
        self._order = {task.key: number for number, task in enumerate(tasks)}
        for task in tasks:
            if task.key not in progress.ends:
                self._place(task)

    def _place(self, task: Task) -> None:
        """Make a step ready, let it wait for one before it, or let it go with that."""
        for need in task.needs:
            if need.key not in self.progress.ends:
                self._waiting.setdefault(need.key, []).append(task)
                return
            if self.progress.dead(need):
                self.progress.stages[task.kind].skipped += 1
                self.end(task, Failure(""))
                return
        heapq.heappush(self._ready, (-KINDS.index(task.kind), self._order[task.key], task))

    def next(self) -> Task | None:
        return heapq.heappop(self._ready)[2] if self._ready else None

    def end(self, task: Task, end: Stored | Failure) -> None:
        self.progress.ends[task.key] = end
        for waiting in self._waiting.pop(task.key, ()):
            self._place(waiting)

    def inputs(self, task: Task) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        for need in task.needs:
            files |= self.progress.ends[need.key].files()
        begun = self.store.find(task.kind, task.key, part=True)
        return files if begun is None else files | begun.files()

    def take(self, task: Task, outcome: Outcome | Failure) -> None:
        """Keep what a step gave; one that goes on is ready again."""
        stage = self.progress.stages[task.kind]
        stage.running -= 1
        if isinstance(outcome, Failure):
            stage.failed += 1
            stage.shares.pop(task.key, None)
            return self.end(task, outcome)
        begun = self.store.find(task.kind, task.key, part=True)
        outcome = replace(outcome, seconds=outcome.seconds + (begun.seconds if begun else 0.0))
        stored = self.store.put(task.kind, task.key, task.arguments, outcome)
        if not outcome.done:
            stage.shares[task.key] = outcome.result["epochs"] / task.arguments["options"]["epochs"]
            return self._place(task)
        stage.shares.pop(task.key, None)
        stage.done += 1
        stage.refused += stored.refused is not None
        stage.seconds += stored.seconds
        return self.end(task, stored)


def drive(
    tasks: list[Task],
    store: Store,
    progress: Progress,
    pool: Pool,
    steps: Mapping[str, StepFunction],
    setting: Mapping[str, Any],
    *,
    watch: Callable[[Progress], object] = lambda progress: None,
) -> None:
    """Take every step of a study that is missing from its folder.

    Each outcome is kept when it comes, so that a study which is cut off goes on where it was; a training run goes on
    from the last slice that came back. A step that is refused or breaks ends its combinations and nothing else.

    Parameters
    ----------
    tasks : list of Task
        The study's; steps come after those that they need.
    store : Store
        Its folder.
    progress : Progress
        What `survey` gave; kept up to date.
    pool : Pool
        Where steps are run.
    steps : mapping of str to callable
        Function of each kind of step.
    setting : mapping
        What every step is called with, besides its own arguments.
    watch : callable, optional
        Called after every change, and now and then.
    """
    driver = _Driver(tasks, store, progress)
    running: dict[Any, Task] = {}
    while True:
        progress.slots = pool.slots
        # A few more than are run at a time, so that nobody waits for the way to and fro.
        while len(running) < pool.slots + max(1, pool.slots // 2) and (task := driver.next()) is not None:
            running[pool.submit(task, steps[task.kind], setting, driver.inputs(task))] = task
            progress.stages[task.kind].running += 1
        watch(progress)
        if not running:
            return
        for handle, outcome in pool.wait(running):
            driver.take(running.pop(handle), outcome)
