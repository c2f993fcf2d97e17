"""Fetching a data set's files into a data folder."""

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from signfold.sw.data.catalogue import IdxFile, IdxSource
from signfold.sw.data.idx import read_idx
from signfold.sw.errors import DataError

__all__ = ["download", "fetch"]

#: Bytes between two reports of progress.
BLOCK = 1 << 16

#: Seconds without an answer after which a mirror is given up.
TIMEOUT = 30.0


def fetch(address: str, part: Path, on_bytes: Callable[[int, int | None], None]) -> None:
    """Bring a file to its full length, continuing after the bytes that it holds if the server can.

    Parameters
    ----------
    address : str
        Where the file is published.
    part : pathlib.Path
        The file; its folder exists.
    on_bytes : callable
        Told the bytes that are there, and the length where known.

    Raises
    ------
    OSError, http.client.HTTPException
        The transfer failed; what arrived is kept.
    """
    held = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={held}-"} if held else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310 (addresses come from the catalogue)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is left to fetch; the checksum decides
        raise
    with answer:
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        length = answer.headers.get("Content-Length")
        done = held if resumed else 0
        total = done + int(length) if length is not None and length.isdigit() else None
        with part.open("ab" if resumed else "wb") as stream:
            while block := answer.read(BLOCK):
                stream.write(block)
                done += len(block)
                on_bytes(done, total)
        if total is not None and done < total:
            raise http.client.IncompleteRead(b"", total - done)


def _fetch_checked(address: str, target: Path, file: IdxFile, on_bytes: Callable[[int, int | None], None]) -> None:
    # The part keeps the suffix that tells the reader to decompress it.
    part = target.with_name(f"part-{target.name}")
    resumed = part.exists()
    fetch(address, part, on_bytes)
    try:
        read_idx(part, shape=file.shape, sha256=file.sha256)
    except DataError:
        part.unlink(missing_ok=True)
        if not resumed:
            raise
        # The bytes of an earlier attempt may come from another version of the file: begin anew, once.
        _fetch_checked(address, target, file, on_bytes)
    else:
        part.replace(target)


def download(
    source: IdxSource,
    folder: str | os.PathLike[str],
    *,
    mirrors: Sequence[str] | None = None,
    on_bytes: Callable[[str, int, int | None], None] | None = None,
) -> list[Path]:
    """Fetch the files of a data set that are not yet there, whole and checked.

    A file arrives under a temporary name and is renamed once its checksum is right. A transfer that broke off is
    continued by the next call.

    Parameters
    ----------
    source : IdxSource
        What to fetch.
    folder : path-like
        Data folder; the files go to `<folder>/<name>/`.
    mirrors : sequence of str, optional
        Folder addresses to use instead of the source's, tried in order.
    on_bytes : callable, optional
        Told a file's name, the bytes that are there, and its length where known.

    Returns
    -------
    list of pathlib.Path
        The files, in the source's order.

    Raises
    ------
    DataError
        No mirror gave a right file, or the folder cannot be written.
    """
    target_folder = Path(folder) / source.name
    paths = []
    for file in source.files:
        target = target_folder / f"{file.name}.gz"
        paths.append(target)
        if _is_right(target, file):
            continue
        faults = []
        for mirror in source.mirrors if mirrors is None else mirrors:
            address = mirror.rstrip("/") + "/" + target.name
            if not address.startswith(("http://", "https://")):
                raise DataError(f"mirror is {mirror!r}, allowed: addresses that begin with http:// or https://")
            try:
                target_folder.mkdir(parents=True, exist_ok=True)
                _fetch_checked(
                    address, target, file, lambda done, total, name=file.name: on_bytes and on_bytes(name, done, total)
                )
                break
            except (OSError, http.client.HTTPException, DataError) as error:
                faults.append(f"{address}: {error}")
        else:
            raise DataError(f"{source.name}: cannot fetch {target.name}\n  " + "\n  ".join(faults))
    return paths


def _is_right(path: Path, file: IdxFile) -> bool:
    if not path.exists():
        return False
    try:
        read_idx(path, shape=file.shape, sha256=file.sha256)
    except DataError:
        return False
    return True
