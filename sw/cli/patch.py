"""`signfold patch`: another network goes into a finished bitstream."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from signfold.sw import zoo
from signfold.sw.cli.output import emit, print_lines
from signfold.sw.errors import ImageError, ToolError

__all__ = ["load_patch", "patch"]


def patch(
    bitstream: Annotated[Path, typer.Argument(metavar="BITSTREAM", help="bitstream of `signfold build --patchable`")],
    network: Annotated[str, typer.Option(help="network file, or name of a shipped network, of the same shape")],
    out: Annotated[Path | None, typer.Option(help="output folder", show_default="build/NETWORK-BOARD-patched")] = None,
    sidecar: Annotated[
        Path | None, typer.Option(help="the bitstream's manifest", show_default="build.json beside it")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the new manifest as JSON")] = False,
) -> None:
    """Replace the tables of a placed and routed bitstream by another network's, without synthesis.

    Weights, thresholds and the identity that the device tells change; the result is byte for byte what a build of the
    new network with the same plan, clock, baud rate and seed gives. A network of another shape, a bitstream of another
    build, and one built without --patchable are refused.
    """
    module = load_patch()
    begun = time.perf_counter()
    manifest, _ = module.read_manifest(bitstream, sidecar)
    folder = out or Path("build") / f"{Path(network).stem}-{manifest.get('board')}-patched"
    if folder.resolve() == bitstream.parent.resolve():
        raise ImageError(f"output folder {str(folder)!r} must not be the bitstream's own")
    result = module.patch(bitstream, zoo.load(network), folder, sidecar=sidecar)
    seconds = time.perf_counter() - begun
    emit(result, as_json=as_json, render=lambda output: _render(output, result, folder, seconds))


def load_patch() -> Any:
    """Return `signfold.boards.patch`.

    Raises
    ------
    ToolError
        If amaranth-boards is missing.
    """
    try:
        from signfold.boards import patch as module
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("amaranth_boards"):
            raise
        raise ToolError("boards need amaranth-boards: install signfold[boards]") from None
    return module


def _render(output: Console, manifest: dict[str, Any], folder: Path, seconds: float) -> None:
    tables = manifest["patch"]["tables"]
    blocks = sum(len(entry["blocks"]) for entry in tables)
    lines = [
        f"network       {manifest['content_hash']}",
        f"tables        {len(tables)} in {blocks} block RAMs replaced, {seconds:.1f} s",
        f"bitstream     {folder / manifest['bitstream']['file']} ({manifest['bitstream']['bytes']} bytes)",
    ]
    if "load" in manifest:
        lines.append(f"weights       {folder / manifest['load']['file']}, to load before the first frame")
    print_lines(output, lines)
