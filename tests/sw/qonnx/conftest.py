"""QONNX graphs built with `onnx.helper`, small ones by hand and random chains of everything that imports."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="QONNX tests need signfold[onnx]")

DOMAINS = ("onnx.brevitas", "finn.custom_op.general", "qonnx.custom_op.general")


class Builder:
    """A graph under construction: `add` nodes, then `save`; `last` is the newest tensor."""

    def __init__(self, shape, *, domain=DOMAINS[2], dtype=np.float32, opset=15, integers=False):
        self.shape, self.domain, self.dtype, self.opset, self.integers = tuple(shape), domain, dtype, opset, integers
        self.nodes, self.tensors, self.last, self.count = [], [], "x", 0

    def constant(self, array, dtype=None):
        self.count += 1
        name = f"c{self.count}"
        array = np.asarray(array, dtype or self.dtype)
        self.tensors.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return name

    def add(self, op, *inputs, outputs=1, source=None, **attributes):
        """Append a node that reads the last tensor, then constants: arrays, or names of tensors."""
        self.count += 1
        name = f"{op}{self.count}"
        custom = op in ("BipolarQuant", "Quant", "IntQuant", "MultiThreshold", "XnorPopcountMatMul")
        names = [item if isinstance(item, str) else self.constant(item) for item in inputs]
        names = [self.last if source is None else source, *names]
        results = [name, *(f"{name}_{extra}" for extra in range(1, outputs))]
        domain = self.domain if custom else ""
        self.nodes.append(onnx.helper.make_node(op, names, results, name=name, domain=domain, **attributes))
        self.last = name
        return name

    def of_constant(self, op, array, *inputs, **attributes):
        """Append a node that reads constants alone, and leave the last tensor as it is."""
        last = self.last
        name = self.add(op, *inputs, source=self.constant(array), **attributes)
        self.last = last
        return name

    def model(self):
        kind = onnx.TensorProto.UINT8 if self.integers else onnx.helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        output = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        graph = onnx.helper.make_graph(
            self.nodes,
            "g",
            [onnx.helper.make_tensor_value_info("x", kind, self.shape)],
            [onnx.helper.make_tensor_value_info(self.last, output, None)],
            self.tensors,
        )
        opsets = [onnx.helper.make_opsetid("", self.opset), onnx.helper.make_opsetid(self.domain, 1)]
        return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def save(self, path):
        path.write_bytes(self.model().SerializeToString())
        return path


class Chain(Builder):
    """A random chain. `dyadic`: all numbers are exact in double precision, roots too."""

    def __init__(self, rng, *, dyadic):
        channels, rows, columns = (int(size) for size in rng.integers(1, 6, 3))
        image = rng.random() < 0.6
        self.rng, self.dyadic = rng, dyadic
        self.value = (channels, rows, columns) if image else (channels * rows,)
        super().__init__((1, *self.value), domain=str(rng.choice(DOMAINS)), dtype=np.float64 if dyadic else np.float32)
        self.codes = False
        if rng.random() < 0.5:
            self.affine(common=True)
        if rng.random() < 0.7:
            self.quantize()
        for _ in range(int(rng.integers(0, 3))):
            self.products(int(rng.integers(1, 6)))
            self.elementwise()
            self.pool(0.3)
            self.quantize()
            self.pool(0.3)
        if len(self.value) == 3 and rng.random() < 0.3:
            self.average()
        self.flatten()
        self.products(int(rng.integers(2, 6)))
        tail = rng.random()
        if tail < 0.3:
            self.affine(common=True, positive=True)
        elif tail < 0.5:
            self.norm()

    def numbers(self, shape, low=-3.0, high=3.0, nonzero=False):
        values = self.rng.uniform(low, high, shape)
        if self.dyadic:
            values = np.round(values * 4) / 4
        if nonzero:
            values = np.where(values == 0, 1, values)
        return values

    def per_channel(self, values):
        return np.asarray(values).reshape(1, -1, *(1,) * (len(self.value) - 1))

    def affine(self, *, common=False, positive=False):
        count = 1 if common or self.rng.random() < 0.4 else self.value[0]
        factor = self.numbers(count, 0.25 if positive else -2, 2, nonzero=True)
        if self.dyadic:
            # Powers of two, so that quotients are exact too.
            factor = np.sign(factor) * 2.0 ** np.round(np.log2(np.abs(factor)))
        constant = self.numbers(count)
        shape = self.per_channel if count > 1 else (lambda v: v)
        for op in self.rng.permutation(["Mul", "Add", "Sub", "Div"])[: int(self.rng.integers(1, 4))]:
            self.add(str(op), shape(factor if op in ("Mul", "Div") else constant))

    def norm(self):
        count = self.value[0]
        variance = self.numbers(count, 0.25, 4, nonzero=True)
        eps = 1e-5
        if self.dyadic:
            variance, eps = (2.0 ** self.rng.integers(-2, 3, count)) ** 2, 0.0
        beta, mean = (self.numbers(count) for _ in range(2))
        self.add("BatchNormalization", self.numbers(count), beta, mean, variance, epsilon=eps)

    def elementwise(self):
        rng = self.rng
        if rng.random() < 0.5:
            self.affine(positive=rng.random() < 0.5)
        if rng.random() < 0.6:
            self.norm()
        if rng.random() < 0.3:
            self.add("Relu")
        if rng.random() < 0.3:
            self.add("Clip", np.array(-0.75), np.array(2.5))

    def quantize(self):
        rng, kind = self.rng, self.rng.random()
        self.codes = True
        if kind < 0.4:
            self.add("BipolarQuant", np.array([rng.choice([1.0, 0.5, 2.0, -1.0])]))
            return
        if kind < 0.75:
            mode = str(rng.choice(["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "HALF_EVEN"]))
            signed, narrow = int(rng.integers(2)), int(rng.integers(2))
            bits = int(rng.integers(1 if signed else 2, 4))
            scale, zero = np.array(2.0 ** rng.integers(-2, 2)), np.array(float(rng.integers(-1, 2)))
            # Narrow signed codes of few bits: two bits at least.
            bits = max(bits, 2) if narrow else bits
            op = str(rng.choice(["Quant", "IntQuant"]))
            self.add(op, scale, zero, np.array(float(bits)), signed=signed, narrow=narrow, rounding_mode=mode)
            return
        rows = 1 if rng.random() < 0.4 else self.value[0]
        thresholds = np.sort(self.numbers((rows, int(rng.integers(1, 8))), -8, 8), axis=1)
        layout = {1: "NC", 3: "NCHW"}[len(self.value)]
        scale = float(rng.choice([1.0, 2.0, 0.5]))
        self.add("MultiThreshold", thresholds, out_scale=scale, out_bias=float(rng.integers(-3, 2)), data_layout=layout)

    def weights(self, shape):
        rng, kind = self.rng, self.rng.random()
        if kind < 0.5:
            return self.of_constant("BipolarQuant", rng.uniform(-1, 1, shape), np.array(rng.choice([1.0, 0.25])))
        if kind < 0.75:
            latents, scale, zero, bits = rng.uniform(-1.5, 1.5, shape), np.array(0.5), np.array(0.0), np.array(2.0)
            return self.of_constant("Quant", latents, scale, zero, bits, signed=1, narrow=1, rounding_mode="ROUND")
        # Odd integers of two bits, and a scale a channel.
        odd = 2 * rng.integers(0, 4, shape) - 3
        return self.constant(odd * 2.0 ** rng.integers(-1, 2, (shape[0], *(1,) * (len(shape) - 1))))

    def products(self, channels):
        rng = self.rng
        if len(self.value) == 3:
            depthwise = self.value[0] > 1 and rng.random() < 0.25
            channels = self.value[0] if depthwise else channels
            kernel = [int(rng.integers(1, min(size, 3) + 1)) for size in self.value[1:]]
            weights = self.weights((channels, 1 if depthwise else self.value[0], *kernel))
            strides = [int(rng.integers(1, 3)) for _ in range(2)]
            attributes = {"kernel_shape": kernel, "strides": strides, "group": self.value[0] if depthwise else 1}
            bias = [self.numbers(channels)] if rng.random() < 0.3 else []
            self.add("Conv", weights, *bias, **attributes)
            sizes = [(size - k) // s + 1 for size, k, s in zip(self.value[1:], kernel, strides, strict=True)]
            self.value = (channels, *sizes)
            return
        if rng.random() < 0.5:
            name = self.weights((channels, self.value[0]))
            bias = [self.numbers(channels)] if rng.random() < 0.5 else []
            self.add("Gemm", name, *bias, transB=1)
        else:
            turned = self.weights((channels, self.value[0]))
            last = self.last
            turned = self.add("Transpose", source=turned, perm=[1, 0])
            self.last = last
            self.add("MatMul", turned)
        self.value = (channels,)

    def pool(self, chance):
        if len(self.value) == 3 and self.rng.random() < chance:
            kernel = [int(self.rng.integers(1, min(size, 2) + 1)) for size in self.value[1:]]
            self.add("MaxPool", kernel_shape=kernel, strides=kernel)
            self.value = (self.value[0], *(size // k for size, k in zip(self.value[1:], kernel, strict=True)))

    def average(self):
        """Append a convolution, and the means of what it gives, normalized or not: the scores, or what is quantized."""
        self.products(int(self.rng.integers(2, 6)))
        self.elementwise()
        self.add("GlobalAveragePool") if self.rng.random() < 0.5 else self.add("ReduceMean", axes=[2, 3])
        self.value = (self.value[0], 1, 1)
        self.elementwise()
        self.quantize()

    def flatten(self):
        if len(self.value) != 3:
            return
        if self.rng.random() < 0.5:
            self.add("Flatten", axis=1)
        else:
            shape = self.constant([1, -1], np.int64)
            self.add("Reshape", shape)
        self.value = (int(np.prod(self.value)),)


@pytest.fixture(scope="session")
def builder():
    return Builder


@pytest.fixture(scope="session")
def chain():
    return Chain


@pytest.fixture(scope="session")
def oracle():
    """Evaluate a model by ONNX's own reference evaluator, custom operators as QONNX's specification has them."""
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun

    def rounded(x, mode):
        away = {"UP": np.ceil, "HALF_UP": lambda a: np.floor(a + 0.5), "HALF_DOWN": lambda a: np.ceil(a - 0.5)}
        whole = {"ROUND": np.round, "HALF_EVEN": np.round, "CEIL": np.ceil, "FLOOR": np.floor, "DOWN": np.trunc}
        return whole[mode](x) if mode in whole else np.sign(x) * away[mode](np.abs(x))

    def quant(x, scale, zero, bits, signed, narrow, mode):
        scaled = x / scale + zero
        if signed and bits == 1:
            return (np.where(scaled >= 0, 1.0, -1.0) - zero) * scale
        low = -(2 ** (bits - 1)) + narrow if signed else 0
        high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
        return (rounded(np.clip(scaled, low, high), mode) - zero) * scale

    def operators(domain):
        class BipolarQuant(OpRun):
            op_domain = domain

            def _run(self, x, scale):
                return (np.where(x >= 0, scale, -scale).astype(x.dtype),)

        class Quant(OpRun):
            op_domain = domain

            def _run(self, x, scale, zero, bits, signed=1, narrow=1, rounding_mode="ROUND"):
                return (quant(x, scale, zero, float(bits), signed, narrow, rounding_mode).astype(x.dtype),)

        class IntQuant(Quant):
            pass

        class MultiThreshold(OpRun):
            op_domain = domain

            def _run(self, x, thresholds, out_scale=1.0, out_bias=0.0, data_layout="NC", out_dtype=""):
                axis = data_layout.index("C")
                counts = (np.moveaxis(x, axis, -1)[..., None] >= thresholds).sum(axis=-1)
                return ((out_scale * np.moveaxis(counts, -1, axis) + out_bias).astype(x.dtype),)

        return [BipolarQuant, Quant, IntQuant, MultiThreshold]

    def evaluate(model, domain, pictures):
        run = ReferenceEvaluator(model, new_ops=operators(domain))
        return np.stack([run.run(None, {"x": picture[None]})[0][0] for picture in pictures])

    return evaluate
