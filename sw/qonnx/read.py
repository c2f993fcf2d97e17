"""Reads ONNX files that nobody has to trust; with `write`, the one place that knows the `onnx` package.

Nothing is fetched, unpacked or evaluated: data outside the file, functions, subgraphs and sparse tensors are refused,
and every tensor's size is checked against the bytes that are there before an array is made.
"""

import os
from math import prod

import numpy as np

from signfold.sw.errors import CompileError, ToolError
from signfold.sw.network.container import read_bytes
from signfold.sw.network.types import MAX_ELEMENTS, shown
from signfold.sw.qonnx.graph import CUSTOM_DOMAINS, Graph, Operation
from signfold.sw.qonnx.wire import check_wire

__all__ = ["MAX_FILE", "read_graph"]

#: Longest accepted file: sixteen million float32 weights.
MAX_FILE = 64 << 20
#: Nodes that a graph may have.
MAX_OPERATIONS = 1 << 12

# Element types of onnx.TensorProto by number: NumPy type, field of typed data, and bytes of an element there.
_TYPES = {
    1: ("<f4", "float_data"),
    2: ("<u1", "int32_data"),
    3: ("<i1", "int32_data"),
    4: ("<u2", "int32_data"),
    5: ("<i2", "int32_data"),
    6: ("<i4", "int32_data"),
    7: ("<i8", "int64_data"),
    9: ("<u1", "int32_data"),
    10: ("<f2", None),
    11: ("<f8", "double_data"),
    12: ("<u4", "uint64_data"),
}
#: Types of unsigned integers by the names that qonnx notes.
_WIDTHS = {"BINARY": 1} | {f"UINT{bits}": bits for bits in range(1, 9)}
#: Operators that only `CUSTOM_DOMAINS` define.
_CUSTOM = ("BipolarQuant", "Quant", "IntQuant", "MultiThreshold", "XnorPopcountMatMul")


def read_graph(path: str | os.PathLike[str]) -> Graph:
    """Read an ONNX file.

    Raises
    ------
    CompileError
        The file is absent, too long, damaged, or holds what is not read; nothing else is raised, whatever it holds.
    ToolError
        The `onnx` package is not installed.
    """
    where = shown(os.fspath(path))
    data = read_bytes(path, error=CompileError, limit=MAX_FILE)
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise ToolError("reading ONNX files needs the package 'onnx': pip install 'signfold[onnx]'") from None
    check_wire(data, where)
    try:
        model = onnx.ModelProto.FromString(data)
    except (DecodeError, ValueError, RecursionError) as cause:
        raise CompileError(f"{where} is not an ONNX file: {shown(str(cause))}") from None
    if len(model.functions) or len(model.training_info):
        raise CompileError(f"{where}: functions and training steps in the file are not read")
    return _graph(model, where)


def _graph(model, where: str) -> Graph:
    graph = model.graph
    if len(graph.sparse_initializer):
        raise CompileError(f"{where}: sparse tensors are not read")
    if len(graph.node) > MAX_OPERATIONS:
        raise CompileError(f"{where}: {len(graph.node)} nodes, at most {MAX_OPERATIONS} are read")
    constants: dict[str, np.ndarray] = {}
    elements = 0
    for tensor in graph.initializer:
        if tensor.name in constants or not tensor.name:
            raise CompileError(f"{where}: tensor {shown(tensor.name)} occurs twice or has no name")
        constants[tensor.name] = _array(tensor, f"tensor {shown(tensor.name)}")
        elements += constants[tensor.name].size
    if elements > MAX_ELEMENTS:
        raise CompileError(f"{where}: its tensors hold {elements} numbers, at most {MAX_ELEMENTS} are read")
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise CompileError(
            f"{where}: {len(inputs)} inputs and {len(graph.output)} outputs, must be one tensor of pictures and one of "
            f"scores"
        )
    defined = {inputs[0].name, *constants}
    operations = []
    for position, node in enumerate(graph.node):
        operation = _operation(node, position)
        for name in operation.outputs:
            if name in defined:
                raise CompileError(f"node {shown(operation.name)}: its result {shown(name)} exists before it")
            if name:
                defined.add(name)
        operations.append(operation)
    shape, kind = _input_shape(inputs[0], where)
    return Graph(
        inputs[0].name,
        shape,
        kind == 2,
        graph.output[0].name,
        tuple(operations),
        constants,
        f"{model.producer_name} {model.producer_version}".strip()[:80],
        _noted_bits(graph, inputs[0].name),
    )


def _noted_bits(graph, name: str) -> int:
    """Return the width that qonnx's notes give the integers of a tensor, 8 where they do not."""
    for note in graph.quantization_annotation:
        for entry in note.quant_parameter_tensor_names if note.tensor_name == name else ():
            if entry.key == "finn_datatype" and entry.value in _WIDTHS:
                return _WIDTHS[entry.value]
    return 8


def _input_shape(value, where: str) -> tuple[tuple[int, ...], int]:
    """Return the shape of the input, pictures first, and the number of its element type."""
    tensor = value.type.tensor_type
    sizes = [dim.dim_value if dim.WhichOneof("value") == "dim_value" else 0 for dim in tensor.shape.dim]
    if sizes:
        sizes[0] = sizes[0] or 1
    if not 2 <= len(sizes) <= 5 or any(not 0 < size <= MAX_ELEMENTS for size in sizes) or prod(sizes) > MAX_ELEMENTS:
        raise CompileError(
            f"{where}: input {shown(value.name)} has shape {shown(sizes)}, must have 2 to 5 dimensions, the pictures "
            f"first, of known sizes and at most {MAX_ELEMENTS} elements"
        )
    if tensor.elem_type not in (1, 2, 10, 11):
        raise CompileError(f"{where}: input {shown(value.name)} must hold floats or unsigned 8-bit integers")
    return tuple(sizes), tensor.elem_type


def _operation(node, position: int) -> Operation:
    name = node.name or (node.output[0] if len(node.output) else "") or f"{node.op_type} {position}"
    custom = node.op_type in _CUSTOM
    if node.domain not in (CUSTOM_DOMAINS if custom else ("", "ai.onnx")):
        raise CompileError(
            f"node {shown(name)}: operator {shown(node.op_type)} of domain {shown(node.domain)} is not known; domains "
            f"that are: ONNX's own, {', '.join(CUSTOM_DOMAINS)}"
        )
    if not len(node.output):
        raise CompileError(f"node {shown(name)}: it has no result")
    attributes = {}
    for attribute in node.attribute:
        attributes[attribute.name] = _attribute(attribute, f"node {shown(name)}: {shown(attribute.name)}")
    return Operation(name, node.op_type, tuple(node.input), tuple(node.output), attributes)


def _attribute(attribute, where: str) -> object:
    match attribute.type:
        case 1:
            return attribute.f
        case 2:
            return attribute.i
        case 3:
            return attribute.s.decode("utf-8", "replace")
        case 4:
            return _array(attribute.t, where)
        case 6:
            return tuple(attribute.floats)
        case 7:
            return tuple(attribute.ints)
        case 8:
            return tuple(text.decode("utf-8", "replace") for text in attribute.strings)
    raise CompileError(f"{where}: attributes that are graphs, types or sparse tensors are not read")


def _array(tensor, where: str) -> np.ndarray:
    """Return a tensor's numbers, made only of bytes that are in the file."""
    if tensor.data_location or len(tensor.external_data):
        raise CompileError(
            f"{where}: its data lie outside the file, which is never followed; save it with the data inside"
        )
    if tensor.data_type not in _TYPES:
        raise CompileError(f"{where}: element type {tensor.data_type} is not read")
    dims = list(tensor.dims)
    if len(dims) > 8 or any(not 0 <= size <= MAX_ELEMENTS for size in dims) or prod(dims) > MAX_ELEMENTS:
        raise CompileError(f"{where}: shape {shown(dims)} must have at most 8 dimensions and {MAX_ELEMENTS} elements")
    name, field = _TYPES[tensor.data_type]
    count, dtype = prod(dims), np.dtype(name)
    if tensor.HasField("raw_data"):
        if len(tensor.raw_data) != count * dtype.itemsize:
            raise CompileError(f"{where}: {len(tensor.raw_data)} bytes are not shape {shown(dims)} of {dtype}")
        return np.frombuffer(tensor.raw_data, dtype).reshape(dims)
    values = getattr(tensor, field) if field is not None else ()
    if len(values) != count:
        raise CompileError(f"{where}: {len(values)} numbers are not shape {shown(dims)}")
    try:
        return np.array(values, dtype).reshape(dims)
    except OverflowError:
        raise CompileError(f"{where}: a number does not fit {dtype}") from None
