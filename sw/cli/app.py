"""The `signfold` command: collects the commands and turns their errors into exit codes."""

import importlib
import sys

import typer

from signfold.sw.cli.output import console
from signfold.sw.errors import SignfoldError

__all__ = ["app", "main"]

#: Commands in the order of the workflow; module `signfold.sw.cli.<name>` holds function `<name>`.
COMMANDS = ("train", "compile", "evaluate", "generate", "simulate", "build", "infer", "info", "data")

app = typer.Typer(
    name="signfold",
    help="Train a binarized neural network, fold it into integers, and generate the accelerator that computes it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name in COMMANDS:
    _function = getattr(importlib.import_module(f"signfold.sw.cli.{_name}"), _name)
    if isinstance(_function, typer.Typer):
        app.add_typer(_function, name=_name)
    else:
        app.command(_name)(_function)


def main() -> None:
    """Run the command line; exit 2 on bad input and 1 on a failed check, both without a traceback."""
    try:
        app()
    except SignfoldError as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False)
        sys.exit(error.exit_code)
