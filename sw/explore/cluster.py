"""Where the steps of a study are run: dask.distributed, on this machine or on a cluster."""

import logging
import os
import signal
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Any

from signfold.sw.errors import StudyError, ToolError
from signfold.sw.explore.outcome import Outcome, StepFunction, attempt
from signfold.sw.explore.progress import Failure
from signfold.sw.explore.tasks import KINDS, Task

__all__ = ["DaskPool"]

#: Seconds to wait for a scheduler, and for its first worker.
_PATIENCE = 20


def _package() -> str:
    """Return the version of Signfold where this runs."""
    return version("signfold")


def _local_worker() -> Any:
    """Return what prepares a worker of this machine."""
    from distributed import WorkerPlugin

    class LocalWorker(WorkerPlugin):
        """Leaves the interrupt of the keyboard to the command, and temporary files where that removes them."""

        def setup(self, worker: Any) -> None:
            # Not ignored, which programs that a step starts would inherit: those are to stop.
            signal.signal(signal.SIGINT, lambda *_: None)
            tempfile.tempdir = worker.local_directory

    return LocalWorker()


class DaskPool(AbstractContextManager):
    """A local cluster, or one that is there.

    Parameters
    ----------
    workers : int, optional
        Processes of a local cluster, one step each at a time; the number of cores by default; 0: a thread of this
        process. A local cluster listens on the loopback interface alone.
    scheduler : str, optional
        Address of a scheduler instead, such as `tcp://host:8786`. Its workers need this version of Signfold and the
        extras of the steps that they run; no folder is shared.

    Raises
    ------
    ToolError
        If dask.distributed is missing.
    StudyError
        If no scheduler answers, no worker comes, or its workers lack Signfold or have another version.
    """

    def __init__(self, workers: int | None = None, scheduler: str | None = None) -> None:
        try:
            import distributed
        except ModuleNotFoundError as error:
            if error.name not in ("distributed", "dask"):
                raise
            raise ToolError("exploring needs dask.distributed: install signfold[explore]") from None
        self._cluster = self._scratch = None
        # Steps are long and single; that a worker's event loop waits for one of them is nothing to tell.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        # A netlist of some megabytes is meant to be sent.
        warnings.filterwarnings("ignore", message="Sending large graph")
        if scheduler is None:
            # Closed last, after everything that writes into it.
            self._scratch = tempfile.TemporaryDirectory(prefix="signfold-explore-", ignore_cleanup_errors=True)
            self._cluster = distributed.LocalCluster(
                n_workers=os.cpu_count() if workers is None else max(1, workers),
                threads_per_worker=1,
                processes=workers != 0,
                host="127.0.0.1" if workers != 0 else None,
                dashboard_address="127.0.0.1:0" if workers != 0 else None,
                worker_dashboard_address=None,
                memory_limit=0,
                local_directory=self._scratch.name,
                silence_logs=logging.CRITICAL,
            )
        try:
            self._client = distributed.Client(self._cluster or scheduler, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError, ImportError) as error:
            self._close_cluster()
            raise StudyError(f"no scheduler answers at {scheduler!r}: {error}") from None
        try:
            if self._cluster is not None and workers != 0:
                self._client.register_plugin(_local_worker())
            self._check_workers()
        except BaseException:
            self.__exit__()
            raise
        self._number = 0

    def _check_workers(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError:
            raise StudyError(f"the scheduler has no workers, and none came within {_PATIENCE} seconds") from None
        try:
            found = self._client.run(_package)
        except Exception as error:
            raise StudyError(f"a worker cannot load Signfold: {error}") from None
        for worker, other in found.items():
            if other != _package():
                raise StudyError(f"worker {worker} has Signfold {other}, not {_package()}")

    @property
    def slots(self) -> int:
        """Steps that run at a time: threads of all workers there are."""
        return max(1, sum(self._client.nthreads().values()))

    def submit(self, task: Task, step: StepFunction, setting: Mapping[str, Any], inputs: Mapping[str, bytes]) -> Any:
        """Hand out a step; deeper ones are taken first."""
        self._number += 1
        return self._client.submit(
            attempt,
            step,
            task.arguments,
            setting,
            inputs,
            key=f"signfold-{task.kind}-{task.key}-{self._number}",
            priority=KINDS.index(task.kind),
            pure=False,
        )

    def wait(self, handles: Iterable[Any]) -> Iterator[tuple[Any, Outcome | Failure]]:
        """Yield the steps that have ended; a worker that died is replaced, and its step tried again, by dask.

        Raises
        ------
        StudyError
            If the cluster is gone.
        """
        import distributed

        handles = list(handles)
        try:
            with self._client.as_current():
                distributed.wait(handles, timeout=1, return_when="FIRST_COMPLETED")
        except TimeoutError:
            return
        except distributed.CancelledError:
            pass
        for handle in handles:
            if handle.status == "finished":
                yield handle, handle.result()
            elif handle.status == "error":
                yield handle, Failure(_told(handle.exception()))
            elif handle.status in ("cancelled", "lost"):
                raise StudyError("the cluster is gone; what was done is kept, and the same command goes on from there")

    def __exit__(self, *error: object) -> None:
        """Give up what is running and close a local cluster."""
        self._client.close(timeout=5)
        self._close_cluster()

    def _close_cluster(self) -> None:
        if self._cluster is not None:
            self._cluster.close(timeout=10)
            self._scratch.cleanup()


def _told(error: BaseException | None) -> str:
    """Say what broke a step."""
    name = type(error).__name__
    if name == "KilledWorker":
        return "its worker died, again and again: out of memory?"
    return str(error) if isinstance(error, ToolError) else f"{name}: {error}"
