"""What every command shares: the console, and one result printed for people or for machines."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Console

__all__ = ["console", "emit", "print_lines"]

#: Progress and remarks. Standard output is kept for results, so that `--json` can be piped.
console = Console(stderr=True)


def emit(result: Mapping[str, Any], *, as_json: bool, render: Callable[[Console], None]) -> None:
    """Print a command's result on standard output.

    Parameters
    ----------
    result : mapping
        What `--json` prints: plain numbers, strings, lists and mappings.
    as_json : bool
        Print `result` as one JSON object instead of calling `render`.
    render : callable
        Prints the same result for a person on the console it is given.
    """
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        render(Console())


def print_lines(output: Console, lines: Iterable[str]) -> None:
    """Print lines as they are: no markup (text may come from a file), no colouring of numbers, no folding.

    Parameters
    ----------
    output : rich.console.Console
        Where to.
    lines : iterable of str
        Lines.
    """
    for line in lines:
        output.print(line, markup=False, highlight=False, soft_wrap=True)
