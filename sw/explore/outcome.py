"""What a step of a study gives, and how it is run anywhere: plain values and bytes, no files of the machine."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from signfold.sw.errors import DataError, SignfoldError, ToolError

__all__ = ["NETWORK", "PLAN", "Outcome", "StepFunction", "attempt"]

#: Names of files that one step gives to the next.
NETWORK, PLAN = "network.safetensors", "plan.toml"


@dataclass(frozen=True)
class Outcome:
    """What a step gives.

    Parameters
    ----------
    result : dict
        Plain values; `refused` alone, with a reason, where the step says no.
    files : dict of str to bytes
        Files by name, with `/` between folders.
    done : bool
        False where the step is to go on from these files.
    seconds : float
        Time that it took.
    """

    result: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    done: bool = True
    seconds: float = 0.0

    @property
    def refused(self) -> str | None:
        """Why there is no result, if there is none."""
        return self.result.get("refused")


#: A step: called with arguments, which decide the outcome; setting, which does not; and the files of steps before it.
StepFunction = Callable[[Mapping[str, Any], Mapping[str, Any], Mapping[str, bytes]], Outcome]


def attempt(
    step: StepFunction, arguments: Mapping[str, Any], setting: Mapping[str, Any], inputs: Mapping[str, bytes]
) -> Outcome:
    """Run a step; what it refuses, it will refuse again, and that is its outcome.

    Raises
    ------
    ToolError, DataError, OSError
        If this machine lacks what the step needs: elsewhere, or later, it may go.
    """
    began = time.monotonic()
    try:
        outcome = step(arguments, setting, inputs)
    except (ToolError, DataError):
        raise
    except (SignfoldError, ValueError) as error:
        outcome = Outcome({"refused": str(error) or type(error).__name__})
    return replace(outcome, seconds=time.monotonic() - began)
