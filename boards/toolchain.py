"""The tools that turn a design into a bitstream, one step after another."""

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from signfold.sw.errors import BuildError, ToolError

__all__ = ["Step", "find_tools", "run_step"]

_LOG_LINES = 15


@dataclass(frozen=True)
class Step:
    """One run of a tool.

    Parameters
    ----------
    title : str
        What it does, for people.
    variable : str
        Environment variable that names the program.
    program : str
        The program unless the variable names another.
    arguments : tuple of str
        Arguments, paths relative to the folder of the build.
    log : str
        File for what the program prints.
    remedy : str
        What to do where the program is missing.
    """

    title: str
    variable: str
    program: str
    arguments: tuple[str, ...]
    log: str
    remedy: str = "install signfold[boards]"

    def find(self) -> str:
        """Return the program's path.

        Raises
        ------
        ToolError
            If it is missing.
        """
        name = os.environ.get(self.variable) or self.program
        # The wheels' programs lie beside this Python's, whether or not its environment is activated.
        path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
        found = shutil.which(name, path=path)
        if found is None:
            raise ToolError(f"{name} is missing: {self.remedy}, or name it in {self.variable}")
        return found


def find_tools(steps: Iterable[Step]) -> None:
    """Make sure that every program is there, before the first of them takes its time.

    Raises
    ------
    ToolError
        Naming the first that is missing.
    """
    for step in steps:
        step.find()


def run_step(step: Step, folder: Path, *, on_step: Callable[[str], object]) -> None:
    """Run a tool in a folder.

    Parameters
    ----------
    step : Step
        What to run.
    folder : path
        Working folder.
    on_step : callable
        Called with the step's title before it begins.

    Raises
    ------
    ToolError
        If the program is missing.
    BuildError
        If it fails; the message has its errors, or the end of its log, and the log's path.
    """
    program = step.find()
    on_step(step.title)
    log = folder / step.log
    with open(log, "wb") as output:
        # YoWASP's first run says on standard error that it prepares itself; that goes to the log too.
        done = subprocess.run(
            [program, *step.arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    if done.returncode != 0:
        lines = log.read_text(errors="replace").splitlines()
        marked = [line for line in lines if line.startswith("ERROR")] or lines[-_LOG_LINES:]
        end = "\n".join(marked) or "(it printed nothing)"
        raise BuildError(f"{step.title} failed with status {done.returncode}, log {log}:\n{end}")
