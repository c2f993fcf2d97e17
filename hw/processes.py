"""Processes that find cycles and wait for those of others: the machinery of `signfold.hw.graph_timing`."""

from collections import deque
from collections.abc import Callable
from itertools import product
from typing import Any

from greenlet import greenlet

__all__ = ["Deadlock", "Growing", "Processes", "Stream"]


class Deadlock(RuntimeError):
    """Components wait for one another, because queues between them are too short."""


class Growing(list):
    """Cycles that one process finds and another waits for."""

    ended = False


class Stream:
    """Beats between two processes: one `give`s, the other takes them through `signfold.hw.timing.Beats`.

    Parameters
    ----------
    processes : Processes
        Whose processes they are.
    """

    def __init__(self, processes: "Processes"):
        self._wait = processes.wait
        self.offers: list[int] = []
        self.takes: list[int] = []
        self.ended = False

    def give(self, available: int) -> int:
        """Offer the next beat and return the cycle in which it is taken."""
        number = len(self.offers)
        self.offers.append(available)
        self._wait(lambda: len(self.takes) > number)
        return self.takes[number]

    def __next__(self):
        number = len(self.takes)
        if len(self.offers) <= number:
            self._wait(lambda: len(self.offers) > number or self.ended)
            if len(self.offers) <= number:
                raise StopIteration
        return self.offers[number]

    def send(self, taken):
        """Go on to the next beat, after `tell`."""
        del taken
        return next(self)

    def tell(self, taken: int) -> None:
        """Note when the beat was taken."""
        self.takes.append(taken)


class _Task:
    """A process, what it waits for, and which others may wait for what it does."""

    __slots__ = ("known", "near", "process", "waits")

    def __init__(self, process):
        self.process = process
        self.known = None
        self.near = set()
        self.waits = True


class Processes:
    """Greenlets in groups, such as those of one component; groups that are linked hear of one another."""

    def __init__(self):
        self._groups: list[list[_Task]] = []
        self._links: set[tuple[int, int]] = set()
        self._current: _Task | None = None
        self._hub = greenlet.getcurrent()

    def start(self, group: int, work: Callable[..., None], *arguments: Any) -> None:
        """Add a process to a group."""
        while len(self._groups) <= group:
            self._groups.append([])
            self._links.add((len(self._groups) - 1,) * 2)
        self._groups[group].append(_Task(greenlet(lambda: work(*arguments), self._hub)))

    def link(self, group: int, other: int) -> None:
        """Let processes of two groups wait for one another's cycles."""
        self._links.add((group, other))

    def wait(self, known: Callable[[], bool]) -> None:
        """Let others run until `known` is true."""
        if not known():
            self._current.known = known
            self._hub.switch()

    def go(self) -> None:
        """Run all processes until all have ended.

        Raises
        ------
        Deadlock
            Some wait for what nobody will ever say.
        """
        for group, other in self._links:
            for one, two in product(self._groups[group], self._groups[other]):
                one.near.add(two)
                two.near.add(one)
        tasks = [task for group in self._groups for task in group]
        line = deque(tasks)
        while line:
            task = line.popleft()
            task.waits = False
            if task.known is not None and not task.known():
                continue
            task.known, self._current = None, task
            task.process.switch()
            # Whatever it has said only its neighbours can have heard.
            for other in task.near:
                if not other.waits and not other.process.dead:
                    other.waits = True
                    line.append(other)
        if not all(task.process.dead for task in tasks):
            raise Deadlock("queues are too short: beats are left that can never move")
