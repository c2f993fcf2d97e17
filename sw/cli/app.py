"""The `signfold` command: collects the commands and turns their errors into exit codes."""

import importlib
import sys
from importlib.metadata import version

import typer

from signfold.sw.cli.output import console
from signfold.sw.errors import SignfoldError

__all__ = ["app", "main"]

#: Commands in the order of the workflow; module `signfold.sw.cli.<name>` holds function `<name>`, but for `import`
#: and `id`, which are words of the language.
COMMANDS = (
    "train",
    "mismatch",
    "decouple",
    "compile",
    "import",
    "export",
    "evaluate",
    "plan",
    "explore",
    "generate",
    "images",
    "simulate",
    "build",
    "patch",
    "infer",
    "load",
    "id",
    "info",
    "data",
)

app = typer.Typer(
    name="signfold",
    help="Train a binarized neural network, fold it into integers, and generate the accelerator that computes it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"signfold {version('signfold')}")
        raise typer.Exit


@app.callback()
def _options(
    wanted: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="print the version"),
) -> None:
    pass


def _command(name: str) -> object:
    module = function = name
    if name == "import":
        module, function = "import_onnx", "import_onnx_command"
    if name == "id":
        module, function = "identify", "identify"
    return getattr(importlib.import_module(f"signfold.sw.cli.{module}"), function)


for _name in COMMANDS:
    _function = _command(_name)
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
    except OSError as error:
        # A folder that cannot be written, a full disk: the user's to mend. Anything without a file's name is a bug.
        if error.filename is None:
            raise
        console.print(f"error: {error.filename!r}: {error.strerror}", style="red", markup=False, highlight=False)
        sys.exit(2)
