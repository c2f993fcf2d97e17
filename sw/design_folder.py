"""What a folder says of the device that was made from it: plan and serial line, whether generated or built."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signfold.sw.artefacts import is_generated, load_artefacts
from signfold.sw.errors import ImageError
from signfold.sw.generate import PLAN
from signfold.sw.network import Network
from signfold.sw.plan import LayerPlan, Plan

__all__ = ["BUILD_MANIFEST", "DesignFolder", "manifest_plan", "read_design_folder"]

#: Manifest of a build; see `signfold.boards.build`.
BUILD_MANIFEST = "build.json"
#: The least that a receiver takes, so that little time is simulated.
_SIMULATED_DIVISOR = 4


@dataclass(frozen=True)
class DesignFolder:
    """A reloadable design.

    Parameters
    ----------
    folder : pathlib.Path
        Where it lies.
    plan : Plan
        Its arrays.
    divisor : int
        Clock cycles a bit of its serial line: that of a simulation, for an accelerator alone.
    network : Network or None
        What it computes after power-on, where the folder holds it.
    """

    folder: Path
    plan: Plan
    divisor: int
    network: Network | None


def manifest_plan(manifest: Mapping[str, Any]) -> Plan:
    """Return the plan in a build's manifest.

    Raises
    ------
    ImageError
        If it is none of this release.
    """
    try:
        content = manifest["plan"]
        return Plan(tuple(LayerPlan(**layer) for layer in content["layers"]), content["lanes"], content["fabric"])
    except (KeyError, TypeError, ValueError) as error:
        raise ImageError(f"manifest: its plan must be one of this release: {error}") from None


def read_design_folder(folder: Path) -> DesignFolder:
    """Read a folder that `signfold generate --reloadable` or `signfold build --reloadable` wrote.

    Raises
    ------
    ImageError
        If it is none, or was made without --reloadable.
    """
    if is_generated(folder):
        artefacts = load_artefacts(folder)
        _check(folder, artefacts.sidecar)
        return DesignFolder(folder, Plan.load(folder / PLAN), _SIMULATED_DIVISOR, artefacts.network)
    path = folder / BUILD_MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise ImageError(
            f"design {str(folder)!r}: must be a folder of `signfold generate` or `signfold build`: {path.name}: "
            f"{error.strerror}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{path}: must be JSON: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != "signfold-build" or manifest.get("version") != 1:
        raise ImageError(f"{path}: must be of format 'signfold-build', version 1")
    _check(folder, manifest)
    divisor = manifest.get("divisor")
    if not isinstance(divisor, int) or divisor < 4:
        raise ImageError(f"{path}: divisor must be an integer of at least 4, not {divisor!r}")
    return DesignFolder(folder, manifest_plan(manifest), divisor, None)


def _check(folder: Path, description: Mapping[str, Any]) -> None:
    if "reload" not in description:
        raise ImageError(f"design {str(folder)!r} was made without --reloadable: its network cannot be replaced")
