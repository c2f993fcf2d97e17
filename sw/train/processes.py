"""Processes that train one network together, as `torchrun` starts them."""

import atexit
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from signfold.sw.errors import CheckpointError

__all__ = ["Processes", "join", "share_gradients"]


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this one is.

    Each takes its share of every batch, and all hold the same network: their gradients are averaged. Process 0 alone
    writes and reports.

    Attributes
    ----------
    rank : int
        Number of this process, from 0.
    count : int
        Processes in all.
    local_rank : int
        Number of this process on its machine: which GPU it takes.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] | None = None) -> "Processes":
        """Read what `torchrun` tells a process.

        Parameters
        ----------
        environment : mapping, optional
            `RANK`, `WORLD_SIZE` and `LOCAL_RANK`; by default those of the process. Without them it is alone.

        Returns
        -------
        Processes
            Its place.
        """
        given = os.environ if environment is None else environment
        if "WORLD_SIZE" not in given:
            return cls()
        return cls(int(given.get("RANK", 0)), int(given["WORLD_SIZE"]), int(given.get("LOCAL_RANK", 0)))

    @property
    def writes(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def share(self, start: int, count: int) -> slice:
        """Return this process's part of a batch.

        Parameters
        ----------
        start : int
            First row of the batch.
        count : int
            Rows of the batch, a multiple of the number of processes.

        Returns
        -------
        slice
            Rows.
        """
        each = count // self.count
        return slice(start + self.rank * each, start + (self.rank + 1) * each)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Add a tensor up over all processes, in place.

        Parameters
        ----------
        values : torch.Tensor
            Of one shape and type everywhere.

        Returns
        -------
        torch.Tensor
            `values`.
        """
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def equalize(self, model: nn.Module) -> None:
        """Give all processes the real buffers of process 0: running statistics are those of its share of the batches.

        Parameters
        ----------
        model : torch.nn.Module
            The network.
        """
        if self.count > 1:
            for buffer in model.buffers():
                # Codes follow from parameters, which are equal anyway; Gloo knows not every type of integers.
                if buffer.is_floating_point():
                    distributed.broadcast(buffer, 0)

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.count > 1:
            distributed.barrier()


def join(wanted: int, device: torch.device) -> Processes:
    """Join the other processes of a run; they part when they end.

    Parameters
    ----------
    wanted : int
        Processes that the run's options ask for.
    device : torch.device
        Where the run computes; gradients of "cuda" go through NCCL, others through Gloo.

    Returns
    -------
    Processes
        The place of this process.

    Raises
    ------
    CheckpointError
        Another number of processes was started.
    """
    processes = Processes.of_environment()
    if processes.count != wanted:
        raise CheckpointError(
            f"processes is {wanted}, but {processes.count} were started; start the run with "
            f"torchrun --nproc-per-node {wanted} --no-python signfold train ..."
        )
    # Once for all runs of a process: groups that are made anew at the same address can miss each other.
    if processes.count > 1 and not distributed.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(processes.local_rank % torch.cuda.device_count())
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(distributed.destroy_process_group)
    return processes


def share_gradients(model: nn.Module, aside: bool) -> nn.Module:
    """Wrap a network so that all processes get the mean of their gradients.

    Parameters
    ----------
    model : torch.nn.Module
        The network, which all processes have built or read alike.
    aside : bool
        Whether steps may leave parameters aside.

    Returns
    -------
    torch.nn.Module
        The network in a `DistributedDataParallel`.
    """
    with warnings.catch_warnings():
        # The name that replaces `broadcast_buffers` is not in the oldest PyTorch that this runs with.
        warnings.simplefilter("ignore", FutureWarning)
        # Nothing is sent but gradients: Gloo knows not the type of pixel thresholds, and `equalize` sends statistics.
        return DistributedDataParallel(model, init_sync=False, broadcast_buffers=False, find_unused_parameters=aside)
