"""Where a run computes."""

import torch

from signfold.sw.errors import ToolError

__all__ = ["choose_device"]


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Choose the device of a run, and make what it computes repeatable.

    Parameters
    ----------
    name : str
        One of `allowed.DEVICES`; "auto" is a GPU where there is one.
    local_rank : int, default: 0
        Number of this process on its machine; processes take GPUs in turn.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    ToolError
        There is no GPU that PyTorch can use, and one is asked for.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ToolError("device is 'cuda', but PyTorch sees no GPU; allowed here: cpu, auto")
    if name == "cpu" or not there:
        return torch.device("cpu")
    # Products of few-level numbers are exact in float32 but not in TF32, and equal runs must give equal bits.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    return torch.device("cuda", local_rank % torch.cuda.device_count())
