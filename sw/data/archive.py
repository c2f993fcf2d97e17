"""Fetching a data set that comes as one archive."""

import hashlib
import http.client
import os
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from signfold.sw.data.catalogue import ArchiveSource
from signfold.sw.data.download import fetch
from signfold.sw.errors import DataError
from signfold.sw.files import write_whole

__all__ = ["download_archive"]

#: No file of a known archive is near it.
MAXIMUM_BYTES = 1 << 28


def download_archive(
    source: ArchiveSource,
    folder: str | os.PathLike[str],
    *,
    mirrors: Sequence[str] | None = None,
    on_bytes: Callable[[str, int, int | None], None] | None = None,
) -> list[Path]:
    """Fetch an archive unless all its files are there and right, and unpack them, whole and checked.

    What counts are the checksums of the files inside: an archive that was packed anew is as good. A transfer that broke
    off is continued by the next call; the archive itself is not kept.

    Parameters
    ----------
    source : ArchiveSource
        What to fetch.
    folder : path-like
        Data folder; the files go to the source's folder in it.
    mirrors : sequence of str, optional
        Folder addresses to use instead of the source's, tried in order.
    on_bytes : callable, optional
        Told the archive's name, the bytes that are there, and its length where known.

    Returns
    -------
    list of pathlib.Path
        The files, in the source's order.

    Raises
    ------
    DataError
        No mirror gave a right archive, or the folder cannot be written.
    """
    target = Path(folder) / source.folder
    paths = [target / file for file in source.files]
    if all(_is_right(path, source.files[path.name]) for path in paths):
        return paths
    part, faults = target / f"part-{source.archive}", []
    for mirror in source.mirrors if mirrors is None else mirrors:
        address = mirror.rstrip("/") + "/" + source.archive
        if not address.startswith(("http://", "https://")):
            raise DataError(f"mirror is {mirror!r}, allowed: addresses that begin with http:// or https://")
        # Bytes of an earlier attempt may come from another version of the archive: after them, begin anew, once.
        for _ in range(2 if part.exists() else 1):
            try:
                target.mkdir(parents=True, exist_ok=True)
                fetch(address, part, lambda done, total: on_bytes and on_bytes(source.archive, done, total))
                _unpack(source, part, target)
                part.unlink()
                return paths
            except DataError as error:
                part.unlink(missing_ok=True)
                faults.append(f"{address}: {error}")
            except (OSError, http.client.HTTPException) as error:
                faults.append(f"{address}: {error}")
                break
    raise DataError(f"{source.name}: cannot fetch {source.archive}\n  " + "\n  ".join(faults))


def _unpack(source: ArchiveSource, archive: Path, target: Path) -> None:
    """Write the known files of an archive, each by its known name: nothing in an archive chooses a path."""
    try:
        with tarfile.open(archive) as tar:
            for file, sha256 in source.files.items():
                member = tar.getmember(f"{source.folder}/{file}")
                stream = tar.extractfile(member) if member.isreg() and member.size <= MAXIMUM_BYTES else None
                contents = stream.read() if stream is not None else b""
                found = hashlib.sha256(contents).hexdigest()
                if found != sha256:
                    raise DataError(f"{file} inside is corrupt, SHA-256 {found}, expected {sha256}")
                write_whole(target / file, contents)
    except KeyError as error:
        raise DataError(f"not the archive of {source.name}: {error.args[0]}") from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"not a valid archive ({error})") from error


def _is_right(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    except OSError:
        return False
