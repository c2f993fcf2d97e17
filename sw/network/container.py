"""Reading and writing safetensors files that nobody has to trust."""

import json
import os
import stat
from collections.abc import Mapping

import numpy as np
import safetensors
import safetensors.numpy

from signfold.sw.errors import SignfoldError
from signfold.sw.files import write_whole
from signfold.sw.network.types import shown

__all__ = ["parse_json", "read_bytes", "read_tensors", "write_tensors"]

#: Longest accepted header. A network with thousands of nodes needs well under a megabyte.
MAX_HEADER = 8 << 20
#: Longest accepted file, unless the reader says less.
MAX_FILE = 1 << 30

_DTYPES = {"U8": "<u1", "U16": "<u2", "I64": "<i8", "I32": "<i4", "F32": "<f4", "F64": "<f8", "BOOL": "?"}


def read_bytes(path: str | os.PathLike[str], *, error: type[SignfoldError], limit: int = MAX_FILE) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Raises
    ------
    SignfoldError
        As `error`: the file is absent, unreadable, not a regular file, or too long.
    """
    try:
        # Opening a pipe or a terminal could wait for ever, so look before.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise error(f"{shown(os.fspath(path))} is not a file")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise error(f"{shown(os.fspath(path))} is longer than {limit} bytes")
            # Not more than announced: `read` reserves what it is asked for before it looks.
            return file.read(size)
    except (OSError, ValueError) as cause:
        # ValueError: the path holds a NUL.
        raise error(f"cannot read {shown(os.fspath(path))}: {getattr(cause, 'strerror', None) or cause}") from None


def parse_json(text: bytes | str, *, error: type[SignfoldError], where: str) -> object:
    """Parse JSON strictly: UTF-8, no duplicate keys, no NaN or infinity, no bottomless nesting.

    Parameters
    ----------
    text : bytes or str
        The document.
    error : type
        Error to raise.
    where : str
        What the document is, for the message.
    """

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        mapping = dict(items)
        if len(mapping) != len(items):
            seen: set[str] = set()
            twice = next(key for key, _ in items if key in seen or seen.add(key))
            raise ValueError(f"key {shown(twice)} occurs twice")
        return mapping

    def constant(word: str) -> object:
        raise ValueError(f"{word} is not a JSON number")

    try:
        return json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as cause:
        raise error(f"{where} is not valid JSON: {cause}") from None


def read_tensors(
    path: str | os.PathLike[str], *, error: type[SignfoldError], limit: int = MAX_FILE
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read all tensors and the text metadata of a safetensors file.

    The whole file is checked before any array is made: its structure by the safetensors library, sizes and types here.
    Memory stays below three times the file's length.

    Parameters
    ----------
    path : path
        The file.
    error : type
        Error to raise, a `SignfoldError`.
    limit : int
        Longest file accepted, in bytes.

    Returns
    -------
    dict of str to numpy.ndarray
        Read-only little-endian arrays by name.
    dict of str to str
        The header's metadata.

    Raises
    ------
    SignfoldError
        As `error`: the file is absent, truncated, malformed, too large, or holds a type that no Signfold file uses.
    """
    where = shown(os.fspath(path))
    data = read_bytes(path, error=error, limit=limit)
    if len(data) < 8 or int.from_bytes(data[:8], "little") > min(MAX_HEADER, len(data) - 8):
        raise error(f"{where} is not a safetensors file: its {len(data)} bytes do not hold the header they announce")
    size = int.from_bytes(data[:8], "little")
    header = parse_json(data[8 : 8 + size], error=error, where=f"the header of {where}")
    try:
        entries = safetensors.deserialize(data)
    except Exception as cause:  # the library's own error type, but also ValueError, by its binding
        raise error(f"{where} is not a safetensors file: {cause}") from None
    del data
    tensors = {}
    for name, entry in entries:
        if entry["dtype"] not in _DTYPES:
            raise error(f"{where}: tensor {shown(name)} has type {entry['dtype']}, allowed are {', '.join(_DTYPES)}")
        array = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
        array.flags.writeable = False
        tensors[name] = array
    return tensors, dict(header.get("__metadata__") or {})


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file, whole or not at all.

    Parameters
    ----------
    path : path
        File to create or replace.
    tensors : mapping of str to numpy.ndarray
        Arrays by name.
    metadata : mapping of str to str
        One entry at most: the library writes several in an order that differs from run to run.
    """
    if len(metadata) > 1:
        raise ValueError(f"metadata must have one entry so that files are reproducible, not {sorted(metadata)!r}")
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    write_whole(path, safetensors.numpy.save(arrays, metadata=dict(metadata)))
