"""What a device whose network can be replaced while it runs says of itself, and which plans allow it."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from signfold.hw.packet import HASH_BYTES
from signfold.hw.reload_image import DATA_BYTES, NUMBER_BYTES, ReloadImage
from signfold.hw.rom import RomParameters
from signfold.sw.errors import PlanError
from signfold.sw.patchable import check_tables
from signfold.sw.plan import Plan
from signfold.sw.structure import structure, structure_hash

__all__ = ["check_reloadable", "describe_image", "named_design", "plan_hash"]

#: Stands for the build's hash in the design that it is the hash of.
_NO_BUILD = bytes(HASH_BYTES)


def check_reloadable(plan: Plan) -> None:
    """Refuse plans with weights that no image replaces.

    Raises
    ------
    PlanError
        Naming the layer.
    """
    check_tables(plan, "leave out --reloadable")
    for k, layer in enumerate(plan.layers):
        if layer.memory == "loaded":
            raise PlanError(
                f"layer {k} has memory = 'loaded': its weights come from the host before the first frame, in one copy; "
                "give it block RAM, or leave out --reloadable"
            )


def plan_hash(plan: Plan) -> bytes:
    """Return the bytes by which a device names its plan: the first 16 of the SHA-256 of its file."""
    return hashlib.sha256(plan.to_toml().encode()).digest()[:HASH_BYTES]


_Design = TypeVar("_Design")


def named_design(
    make: Callable[[bytes], _Design],
    convert: Callable[[_Design], str],
    roms: Callable[[_Design], Sequence[RomParameters]],
) -> _Design:
    """Return a design that knows its build's hash: the first 16 bytes of the hash of all but its tables' contents.

    Parameters
    ----------
    make : callable
        Gives the design's parameters with a hash.
    convert : callable
        Gives the Verilog of parameters.
    roms : callable
        Gives the tables of parameters.
    """
    # The hash is that of the design as long as it does not know its own.
    unnamed = make(_NO_BUILD)
    modules = structure(convert(unnamed), roms(unnamed))
    return make(bytes.fromhex(structure_hash(modules))[:HASH_BYTES])


def describe_image(plan: Plan, image: ReloadImage) -> dict[str, Any]:
    """Return what a folder says of the images that its device takes."""
    return {
        "plan": plan_hash(plan).hex(),
        "build": image.build.hex(),
        "bytes": image.size,
        "chunks": image.chunks,
        "chunk_bytes": NUMBER_BYTES + DATA_BYTES,
        "tables": [{"rom": table.name, "width": table.width, "depth": table.depth} for table in image.tables],
    }
