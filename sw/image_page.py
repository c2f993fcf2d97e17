"""The map of images as a page for people: what words and bits of each image hold, with this accelerator's numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["PAGE", "image_page"]

#: Name of the page's file.
PAGE = "images.md"


def image_page(image_map: Mapping[str, Any], formats: Sequence[str]) -> str:
    """Return the page, Markdown.

    Parameters
    ----------
    image_map : mapping
        The map of the images.
    formats : sequence of str
        Names of the formats that lie beside it.
    """
    lines = [
        "# Memory images",
        "",
        f"Network {image_map['content_hash']}. Files `<image>.<format>`: {', '.join(formats)}.",
        "",
        "Bit 0 of a word is the lowest; [a +: n] are the n bits from bit a on. Bytes of hex and bin: each word as",
        "ceil(width / 8) bytes, low byte first. images.json says the same to machines; its `meaning` defines terms.",
        "",
        "| image | layer | holds | words x bits | word | bits of a word |",
        "|---|---|---|---|---|---|",
    ]
    for entry in image_map["images"]:
        layer = "" if entry["layer"] is None else str(entry["layer"])
        word, bits = _PLACES[entry["kind"]](entry)
        if "start" in entry:
            word += f"; the layer's word 0 is word {entry['start'] << entry.get('stage', 0)}"
        if entry.get("loaded"):
            word += "; loaded by the host"
        kind = entry["kind"].replace("_", " ")
        lines.append(f"| `{entry['rom']}` | {layer} | {kind} | {entry['depth']} x {entry['width']} | {word} | {bits} |")
    return "\n".join([*lines, ""])


def _fields(entry: Mapping[str, Any], what: str) -> str:
    lanes, bits = entry["lanes"], entry["field_bits"]
    if lanes == 1:
        return f"[0 +: {bits}]: {what}"
    return f"[{bits}*l +: {bits}]: {what}, lane l < {lanes}"


def _channel(entry: Mapping[str, Any]) -> str:
    return f"channel {entry['lanes']}*b + l" if entry["lanes"] > 1 else "channel b"


def _beat(entry: Mapping[str, Any]) -> str:
    row = f"row {entry['row']} of the array, " if entry.get("row") else ""
    if entry.get("classes", 1) > 1:
        return f"{row}{entry['beats']}*class + b, {entry['classes']} classes of positions, b < {entry['beats']}"
    return f"{row}b < {entry['beats']}"


def _pixel_thresholds(entry: Mapping[str, Any]) -> tuple[str, str]:
    element = f"element {entry['lanes']}*b + l" if entry["lanes"] > 1 else "element b"
    return f"b < {entry['depth']}", _fields(entry, f"threshold of {element} of the stream")


def _weights(entry: Mapping[str, Any]) -> tuple[str, str]:
    planes, words, simd, hop = (entry[key] for key in ("planes", "words", "simd", "hop"))
    tap = words // entry["taps"]
    if planes == 1:
        word, bits = f"{words}*p + w", f"[{simd}*h + i]: sign of the weight"
    elif entry["space"]:
        word, bits = f"{words}*p + w", f"[{planes * simd}*h + {simd}*j + i]: plane j < {planes} of the weight"
    else:
        word, bits = f"{planes * words}*p + {words}*j + w, plane j < {planes}", f"[{simd}*h + i]: plane j of the weight"
    word += f", pass p < {entry['passes']}, w < {words}"
    first = entry["group"] * hop
    channel = f"{entry['cols']}*p + h" + (f" + {first}" if first else "")
    inputs = f"{simd}*w + i" if entry["taps"] == 1 else f"{simd}*(w % {tap}) + i, tap w // {tap}"
    if entry["taps"] > 1 and entry["inputs"] == 1:
        inputs = "the channel's own, tap w"
    bits += f" of channel {channel} for input {inputs}; h < {hop}, i < {simd}"
    if entry["parities"]:
        bits += "; as parities: bit i is that of the inverted bits 0 .. i"
    return word, bits


def _thresholds(entry: Mapping[str, Any]) -> tuple[str, str]:
    which = "threshold" if entry["bits"] == 1 else "middle threshold"
    return _beat(entry), _fields(entry, f"{which} of {_channel(entry)}, on counts")


def _further_thresholds(entry: Mapping[str, Any]) -> tuple[str, str]:
    stage, channel = entry["stage"], f"{entry['lanes']}*b + {entry['lane']}"
    word = f"{1 << stage}*({_beat({**entry, 'classes': 1})}) + c, c < {1 << stage} the code so far"
    return word, f"[0 +: {entry['field_bits']}]: threshold of channel {channel} for the code's next bit"


def _corrections(entry: Mapping[str, Any]) -> tuple[str, str]:
    return _beat(entry), _fields(entry, f"correction of {_channel(entry)}")


def _inversions(entry: Mapping[str, Any]) -> tuple[str, str]:
    return _beat(entry), f"[l]: {_channel(entry)} is complemented, lane l < {entry['lanes']}"


def _scales(entry: Mapping[str, Any]) -> tuple[str, str]:
    lane = f"{entry['lane_bits']}*l + " if entry["lanes"] > 1 else ""
    places = [f"[{lane}{field['lsb']} +: {field['width']}]: {field['name']}" for field in entry["fields"]]
    signed = ", signed" if any(field["signed"] for field in entry["fields"]) else ""
    return _beat(entry), f"{'; '.join(places)} of {_channel(entry)}{signed}"


def _affine(entry: Mapping[str, Any]) -> tuple[str, str]:
    scale, offset = entry["scale_bits"], entry["offset_bits"]
    bits = f"[0 +: {scale}]: scale; [{scale} +: {offset}]: offset, both two's complement"
    return f"class c < {entry['classes']}", bits


_PLACES = {
    "pixel_thresholds": _pixel_thresholds,
    "weights": _weights,
    "thresholds": _thresholds,
    "further_thresholds": _further_thresholds,
    "corrections": _corrections,
    "inversions": _inversions,
    "scales": _scales,
    "affine": _affine,
}
