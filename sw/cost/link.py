"""Cost of the host link."""

from signfold.hw.gearbox import gearboxes
from signfold.hw.host_link import HostLinkParameters
from signfold.sw.cost.feeder import queue_parts
from signfold.sw.cost.part import Part, memory_part
from signfold.sw.cost.units import gearbox_parts

__all__ = ["link_parts"]

#: LUTs that any host link takes on any fabric.
_PROTOCOL = 450


def link_parts(p: HostLinkParameters, fabric: str) -> list[Part]:
    """Return the parts of a host link; the protocol's own logic is one part of nearly constant size."""
    depth = p.buffer.depth.bit_length()
    elements = p.geometry.elements.bit_length()
    divisor = p.divisor.bit_length()
    # What does not depend on sizes, and what they add as measured.
    ffs = 168 + 0.73 * (6 * depth + 2 * divisor + elements)
    features = {"one": 1, "depth": depth, "divisor": divisor, "elements": elements, "bits": p.geometry.bits}
    features["score"] = p.geometry.score_width
    parts = [Part("link", ffs, _PROTOCOL, features=features), memory_part(fabric, 8, p.buffer.depth)]
    # The encoder holds a group of bytes.
    parts.append(memory_part(fabric, 8, 256))
    parts += queue_parts(depth, p.buffer.packets, fabric)
    for gear in gearboxes(p.geometry.elements, p.geometry.bits, 1, p.lanes):
        parts += gearbox_parts(gear, fabric)
    return parts
