"""What an ONNX file holds, counted before anything parses it: a few bytes can ask for a large object."""

from signfold.sw.errors import CompileError

__all__ = ["MAX_FIELDS", "check_wire"]

#: Fields of messages that a file may have. A parser makes an object of up to some hundred bytes of each.
MAX_FIELDS = 1 << 18

# Messages that are looked into, field number to message; all other fields are only counted.
_SCHEMA: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "leaf", 14: "leaf", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value", 14: "note", 15: "sparse", 16: "leaf"},
    "note": {2: "leaf"},
    "node": {5: "attribute", 9: "leaf"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        14: "type",
        15: "type",
        22: "sparse",
        23: "sparse",
    },
    "tensor": {3: "leaf", 13: "leaf", 16: "leaf"},
    "sparse": {1: "tensor", 2: "tensor"},
    "value": {2: "type", 4: "leaf"},
    "type": {1: "array", 4: "type", 5: "type", 8: "array", 9: "type"},
    "array": {1: "type", 2: "shape"},
    "shape": {1: "leaf"},
    "training": {1: "graph", 2: "graph", 3: "leaf", 4: "leaf"},
    "function": {7: "node", 9: "leaf", 11: "attribute", 12: "value", 14: "leaf"},
    "leaf": {},
}


def check_wire(data: bytes, where: str) -> None:
    """Refuse bytes that are no protocol buffer message, or hold too many fields.

    Parameters
    ----------
    data : bytes
        The file.
    where : str
        Its name, for the error.

    Raises
    ------
    CompileError
        See above.
    """
    count = 0
    waiting = [(0, len(data), "model")]
    while waiting:
        place, end, kind = waiting.pop()
        while place < end:
            count += 1
            if count > MAX_FIELDS:
                raise CompileError(f"{where} holds more than {MAX_FIELDS} fields: no network needs as many")
            tag, place = _varint(data, place, end, where)
            if tag & 7 == 0:
                _, place = _varint(data, place, end, where)
            elif tag & 7 == 1:
                place += 8
            elif tag & 7 == 5:
                place += 4
            elif tag & 7 == 2:
                length, place = _varint(data, place, end, where)
                inner = _SCHEMA[kind].get(tag >> 3)
                if inner is not None and place + length <= end:
                    waiting.append((place, place + length, inner))
                place += length
            else:
                raise CompileError(f"{where} is not an ONNX file: wire type {tag & 7}")
        if place > end:
            raise CompileError(f"{where} is not an ONNX file: it is cut off or damaged")


def _varint(data: bytes, place: int, end: int, where: str) -> tuple[int, int]:
    value = shift = 0
    while place < end and shift < 70:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
    raise CompileError(f"{where} is not an ONNX file: it is cut off or damaged")
