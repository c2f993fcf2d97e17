"""Generate: a network and a plan become a folder of Verilog, memory images and their descriptions."""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.reloadable import ReloadableParameters
from signfold.hw.verilog import convert
from signfold.sw.axi import AXI_TOP, AXI_VERILOG, axi_description, axi_parameters, axi_verilog
from signfold.sw.errors import ImageError
from signfold.sw.files import check_replaceable, put_in_place, temporary_beside
from signfold.sw.fusesoc import core_file
from signfold.sw.header import header
from signfold.sw.images import IMAGE_MAP, describe
from signfold.sw.layers import network_layers
from signfold.sw.lower import lower
from signfold.sw.memfile import format_mem
from signfold.sw.network import Network
from signfold.sw.patchable import check_patchable
from signfold.sw.plan import Plan
from signfold.sw.reload import check_reloadable, named_design
from signfold.sw.sidecar import LOAD_FILE, sidecar

__all__ = ["BUILD_FOLDER", "CORE", "NETWORK", "PLAN", "SIDECAR", "TOP", "VERILOG", "WRAPPERS", "Artefacts", "generate"]

TOP = "accelerator"
VERILOG = "accelerator.v"
SIDECAR = "accelerator.json"
NETWORK = "network.safetensors"
PLAN = "plan.toml"
CORE = "accelerator.core"
#: Interfaces that can be put around an accelerator.
WRAPPERS = ("axi",)
#: Folder inside a generated one where simulators and other tools may keep what they build.
BUILD_FOLDER = "build"

#: Signals of each stage that monitors watch.
_STREAM = ("o__payload", "o__valid", "o__ready")

_BREAK = r"\n +"
_NUMBERS = re.compile(rf"\[{_BREAK}(-?\d+(?:,{_BREAK}-?\d+)*){_BREAK}\]")


@dataclass(frozen=True)
class Artefacts:
    """A generated folder.

    Parameters
    ----------
    folder : pathlib.Path
        Where the files lie.
    sidecar : dict
        Contents of `accelerator.json`.
    image_map : dict
        Contents of `images.json`.
    network : Network
        The network that the accelerator computes.
    """

    folder: Path
    sidecar: dict[str, Any]
    image_map: dict[str, Any]
    network: Network

    @property
    def verilog(self) -> Path:
        """The Verilog file."""
        return self.folder / VERILOG


def generate(
    network: Network,
    plan: Plan,
    out_dir: str | os.PathLike[str],
    *,
    patchable: bool = False,
    wrapper: str | None = None,
    fusesoc: bool = False,
    reloadable: bool = False,
) -> Artefacts:
    """Write an accelerator into a folder.

    That is `accelerator.v`, one `.mem` file a ROM, `images.json` and `accelerator.json`, and beside them the plan and
    the network. The same network and plan give the same bytes, whatever the folder. The folder appears whole or not at
    all; one that an earlier run has written is replaced, and left alone if nothing would change.

    Parameters
    ----------
    network : Network
        What to generate.
    plan : Plan
        Arrays, one a layer with weights.
    out_dir : path
        Folder to create or replace.
    patchable : bool
        Let every ROM ask synthesis for block RAM, thresholds too, so that contents can be replaced in a bitstream.
    wrapper : str or None
        "axi": write `accelerator_axi.v` too, which puts the accelerator on AXI4-Stream and AXI4-Lite.
    fusesoc : bool
        Write `accelerator.core` too, the folder as a core of FuseSoC.
    reloadable : bool
        Give the accelerator a port through which its network is replaced while it runs; without `patchable` and
        `wrapper`.

    Returns
    -------
    Artefacts
        What was written.

    Raises
    ------
    PlanError
        If the plan does not fit the network or the wrapper, or `patchable` or `reloadable` is asked of layers whose
        weights are not in tables, or of a network that branches.
    ValueError
        If there is no such wrapper, or `reloadable` is asked with another form of the design.
    ImageError
        If the folder exists and holds anything that `generate` has not written.
    OSError
        If the folder cannot be written.
    """
    if wrapper not in (None, *WRAPPERS):
        raise ValueError(f"wrapper must be None or one of {', '.join(WRAPPERS)}, not {wrapper!r}")
    folder = Path(out_dir)
    check_replaceable(folder, lambda: _written(folder), "generate", ImageError)
    if reloadable and (patchable or wrapper is not None):
        raise ValueError("reloadable must be asked without patchable and wrapper")
    for asked, option in ((patchable, "--patchable"), (reloadable, "--reloadable")):
        if asked:
            network_layers(network).check_chain(option)
    if patchable:
        check_patchable(plan)
    if reloadable:
        check_reloadable(plan)
    config = lower(network, plan)
    image_map = describe(network, config)

    def verilog(parameters: AcceleratorConfig | ReloadableParameters) -> str:
        return convert(
            parameters.create(),
            name=TOP,
            roms=config.roms,
            keep_wires=_STREAM,
            header=header(network, config),
            blocks="any" if patchable else None,
            banked=reloadable,
        )

    replaceable = None
    if reloadable:
        replaceable = named_design(
            lambda build: ReloadableParameters(config, build), verilog, lambda one: one.image.tables
        )
    text = verilog(replaceable or config)
    axi = axi_parameters(network, config, design=TOP) if wrapper == "axi" else None
    with temporary_beside(folder) as finished:
        (finished / VERILOG).write_bytes(text.encode())
        if axi is not None:
            (finished / AXI_VERILOG).write_bytes(axi_verilog(network, axi).encode())
        if config.loads:
            (finished / LOAD_FILE).write_bytes(b"".join(config.chunks))
        for rom in (*config.roms, *config.loads):
            (finished / f"{rom.name}.mem").write_bytes(format_mem(rom).encode())
        (finished / IMAGE_MAP).write_bytes(_json(image_map))
        plan.save(finished / PLAN)
        # Kept beside the design, so that whoever simulates it can compare it with what it was made from.
        network.save(finished / NETWORK)
        if fusesoc:
            core = core_file(
                top=TOP if axi is None else AXI_TOP,
                content_hash=network.content_hash,
                sources=[VERILOG] if axi is None else [VERILOG, AXI_VERILOG],
                memories=[f"{rom.name}.mem" for rom in config.roms],
                fabric=plan.fabric,
                description=f"Accelerator of the network {network.content_hash}",
            )
            (finished / CORE).write_bytes(core.encode())
        files = _checksums(finished)
        described = sidecar(network, plan, config, top=TOP, files=files, reloadable=replaceable)
        if patchable:
            described["patchable"] = True
        if axi is not None:
            described["wrapper"] = axi_description(axi)
        (finished / SIDECAR).write_bytes(_json(described))
        # Somebody may have put files there meanwhile.
        check_replaceable(folder, lambda: _written(folder), "generate", ImageError)
        if not _equal(finished, folder):
            put_in_place(finished, folder)
    return Artefacts(folder, described, image_map, network)


def _json(content: dict[str, Any]) -> bytes:
    """Return JSON for people too: lists of numbers on one line."""
    # What is looked for holds line breaks, which text in JSON cannot.
    text = json.dumps(content, indent=2)
    return (_NUMBERS.sub(lambda match: f"[{re.sub(_BREAK, ' ', match[1])}]", text) + "\n").encode()


def _checksums(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of every file."""
    files = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        files[path.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return files


def _written(folder: Path) -> set[str]:
    """Return the names in a folder that `generate` has written."""
    try:
        return {SIDECAR, BUILD_FOLDER, *json.loads((folder / SIDECAR).read_bytes())["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _equal(finished: Path, folder: Path) -> bool:
    """Whether `folder` is what `finished` is already, but for what tools have built there."""
    return (
        folder.is_dir()
        and {path.name for path in folder.iterdir()} - {BUILD_FOLDER} == {path.name for path in finished.iterdir()}
        and all((folder / path.name).read_bytes() == path.read_bytes() for path in finished.iterdir())
    )
