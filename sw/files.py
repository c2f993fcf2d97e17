"""Files that appear whole or not at all, folders that are only replaced by who wrote them."""

import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["check_replaceable", "put_in_place", "temporary_beside", "write_whole"]


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path` so that no reader ever sees a part of it.

    The bytes go to a temporary name in the same folder, reach the disk, and take the final name in one rename. When
    anything fails, the temporary file is removed and `path` is as it was.

    Parameters
    ----------
    path : path
        File to create or replace; its folder must exist.
    data : bytes
        The whole content.

    Raises
    ------
    OSError
        The folder is absent, not writable, or full.
    """
    path = Path(path)
    temporary = path.parent / f".signfold-{secrets.token_hex(8)}.tmp"
    try:
        # "x" never follows or truncates what somebody else put there.
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_replaceable(folder: Path, known: Callable[[], Collection[str]], writer: str, error: type[Exception]) -> None:
    """Refuse to destroy what a command has not written.

    Parameters
    ----------
    folder : pathlib.Path
        Folder that is to be replaced; nothing is refused where there is none.
    known : callable
        Gives the names in it that the command has written; asked where there are any names at all.
    writer : str
        Command, for the message.
    error : type
        What to raise: if it is no folder, or holds another name; the message says which.
    """
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise error(f"output folder {str(folder)!r} must be a folder or not exist")
    present = {path.name for path in folder.iterdir()}
    strange = present - set(known()) if present else ()
    if strange:
        raise error(f"output folder {str(folder)!r} holds {min(strange)!r}, which {writer} has not written: remove it")


@contextmanager
def temporary_beside(folder: Path) -> Iterator[Path]:
    """Make an empty folder next to `folder`, on the same disk, which is gone after the block unless it was renamed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.parent / f".{folder.name}-{secrets.token_hex(8)}.tmp"
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put_in_place(finished: Path, folder: Path) -> None:
    """Let `folder` be what `finished` is; what was there before is removed, or stays where the rename fails.

    Raises
    ------
    OSError
        The rename fails; `folder` is as it was.
    """
    if not os.path.lexists(folder):
        finished.rename(folder)
        return
    aside = finished.with_name(f"{finished.name}.old")
    folder.rename(aside)
    try:
        finished.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)
