"""Files that appear whole or not at all."""

import os
import secrets
from pathlib import Path

__all__ = ["write_whole"]


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
