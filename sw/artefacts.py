"""Read a generated folder back, and make sure that it is what `generate` wrote."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from signfold.sw.errors import ImageError, MismatchError
from signfold.sw.generate import NETWORK, SIDECAR, Artefacts
from signfold.sw.network import Network
from signfold.sw.rebuild import FORMAT, IMAGE_MAP, VERSION
from signfold.sw.sidecar import SIDECAR_FORMAT, SIDECAR_VERSION

__all__ = ["is_generated", "load_artefacts", "verify_files"]


def is_generated(folder: str | os.PathLike[str]) -> bool:
    """Say whether `folder` looks like one that `generate` wrote."""
    return (Path(folder) / SIDECAR).is_file()


def load_artefacts(folder: str | os.PathLike[str], *, verify: bool = True) -> Artefacts:
    """Read a generated folder.

    Parameters
    ----------
    folder : path
        A folder that `signfold.sw.generate.generate` wrote.
    verify : bool
        Compare every file with its checksum in the sidecar first; pass False for files that were edited on purpose.

    Raises
    ------
    ImageError
        If the folder or its sidecar cannot be read.
    MismatchError
        If a file is not the one that was generated; the message names it.
    NetworkError
        If the network file is damaged.
    """
    folder = Path(folder)
    sidecar = _read(folder / SIDECAR, SIDECAR_FORMAT, SIDECAR_VERSION)
    if verify:
        verify_files(folder, sidecar)
    image_map = _read(folder / IMAGE_MAP, FORMAT, VERSION)
    network = Network.load(folder / NETWORK)
    if network.content_hash != sidecar.get("content_hash"):
        raise MismatchError(
            f"{folder / NETWORK}: content hash {network.content_hash} differs from {sidecar.get('content_hash')!r}, "
            f"that of the network that the accelerator was generated from"
        )
    return Artefacts(folder, sidecar, image_map, network)


def verify_files(folder: Path, sidecar: dict[str, Any]) -> None:
    """Compare every file of a generated folder with the sidecar.

    Raises
    ------
    MismatchError
        If a file is absent or changed; the message names all such files.
    """
    wrong = []
    for name, entry in sidecar["files"].items():
        if Path(name).name != name:
            raise ImageError(f"{SIDECAR}: file name {name!r} must not hold a folder")
        try:
            digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            wrong.append(f"{name} ({error.strerror})")
            continue
        if digest != entry["sha256"]:
            wrong.append(f"{name} (SHA-256 is {digest[:16]}..., generated was {entry['sha256'][:16]}...)")
    if wrong:
        raise MismatchError(f"files in {str(folder)!r} are not those that were generated: {'; '.join(wrong)}")


def _read(path: Path, expected: str, version: int) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}; is this a folder that `signfold generate` wrote?") from None
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{path}: must be JSON: {error}") from None
    if not isinstance(content, dict) or content.get("format") != expected or content.get("version") != version:
        raise ImageError(f"{path}: must be of format {expected!r}, version {version}; generate the folder again")
    return content
