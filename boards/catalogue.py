"""The boards by name."""

from importlib import import_module

from signfold.boards.board import Board
from signfold.sw.errors import BuildError, ToolError

__all__ = ["BOARDS", "find_board"]

_MODULES = {
    "icebreaker": "icebreaker",
    "ulx3s-85f": "ulx3s",
    "tang-nano-9k": "tangnano9k",
    "arty-a7": "arty_a7",
    "arty-z7-20": "arty_z7",
    "de10-nano": "de10_nano",
}
#: Names of the boards.
BOARDS = tuple(_MODULES)


def find_board(name: str) -> Board:
    """Return a board by name.

    Raises
    ------
    BuildError
        If there is no such board.
    ToolError
        If amaranth-boards is missing.
    """
    if name not in _MODULES:
        raise BuildError(f"board must be one of {', '.join(BOARDS)}, not {name!r}")
    try:
        return import_module(f"signfold.boards.{_MODULES[name]}").BOARD
    except ModuleNotFoundError as error:
        if error.name != "amaranth_boards":
            raise
        raise ToolError("boards need amaranth-boards: install signfold[boards]") from None
