"""Writes integer networks as QONNX files; with `read`, the one place that knows the `onnx` package.

Tensors hold the integers of the network: sums as they are, and for codes q of levels n the odd integers v = 2*q - n
that layers multiply. Constants are exact float32 numbers, so an executor in float32 computes the network exactly while
its sums stay below 2**24, but for the division of sum pools whose windows are no power of two.
"""

import os
from collections.abc import Sequence

import numpy as np

from signfold.sw.errors import CompileError, ToolError
from signfold.sw.files import write_whole
from signfold.sw.network import Affine, Conv, Dense, MaxPool, Network, SumPool, Threshold, ValueType
from signfold.sw.network.types import shown

__all__ = ["FORMS", "encode_onnx", "export_onnx"]

#: quant: weights and bits by BipolarQuant and Quant, as Brevitas writes them; multithreshold: plain integer weights and
#: MultiThreshold, as FINN's streamlining leaves them.
FORMS = ("quant", "multithreshold")
#: Opset of ONNX's own operators, and version of the file format: old enough for all current readers.
_OPSET, _IR = 13, 8
_DOMAIN = "qonnx.custom_op.general"
#: Operations that chains are made of.
_WRITTEN = (Affine, Conv, Dense, MaxPool, SumPool, Threshold)


def export_onnx(network: Network, path: str | os.PathLike[str], form: str = "quant") -> None:
    """Write an integer network to a QONNX file; the same network gives the same bytes.

    Raises
    ------
    CompileError
        A number of the network is beyond what float32 holds exactly, or the network branches; names the node.
    ToolError
        The `onnx` package is not installed.
    OSError
        The file cannot be written; nothing is left behind.
    """
    write_whole(path, encode_onnx(network, form))


def encode_onnx(network: Network, form: str = "quant") -> bytes:
    """Return the bytes of `export_onnx`.

    The input is a tensor of unsigned 8-bit integers ``[1, *shape]``, the pictures' codes; the output, ``[1, classes]``,
    the scores, divided by 2 to the power of the fraction bits where an affine node states some.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, not {form!r}")
    try:
        import onnx
    except ImportError:
        raise ToolError("writing ONNX files needs the package 'onnx': pip install 'signfold[onnx]'") from None
    return _Writer(onnx, network, form).encode()


class _Writer:
    def __init__(self, onnx, network: Network, form: str) -> None:
        self._onnx = onnx
        self._network = network
        self._form = form
        self._nodes: list = []
        self._tensors: list = []
        self._values: list = []
        self._names: set[str] = {"pixels"}

    def encode(self) -> bytes:
        """Return the file."""
        network, helper = self._network, self._onnx.helper
        for node in network.nodes:
            if not isinstance(node, _WRITTEN):
                raise CompileError(
                    f"node {shown(node.name)}: {node.op} has no exact counterpart in QONNX's float32; networks that "
                    f"branch cannot be exported"
                )
        shape = (1, *network.input.shape)
        last = self._add("Cast", ["pixels"], "codes", shape, to=self._onnx.TensorProto.FLOAT)
        tensors = {"input": last}
        for node in network.nodes:
            tensors[node.name] = self._node(node, tensors[node.input], network.types[node.input])
        last = tensors[network.output]
        if len(network.types[network.output].shape) > 1:
            last = self._add("Flatten", [last], "scores", (1, network.classes), axis=1)
        float32, uint8 = self._onnx.TensorProto.FLOAT, self._onnx.TensorProto.UINT8
        graph = helper.make_graph(
            self._nodes,
            "signfold",
            [helper.make_tensor_value_info("pixels", uint8, shape)],
            [helper.make_tensor_value_info(last, float32, (1, network.classes))],
            self._tensors,
            value_info=[helper.make_tensor_value_info(*value) for value in self._values if value[0] != last],
        )
        # qonnx's note of a tensor's integer type: it says how many bits pictures have.
        note = graph.quantization_annotation.add()
        note.tensor_name = "pixels"
        entry = note.quant_parameter_tensor_names.add()
        entry.key, entry.value = "finn_datatype", f"UINT{network.input.bits}"
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_DOMAIN, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR, producer_name="signfold")
        helper.set_model_props(model, {"signfold.content_hash": network.content_hash})
        return model.SerializeToString(deterministic=True)

    # Pieces.

    def _name(self, name: str) -> str:
        while name in self._names:
            name += "'"
        self._names.add(name)
        return name

    def _constant(self, name: str, array: np.ndarray) -> str:
        array = np.asarray(array)
        narrow = array.astype(np.float32)
        if (np.abs(array) >= 1 << 52).any() or (narrow.astype(np.float64) != array).any():
            raise CompileError(
                f"node {shown(name)}: {float(np.abs(array).max()):.17g} or another of its numbers is not exact in "
                f"float32; allowed: scores of at most 24 bits"
            )
        name = self._name(name)
        self._tensors.append(self._onnx.numpy_helper.from_array(narrow, name))
        return name

    def _add(
        self, op: str, inputs: Sequence[str], name: str, shape: Sequence[int], domain: str = "", **attributes
    ) -> str:
        name = self._name(name)
        self._nodes.append(
            self._onnx.helper.make_node(op, list(inputs), [name], name=name, domain=domain, **attributes)
        )
        self._values.append((name, self._onnx.TensorProto.FLOAT, tuple(shape)))
        return name

    def _per_channel(self, values: np.ndarray, rank: int) -> np.ndarray:
        """Lay one number a channel along the second of `rank` dimensions."""
        return np.asarray(values).reshape(1, -1, *(1,) * (rank - 2))

    # Nodes.

    def _node(self, node, source: str, value: ValueType) -> str:
        result = self._network.types[node.name]
        shape = (1, *result.shape)
        match node:
            case Threshold():
                return self._threshold(node, source, value, shape)
            case Dense():
                source = self._odd(node.input, source, value)
                if len(value.shape) > 1:
                    source = self._add("Flatten", [source], f"{node.name}.flat", (1, value.elements), axis=1)
                weights = self._weights(node, np.float32)
                if self._form == "quant":
                    # As Brevitas has them: one row a channel, turned.
                    weights = self._add(
                        "Transpose", [weights], f"{node.name}.turned", node.weights.shape[::-1], perm=[1, 0]
                    )
                return self._add("MatMul", [source, weights], node.name, shape)
            case Conv():
                return self._conv(node, self._odd(node.input, source, value), value, shape)
            case MaxPool():
                return self._add("MaxPool", [source], node.name, shape, **_window(node))
            case SumPool():
                source = self._odd(node.input, source, value)
                area = node.kernel[0] * node.kernel[1]
                mean = self._add(
                    "AveragePool", [source], f"{node.name}.mean", shape, count_include_pad=1, **_window(node)
                )
                return self._add("Mul", [mean, self._constant(f"{node.name}.area", area)], node.name, shape)
            case Affine():
                if len(value.shape) > 1:
                    source = self._add("Flatten", [source], f"{node.name}.flat", (1, value.elements), axis=1)
                unit = 2.0**-node.fraction
                scale = self._constant(f"{node.name}.scale", node.scale * unit)
                product = self._add("Mul", [source, scale], f"{node.name}.product", shape)
                return self._add(
                    "Add", [product, self._constant(f"{node.name}.offset", node.offset * unit)], node.name, shape
                )
        raise AssertionError(f"{type(node).__name__} has been refused before")

    def _odd(self, name: str, source: str, value: ValueType) -> str:
        """Return the tensor of v: the pictures' codes and their maxima are no odd integers yet."""
        if value.kind == "sum" or self._odd_codes(name):
            return source
        shape = (1, *value.shape)
        doubled = self._add("Mul", [source, self._constant("pixels.two", 2)], "pixels.doubled", shape)
        return self._add("Sub", [doubled, self._constant("pixels.top", value.high)], "pixels.odd", shape)

    def _threshold(self, node: Threshold, source: str, value: ValueType, shape: tuple[int, ...]) -> str:
        # Of codes of a node the odd integers come in.
        odd = value.kind == "code" and self._odd_codes(node.input)
        thresholds = 2 * node.thresholds - value.high if odd else node.thresholds
        inverted = node.inverted
        name = node.name if inverted is None else f"{node.name}.codes"
        if self._form == "quant" and node.levels == 1:
            rows = self._per_channel(thresholds, len(shape))
            less = self._add(
                "Sub", [source, self._constant(f"{node.name}.thresholds", rows)], f"{node.name}.less", shape
            )
            codes = self._add("BipolarQuant", [less, self._constant(f"{node.name}.one", 1)], name, shape, _DOMAIN)
        else:
            codes = self._add(
                "MultiThreshold",
                [source, self._constant(f"{node.name}.thresholds", thresholds)],
                name,
                shape,
                _DOMAIN,
                out_scale=2.0,
                out_bias=float(-node.levels),
                out_dtype="BIPOLAR" if node.levels == 1 else f"INT{node.levels.bit_length() + 1}",
                data_layout={2: "NC", 3: "NCW", 4: "NCHW", 5: "NCDHW"}[len(shape)],
            )
        if inverted is None:
            return codes
        signs = self._per_channel(np.where(inverted, -1, 1), len(shape))
        return self._add("Mul", [codes, self._constant(f"{node.name}.signs", signs)], node.name, shape)

    def _odd_codes(self, name: str) -> bool:
        """Say whether a node's codes are the odd integers: all but maxima of the pictures' codes."""
        while name != "input":
            node = self._network.node(name)
            if isinstance(node, Threshold):
                return True
            name = node.input
        return False

    def _weights(self, node: Dense | Conv, dtype: type) -> str:
        """Return the tensor of weights ``[channels, ...]``; of a dense layer in the other form, turned."""
        integers = 2 * node.weights.astype(np.int64) - (node.levels - 1)
        name = f"{node.name}.weights"
        if self._form != "quant":
            return self._constant(name, integers if isinstance(node, Conv) else integers.T)
        latents = self._constant(f"{name}.latent", integers)
        one, two, zero = (
            self._constant(f"{name}.{what}", number) for what, number in (("one", 1), ("two", 2), ("zero", 0))
        )
        if node.levels == 2:
            return self._add("BipolarQuant", [latents, one], name, integers.shape, _DOMAIN)
        # Ternary weights are -2, 0 and 2; odd integers of k bits are among the signed ones of k + 1.
        scale, bits = (two, 2) if node.levels == 3 else (one, node.levels.bit_length())
        inputs = [latents, scale, zero, self._constant(f"{name}.bits", bits)]
        return self._add("Quant", inputs, name, integers.shape, _DOMAIN, signed=1, narrow=1, rounding_mode="ROUND")

    def _conv(self, node: Conv, source: str, value: ValueType, shape: tuple[int, ...]) -> str:
        weights = self._weights(node, np.float32)
        filled = 0 if node.pad is None else 2 * node.pad - value.high
        if not filled:
            return self._add("Conv", [source, weights], node.name, shape, group=node.groups, **_window(node))
        # Pads are real zeros in ONNX: move the code of the pads there, and its products into a bias.
        less = self._constant(f"{node.name}.pad", filled)
        moved = self._add("Sub", [source, less], f"{node.name}.moved", (1, *value.shape))
        totals = (2 * node.weights.astype(np.int64) - (node.levels - 1)).reshape(node.channels, -1).sum(axis=1)
        bias = self._constant(f"{node.name}.bias", filled * totals)
        return self._add("Conv", [moved, weights, bias], node.name, shape, group=node.groups, **_window(node))


def _window(node: Conv | MaxPool | SumPool) -> dict[str, list[int]]:
    top, bottom, left, right = node.padding
    return {"kernel_shape": list(node.kernel), "strides": list(node.stride), "pads": [top, left, bottom, right]}
