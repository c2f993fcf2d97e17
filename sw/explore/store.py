"""The results of a study on disk: a folder a step, whole or not at all, checked when it is read."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from signfold.sw.errors import StudyError
from signfold.sw.explore.outcome import Outcome

__all__ = ["Store", "Stored"]

_DESCRIPTION = "result.json"
_FORMAT, _VERSION = "signfold-explore", 1
#: Suffix of a step that has begun.
_PART = ".part"


@dataclass(frozen=True)
class Stored:
    """An outcome on disk; its files are read when they are needed.

    Parameters
    ----------
    folder : pathlib.Path
        Where it lies.
    result : dict
        Plain values.
    seconds : float
        Time that it took.
    names : tuple of str
        Its files.
    """

    folder: Path
    result: dict[str, Any]
    seconds: float
    names: tuple[str, ...]

    @property
    def refused(self) -> str | None:
        """Why there is no result, if there is none."""
        return self.result.get("refused")

    def files(self) -> dict[str, bytes]:
        """Read the files."""
        return {name: (self.folder / name).read_bytes() for name in self.names}


@dataclass
class Store:
    """Outcomes by step and key.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the study; made when something is put into it.
    damaged : list of str
        What `find` has found damaged, with the reason; it counts as missing.
    """

    folder: Path
    damaged: list[str] = field(default_factory=list)

    def place(self, kind: str, key: str) -> Path:
        """Return the folder of an outcome."""
        return self.folder / kind / key

    def find(self, kind: str, key: str, *, part: bool = False) -> Stored | None:
        """Return an outcome, or with `part` what there is of one that has begun; None if it is missing or damaged."""
        folder = self._name(kind, key, part)
        if not folder.is_dir():
            return None
        try:
            described = json.loads((folder / _DESCRIPTION).read_bytes())
            if (described["format"], described["version"], described["key"]) != (_FORMAT, _VERSION, key):
                raise ValueError("it describes something else")
            for name, digest in described["files"].items():
                if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                    raise ValueError(f"{name} is not what was written")
            return Stored(folder, dict(described["result"]), float(described["seconds"]), tuple(described["files"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.damaged.append(f"{folder}: {error}")
            return None

    def put(self, kind: str, key: str, arguments: Mapping[str, Any], outcome: Outcome) -> Stored:
        """Keep an outcome; one that is done replaces what had begun.

        Raises
        ------
        OSError
            The folder cannot be written.
        """
        folder = self._name(kind, key, not outcome.done)
        folder.parent.mkdir(parents=True, exist_ok=True)
        token = secrets.token_hex(8)
        finished, aside = (folder.with_name(f".{folder.name}-{token}.{end}") for end in ("tmp", "old"))
        finished.mkdir()
        try:
            for name, content in outcome.files.items():
                path = finished / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            described = {
                "format": _FORMAT,
                "version": _VERSION,
                "key": key,
                "arguments": dict(arguments),
                "result": outcome.result,
                "seconds": round(outcome.seconds, 3),
                "files": {name: hashlib.sha256(data).hexdigest() for name, data in outcome.files.items()},
            }
            (finished / _DESCRIPTION).write_text(json.dumps(described, indent=1) + "\n")
            if os.path.lexists(folder):
                folder.rename(aside)
            finished.rename(folder)
        finally:
            shutil.rmtree(finished, ignore_errors=True)
            shutil.rmtree(aside, ignore_errors=True)
        if outcome.done:
            shutil.rmtree(self._name(kind, key, True), ignore_errors=True)
        return Stored(folder, outcome.result, outcome.seconds, tuple(outcome.files))

    def claim(self, known: str) -> None:
        """Make the folder, and refuse one that is full of other things.

        Parameters
        ----------
        known : str
            File by which a study's folder is known.

        Raises
        ------
        StudyError
            If it is no folder, or holds files and not the known one.
        """
        if os.path.lexists(self.folder) and not self.folder.is_dir():
            raise StudyError(f"output folder {str(self.folder)!r} must be a folder or not exist")
        self.folder.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in self.folder.iterdir()}
        if names and known not in names:
            raise StudyError(f"output folder {str(self.folder)!r} holds {min(names)!r} and no study: choose another")

    def _name(self, kind: str, key: str, part: bool) -> Path:
        place = self.place(kind, key)
        return place.with_name(place.name + _PART) if part else place
