"""Patch: another network's tables go into a finished bitstream, without synthesis, placement or routing."""

import hashlib
import json
from pathlib import Path
from typing import Any

from signfold.boards.build import MANIFEST, find_board
from signfold.boards.patchable import open_bitstream, read_table, write_table
from signfold.sw.design_folder import manifest_plan
from signfold.sw.errors import ImageError, PlanError
from signfold.sw.files import write_whole
from signfold.sw.hosted import HostedDesign, generate_hosted
from signfold.sw.images import IMAGE_MAP, describe
from signfold.sw.lower import lower
from signfold.sw.memfile import crc32
from signfold.sw.network import Network
from signfold.sw.plan import Plan
from signfold.sw.sidecar import LOAD_FILE
from signfold.sw.structure import structure, structure_hash

__all__ = ["patch", "read_bitstream", "read_manifest"]


def read_manifest(bitstream: Path, sidecar: Path | None = None) -> tuple[dict[str, Any], bytes]:
    """Return the manifest of a bitstream and its bytes.

    Parameters
    ----------
    bitstream : path
        Bitstream of `signfold.boards.build.build`, or one that was patched.
    sidecar : path, optional
        Its manifest; `build.json` beside it by default.

    Raises
    ------
    ImageError
        If there is no manifest, or it is of another bitstream.
    """
    bitstream = Path(bitstream)
    sidecar = bitstream.parent / MANIFEST if sidecar is None else Path(sidecar)
    try:
        data = bitstream.read_bytes()
    except OSError as error:
        raise ImageError(f"bitstream {str(bitstream)!r}: {error.strerror}") from None
    try:
        manifest = json.loads(sidecar.read_bytes())
    except OSError as error:
        raise ImageError(
            f"manifest {str(sidecar)!r}: {error.strerror}; the build wrote it beside the bitstream"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ImageError(f"manifest {str(sidecar)!r}: must be JSON: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != "signfold-build" or manifest.get("version") != 1:
        raise ImageError(f"manifest {str(sidecar)!r}: must be of format 'signfold-build', version 1")
    try:
        expected = manifest["bitstream"]["sha256"]
    except (KeyError, TypeError):
        raise ImageError(f"manifest {str(sidecar)!r}: must name the bitstream's SHA-256") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected:
        raise ImageError(
            f"bitstream {str(bitstream)!r} is of another build: its SHA-256 is {digest[:16]}..., but "
            f"{str(sidecar)!r} is of {str(expected)[:16]}..."
        )
    return manifest, data


def read_bitstream(bitstream: Path, sidecar: Path | None = None) -> dict[str, tuple[int, ...]]:
    """Return the words of every table that a patchable build's bitstream holds, by name.

    Raises
    ------
    ImageError
        If bitstream and manifest are not of one patchable build, or a table is not what the manifest says.
    """
    manifest, data = read_manifest(bitstream, sidecar)
    if "patch" not in manifest:
        raise ImageError(
            f"bitstream {str(bitstream)!r} was built without --patchable: where its tables lie is not known"
        )
    try:
        family = find_board(manifest["board"]).family
        opened = open_bitstream(family, data)
        words = {}
        for entry in manifest["patch"]["tables"]:
            words[entry["rom"]] = read_table(opened, family, entry)
            found = crc32(words[entry["rom"]], entry["width"])
            if found != entry["crc32"]:
                raise ImageError(f"table {entry['rom']}: CRC-32 is {found}, but the manifest says {entry['crc32']}")
    except (KeyError, TypeError, ValueError) as error:
        raise ImageError(
            f"manifest of {str(bitstream)!r} contradicts itself: {type(error).__name__}: {error}"
        ) from None
    return words


def patch(bitstream: Path, network: Network, out: Path, *, sidecar: Path | None = None) -> dict[str, Any]:
    """Write a bitstream that computes another network: the old one with the tables of the new.

    It is, byte for byte, what `build` gives for the new network with the old one's plan, clock, baud rate and seed.

    Parameters
    ----------
    bitstream : path
        Bitstream of a patchable build, or one that was patched.
    network : Network
        What it shall compute; of the same shape.
    out : path
        Folder for bitstream, manifest and map of the images, and the chunks of weights where they are loaded. Created
        if absent.
    sidecar : path, optional
        The bitstream's manifest; `build.json` beside it by default.

    Returns
    -------
    dict
        The new manifest: that of the build, with `patched_from`, the SHA-256 of the old bitstream. Its `inputs` are
        those of the build.

    Raises
    ------
    ImageError
        If the bitstream is not the manifest's, was not built patchable, or the network is not of its shape.
    """
    manifest, data = read_manifest(bitstream, sidecar)
    plan = manifest_plan(manifest)
    if "patch" not in manifest:
        raise ImageError(f"bitstream {str(bitstream)!r} was built without --patchable: {_elsewhere(network, plan)}")
    read_bitstream(bitstream, sidecar)
    board = find_board(manifest["board"])
    try:
        design = generate_hosted(network, plan, manifest["divisor"], patchable=board.family)
    except PlanError as error:
        raise ImageError(f"network is of another shape than the bitstream's: {error}") from None
    _check_shape(manifest, design)
    opened = open_bitstream(board.family, data)
    tables = {entry["rom"]: entry for entry in manifest["patch"]["tables"]}
    new = []
    for rom in design.parameters.roms:
        write_table(opened, board.family, tables[rom.name], rom)
        new.append({**tables[rom.name], "crc32": crc32(rom.words, rom.width)})
    patched = opened.data
    # What another reader of the new file sees must be the new tables.
    again = open_bitstream(board.family, patched)
    for rom, entry in zip(design.parameters.roms, new, strict=True):
        if read_table(again, board.family, entry) != rom.words:
            raise ImageError(f"table {rom.name}: the patched bitstream must hold it, but does not")
    geometry = design.parameters.geometry
    result = {
        **manifest,
        "content_hash": network.content_hash,
        "geometry": {**manifest["geometry"], "identity": geometry.identity.hex()},
        "bitstream": {
            # Not the manifest's word, which might lead out of the folder.
            "file": Path(bitstream).name,
            "bytes": len(patched),
            "sha256": hashlib.sha256(patched).hexdigest(),
        },
        "patch": {**manifest["patch"], "tables": new},
        "patched_from": manifest["bitstream"]["sha256"],
    }
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST, IMAGE_MAP, LOAD_FILE, result["bitstream"]["file"]):
        (out / name).unlink(missing_ok=True)
    config = design.parameters.config
    if config.loads:
        chunks = b"".join(config.chunks)
        result["load"] = {**manifest["load"], "sha256": hashlib.sha256(chunks).hexdigest()}
        write_whole(out / LOAD_FILE, chunks)
    write_whole(out / IMAGE_MAP, (json.dumps(describe(network, config), indent=1) + "\n").encode())
    write_whole(out / result["bitstream"]["file"], patched)
    write_whole(out / MANIFEST, (json.dumps(result, indent=2) + "\n").encode())
    return result


def _elsewhere(network: Network, plan: Plan) -> str:
    """Say which tables of a build that is not patchable do not lie in block RAM."""
    logic = [str(k) for k, layer in enumerate(plan.layers) if layer.style == "hardwired"]
    if logic:
        return f"the weights of layer {', '.join(logic)} are logic"
    try:
        roms = lower(network, plan).roms
    except PlanError:
        roms = ()
    small = [rom.name for rom in roms if rom.attributes.get("rom_style") != "block"]
    where = f"tables {', '.join(small)} may lie in lookup tables" if small else "where its tables lie is not known"
    return f"{where}; build it again with --patchable"


def _check_shape(manifest: dict[str, Any], design: HostedDesign) -> None:
    """Refuse a network whose design differs in more than the contents of tables."""
    recorded = manifest["patch"]
    built = {entry["rom"]: (entry["depth"], entry["width"]) for entry in recorded["tables"]}
    wanted = {rom.name: (rom.depth, rom.width) for rom in design.parameters.roms}
    for name in (*built, *wanted):
        if built.get(name) != wanted.get(name):
            have, want = (
                f"{d} x {w} bits" if d else "absent" for d, w in (s.get(name, (0, 0)) for s in (built, wanted))
            )
            raise ImageError(
                f"network is of another shape than the bitstream's: table {name} is {want} for it, {have} in the "
                "bitstream"
            )
    modules = structure(design.verilog, design.parameters.roms)
    if structure_hash(modules) != recorded["structure"]:
        before = recorded["modules"]
        changed = sorted(name for name in {*before, *modules} if before.get(name) != modules.get(name))
        shown = ", ".join(changed[:4]) + (", ..." if len(changed) > 4 else "")
        raise ImageError(
            "network is of another shape than the bitstream's, or this release makes other logic of it: modules "
            f"differ: {shown} (what no table holds stands in logic: one threshold for all pixels, widths of scores)"
        )
