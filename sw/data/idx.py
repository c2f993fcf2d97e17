"""The IDX file format of MNIST and its relatives: unsigned bytes of any shape, plain or compressed by gzip."""

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np

from signfold.sw.errors import DataError

__all__ = ["find_idx", "parse_idx", "read_idx"]

#: Third byte of the magic number: the only element type that MNIST-like files use.
UNSIGNED_BYTE = 0x08

#: No data set of this house is near it; stops a compressed bomb before it fills the memory.
MAXIMUM_BYTES = 1 << 30


def find_idx(folder: Path, file: str) -> Path | None:
    """Find an IDX file as `<folder>/<file>` or `<folder>/<file>.gz`, the plain one first.

    Parameters
    ----------
    folder : pathlib.Path
        Folder to look in.
    file : str
        Name without `.gz`.

    Returns
    -------
    pathlib.Path or None
        The file, or None where neither exists.
    """
    for candidate in (folder / file, folder / f"{file}.gz"):
        if candidate.is_file():
            return candidate
    return None


def _contents(path: Path) -> bytes:
    try:
        if path.suffix != ".gz":
            with path.open("rb") as stream:
                contents = stream.read(MAXIMUM_BYTES + 1)
        else:
            with gzip.open(path, "rb") as stream:
                contents = stream.read(MAXIMUM_BYTES + 1)
    except EOFError as error:
        raise DataError(f"{path}: the compressed file is truncated; fetch it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: not a valid gzip file ({error}); fetch it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(contents) > MAXIMUM_BYTES:
        raise DataError(f"{path}: holds more than {MAXIMUM_BYTES} bytes, which no supported data set does")
    return contents


def parse_idx(contents: bytes, name: str) -> np.ndarray:
    """Decode IDX contents.

    Parameters
    ----------
    contents : bytes
        A whole uncompressed file.
    name : str
        What error messages call it.

    Returns
    -------
    numpy.ndarray
        Read-only uint8 array of the shape that the header gives.

    Raises
    ------
    DataError
        The magic number is not that of unsigned bytes, or the length differs from what the header promises.
    """
    if len(contents) < 4:
        raise DataError(f"{name}: {len(contents)} bytes long, too short for an IDX header")
    zero, kind, rank = int.from_bytes(contents[:2], "big"), contents[2], contents[3]
    if zero != 0 or kind != UNSIGNED_BYTE or rank == 0:
        raise DataError(
            f"{name}: magic number {contents[:4].hex()!r}, expected '0000' + '08' (unsigned byte) + a rank of 1 or more"
        )
    header = 4 + 4 * rank
    if len(contents) < header:
        raise DataError(f"{name}: {len(contents)} bytes long, its header alone takes {header}")
    shape = tuple(int.from_bytes(contents[4 * i : 4 * i + 4], "big") for i in range(1, rank + 1))
    expected = header + math.prod(shape)
    if len(contents) != expected:
        fault = "truncated" if len(contents) < expected else "too long"
        raise DataError(f"{name}: {fault}, {len(contents)} bytes where shape {shape} needs {expected}")
    return np.frombuffer(contents, dtype=np.uint8, offset=header).reshape(shape)


def read_idx(path: Path, *, shape: tuple[int, ...] | None = None, sha256: str | None = None) -> np.ndarray:
    """Read an IDX file, compressed when its name ends in `.gz`.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    shape : tuple of int, optional
        Shape that the contents must have.
    sha256 : str, optional
        Checksum of the *uncompressed* contents, in hex; the same data compressed anew has another file checksum.

    Returns
    -------
    numpy.ndarray
        Read-only uint8 array.

    Raises
    ------
    DataError
        The file is unreadable, truncated, corrupt, or not the one that `shape` and `sha256` describe.
    """
    contents = _contents(path)
    values = parse_idx(contents, str(path))
    if shape is not None and values.shape != shape:
        raise DataError(f"{path}: shape {values.shape}, expected {shape}")
    if sha256 is not None:
        found = hashlib.sha256(contents).hexdigest()
        if found != sha256:
            raise DataError(
                f"{path}: corrupt, SHA-256 of the uncompressed contents is {found}, expected {sha256}; fetch it again"
            )
    return values
