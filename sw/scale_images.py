"""What the map of images says of scales and quantizers, and of their tables."""

from typing import Any

from signfold.hw.scale import ScaleParameters
from signfold.sw.image_entry import image_entry
from signfold.sw.network import Quantize, Scale

__all__ = ["scale_images", "scale_node"]


def scale_images(layer: int, unit: ScaleParameters) -> list[dict[str, Any]]:
    """Describe the tables of a scale; there are none where all channels are alike."""
    entries = []
    for kind, rom in unit.tables.items():
        fields, place = [], 0
        for field in unit.plan.fields:
            if field.table == kind:
                signed = min(field.values) < 0
                fields.append({"name": field.name, "lsb": place, "width": field.width, "signed": signed})
                place += field.width
        geometry = {"channels": unit.channels, "lanes": unit.lanes, "beats": unit.beats}
        entries.append(image_entry(rom, "scales", layer, geometry | {"lane_bits": place, "fields": fields}))
    return entries


def scale_node(node: Scale | Quantize, unit: ScaleParameters) -> dict[str, Any]:
    """Describe a scale but for what its tables hold: `signfold.sw.stored_scale` makes the node of it again."""
    common = node.shift - unit.plan.right
    # Of offsets, bits that nothing depends on are not stored.
    lost = [
        int(offset - factor * unit.source.origin) & ((1 << common) - 1)
        for factor, offset in zip(unit.multiplier.astype(object), unit.offset.astype(object), strict=True)
    ]
    entry = {"rows": len(node.multiplier), "channels": unit.channels, "shift": node.shift, "common": common}
    entry |= {"step": unit.source.step, "origin": unit.source.origin, "sum_bits": unit.source.bits}
    entry |= {"output_origin": unit.origin, "constants": unit.plan.constants, "lost": lost}
    if isinstance(node, Quantize):
        return entry | {"bits": node.bits}
    return entry | {"low": node.low, "high": node.high, "fraction": node.fraction}
