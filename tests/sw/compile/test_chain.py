"""Random small networks of every kind: each code of each layer equals that of the trained graph in exact arithmetic."""

from fractions import Fraction
from math import isqrt, log2

import numpy as np
import pytest

from signfold.sw.compile import compile_network
from signfold.sw.compile.activation import SIGN, rounding, scaled_sign
from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.copies import copy_sums
from signfold.sw.compile.float_layers import AveragePooling, CommonScale, MaxPooling, PixelCodes, PixelThresholds
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.linear_layers import FloatConv, FloatDense, LinearLayer
from signfold.sw.compile.window import Window
from signfold.sw.errors import CompileError
from signfold.sw.network import Affine, Conv, Dense, InputType, Network

F = np.float32

#: What the compiler may say to a random network that it cannot fold; everything else is a failure.
REFUSALS = ("pads are the real number 0", "averages zeros in", "at most 8", "bits, but score_bits", "multiplied by 0")


def fractions(array) -> np.ndarray:
    return np.vectorize(lambda x: Fraction(float(x)), otypes=[object])(array)


def windows(value, window, pad):
    """Yield the windows of a value [C, H, W] of fractions with pads, row by row."""
    top, bottom, left, right = window.padding
    channels, height, width = value.shape
    padded = np.empty((channels, height + top + bottom, width + left + right), object)
    padded[...] = pad if np.ndim(pad) == 0 else np.asarray(pad, object)[:, None, None]
    padded[:, top : top + height, left : left + width] = value
    rows = range(0, padded.shape[1] - window.kernel[0] + 1, window.stride[0])
    columns = range(0, padded.shape[2] - window.kernel[1] + 1, window.stride[1])
    grid = [
        [padded[:, row : row + window.kernel[0], column : column + window.kernel[1]] for column in columns]
        for row in rows
    ]
    return grid


def pooled(value, window, pad, reduce):
    grid = windows(value, window, pad)
    return np.array(
        [[[reduce(part[channel].ravel()) for part in row] for row in grid] for channel in range(len(value))], object
    )


def root_bounds(spread: Fraction) -> tuple[Fraction, Fraction]:
    """Enclose a root in 2**-600 of it, or in no space at all where it is rational."""
    under = (spread.numerator * spread.denominator) << 1200
    root = isqrt(under)
    scale = spread.denominator << 600
    return Fraction(root, scale), Fraction(root + (root * root != under), scale)


class RealNetwork:
    """The trained graph on rational numbers, as its layers are defined; counts results exactly between two codes."""

    def __init__(self, network: FloatNetwork) -> None:
        self.network = network
        self.ties = 0

    def run(self, frame: np.ndarray) -> tuple[dict[str, np.ndarray], list[tuple[Fraction, Fraction]]]:
        """Return the codes of each activation by name, and lower and upper bounds of the scores."""
        codes, table = {}, None
        value = frame.astype(object)
        for layer in self.network.layers:
            match layer:
                case PixelThresholds():
                    thresholds = layer.thresholds.reshape(-1, *(1,) * (frame.ndim - 1))
                    table = lambda q, _: Fraction(2 * q - 1)  # noqa: E731
                    value = np.where(frame >= thresholds, Fraction(1), Fraction(-1))
                case PixelCodes():
                    top = 2**self.network.input.bits - 1
                    mean, std = (fractions(np.resize(p, frame.shape[0])) for p in (layer.mean, layer.std))
                    table = lambda q, c, top=top, mean=mean, std=std: (Fraction(q, top) - mean[c]) / std[c]  # noqa: E731
                    value = np.array(
                        [[table(int(q), c) for q in frame[c].ravel()] for c in range(len(frame))], object
                    ).reshape(frame.shape)
                case FloatDense():
                    value = self.weights(layer) @ value.ravel() + self.biases(layer)
                case FloatConv():
                    value = self.conv(layer, value, table) + self.biases(layer)[:, None, None]
                case MaxPooling():
                    value = pooled(value, layer.window, Fraction(-(10**60)), max)
                case AveragePooling():
                    value = pooled(value, layer.window, Fraction(0), lambda part: sum(part) / len(part))
                case CommonScale():
                    pass
                case BatchNorm(activation=None):
                    return codes, [self.norm(layer, c, x) for c, x in enumerate(value.ravel())]
                case BatchNorm():
                    levels, kind = layer.activation.levels, layer.activation.kind
                    trained = np.array(
                        [[self.code(layer, c, x) for x in value[c].ravel()] for c in range(len(value))]
                        if value.ndim > 1
                        else [self.code(layer, c, x) for c, x in enumerate(value)]
                    ).reshape(value.shape)
                    scale = Fraction(layer.activation.scale)
                    codes[layer.name] = trained if scale > 0 else 1 - trained
                    table = {
                        "sign": lambda q, _, scale=scale: scale * (2 * q - 1),
                        "unsigned": lambda q, _, n=levels: Fraction(q, n),
                        "signed": lambda q, _, n=levels: Fraction(2 * q - n, n),
                        "coupled": lambda q, _: Fraction(q, 2),
                    }[kind]
                    value = np.vectorize(lambda q, t=table: t(int(q), 0), otypes=[object])(trained)
        return codes, [(x, x) for x in value.ravel()]

    def weights(self, layer) -> np.ndarray:
        values = self.values(layer)
        if layer.scale is None:
            return values
        return values * fractions(np.resize(layer.scale, layer.channels)).reshape(-1, *(1,) * (values.ndim - 1))

    @staticmethod
    def biases(layer) -> np.ndarray:
        if layer.bias is None:
            return np.full(layer.channels, Fraction(0))
        return np.where(layer.bias >= 0, Fraction(1), Fraction(-1))

    @staticmethod
    def values(layer) -> np.ndarray:
        if layer.levels == 2 and not layer.stored:
            return np.where(layer.weights >= 0, Fraction(1), Fraction(-1))
        if layer.levels == 3:
            return np.vectorize(lambda c: Fraction(int(c) - 1), otypes=[object])(layer.codes)
        top = layer.levels - 1
        return np.vectorize(lambda c: Fraction(2 * int(c) - top, top), otypes=[object])(layer.codes)

    def conv(self, layer, value, table) -> np.ndarray:
        weights = self.weights(layer)
        pad = Fraction(0) if layer.pad is None else [table(layer.pad, c) for c in range(len(value))]
        grid = windows(value, layer.window, pad)
        result = np.empty((len(weights), len(grid), len(grid[0])), object)
        for channel, kernel in enumerate(weights):
            for y, row in enumerate(grid):
                for x, part in enumerate(row):
                    part = part[channel : channel + 1] if layer.groups > 1 else part
                    result[channel, y, x] = (part * kernel).sum()
        return result

    @staticmethod
    def norm(layer, channel, x) -> tuple[Fraction, Fraction]:
        gamma, beta, mean, variance = (
            Fraction(float(p[channel])) for p in (layer.gamma, layer.beta, layer.mean, layer.variance)
        )
        if layer.shift is not None:
            beta += Fraction(float(layer.shift[channel]))
        if layer.powers is not None:
            weight, deviation = (float(values[channel]) for values in layer.powers)
            gamma = Fraction((weight > 0) - (weight < 0))
            for number in (weight, deviation):
                gamma *= Fraction(2) ** round(log2(abs(number))) if number else 0
            return (gamma * (x - mean) + beta,) * 2
        bounds = root_bounds(variance + Fraction(float(F(layer.eps))))
        return tuple(sorted(gamma * (x - mean) / root + beta for root in bounds))

    def code(self, layer, channel, x) -> int:
        levels, kind = layer.activation.levels, layer.activation.kind
        answers = set()
        for y in self.norm(layer, channel, x):
            if kind == "sign":
                self.ties += y == 0
                answers.add(int(y >= 0))
                continue
            if kind == "coupled":
                self.ties += y in (Fraction(1, 4), Fraction(3, 4))
                answers.add((y > Fraction(1, 4)) + (y > Fraction(3, 4)))
                continue
            y = levels * min(max(y, Fraction(0)), 1) if kind == "unsigned" else (min(max(y, -1), 1) + 1) * levels / 2
            y = Fraction(y)
            self.ties += y.denominator == 2
            answers.add(round(y))  # halves to even
        assert len(answers) == 1, "undecided"
        return answers.pop()


def random_norm(rng, name, channels, spread, activation) -> BatchNorm:
    """Return parameters as trained, tiny, zero, or dyadic with results exactly between codes; both signs of gamma."""
    sign = rng.choice([-1, 1], channels)
    shift = rng.choice([0.0, 0.25, rng.random()], channels) if activation == SIGN and rng.random() < 0.3 else None
    if rng.random() < 0.2:
        weight = sign * rng.choice([1.0, 0.7, 1e-3, 0.0], channels)
        deviation = rng.gamma(2, 0.5, channels) / spread * rng.choice([1, 1, 1, 0], channels)
        beta, mean = rng.integers(-2, 5, channels) / 4, np.round(rng.normal(0, spread, channels))
        vectors = (np.asarray(values, F) for values in (weight, beta, mean, deviation))
        return BatchNorm.by_shift(name, *vectors, activation, shift=shift)
    if rng.random() < 0.5:
        gamma, beta = sign * rng.gamma(2, 0.5, channels), rng.normal(0.3, 0.5, channels)
        mean, variance = rng.normal(0, spread, channels), spread**2 * rng.uniform(0.1, 2, channels)
        special = rng.integers(0, 8, channels)
        gamma = np.where(special == 0, 0, np.where(special == 1, gamma * 1e-30, gamma))
        beta = np.where(special == 2, 0, beta)
        return BatchNorm(name, gamma, beta, mean, variance, 1e-5, activation, shift)
    gamma = sign * 2.0 ** rng.integers(-3, 2, channels)
    beta = rng.integers(-2, 5, channels) / 4
    mean = np.round(rng.normal(0, spread, channels))
    variance = np.full(channels, 0.75) + rng.choice([0, 3], channels)
    return BatchNorm(name, gamma, beta, mean, variance, 0.25, activation, shift)


def random_weights(rng, shape) -> dict:
    levels = int(rng.choice([2, 2, 2, 3, 4, 16]))
    weights = rng.normal(size=shape)
    weights[rng.random(shape) < 0.05] = rng.choice([0.0, -0.0])
    scale = bias = None
    if rng.random() < 0.3:
        bias = rng.choice([0.0, -0.0, *rng.normal(size=4)], shape[0])
    elif rng.random() < 0.7:
        # Mean magnitudes, trained numbers, powers of two; 0 and negative ones among them.
        scale = rng.choice([0.0, -0.5, 0.25, 1.0, *rng.normal(size=4)], int(rng.choice([1, shape[0], shape[0]])))
        scale = np.abs(scale) + 0.5 if len(scale) == 1 and scale[0] == 0 else scale
    return {
        "weights": weights,
        "levels": levels,
        "codes": rng.integers(0, levels, shape).astype(np.uint8) if levels > 2 or rng.random() < 0.3 else None,
        "scale": scale,
        "bias": bias,
    }


def random_window(rng, picture, least=1, pads=True) -> Window:
    kernel = tuple(int(rng.integers(least, min(3, size) + 1)) if size >= least else size for size in picture)
    padding = tuple(int(rng.integers(0, kernel[side // 2])) if pads else 0 for side in range(4))
    return Window(kernel, tuple(int(s) for s in rng.integers(1, 3, 2)), padding)


def random_pool(rng, name, shape):
    kind = rng.choice([MaxPooling, AveragePooling])
    return kind(name, random_window(rng, shape[1:], pads=rng.random() < 0.3))


def random_activation(rng):
    if rng.random() < 0.4:
        return SIGN if rng.random() < 0.5 else scaled_sign("norm", float(F(rng.choice([-0.75, 0.5, rng.normal()]))))
    if rng.random() < 0.3:
        return rounding("norm", None, False, 3)
    return rounding("norm", int(rng.integers(1, 4)), bool(rng.integers(2)))


def random_network(rng) -> FloatNetwork:
    """Return any chain that the layer list allows: convolutions, pools before and after norms, dense layers, heads."""
    shape = (int(rng.integers(1, 4)), int(rng.integers(3, 7)), int(rng.integers(3, 7)))
    frames = InputType(shape, int(rng.choice([1, 2, 4, 8])))
    if rng.random() < 0.4:
        layers = [PixelThresholds("pixels", rng.integers(0, 1 << frames.bits, int(rng.choice([1, shape[0]]))))]
        spread = 1.0
    else:
        mean = [0.5] if rng.random() < 0.5 else rng.uniform(0, 1, int(rng.choice([1, shape[0]])))
        std = [float(rng.choice([0.5, 1.0, 0.25, 0.2]))] * int(rng.choice([1, shape[0]]))
        layers = [PixelCodes("pixels", np.array(mean), np.array(std))]
        spread = 0.6 / std[0]
    highest = 1 if isinstance(layers[0], PixelThresholds) else (1 << frames.bits) - 1
    blocks = int(rng.integers(1, 4))
    for block in range(blocks + 1):
        last = block == blocks
        channels = int(rng.integers(2, 5))
        if len(shape) == 3 and rng.random() < (0.5 if last else 0.8):
            depthwise = not last and shape[0] > 1 and rng.random() < 0.25
            channels = shape[0] if depthwise else channels
            window = random_window(rng, shape[1:], pads=rng.random() < 0.5)
            pad = int(rng.integers(0, highest + 1)) if highest and rng.random() < 0.3 else None
            weights = random_weights(rng, (channels, 1 if depthwise else shape[0], *window.kernel))
            layer = FloatConv(f"conv{block}", **weights, window=window, pad=pad, groups=shape[0] if depthwise else 1)
        else:
            layer = FloatDense(f"dense{block}", **random_weights(rng, (channels, int(np.prod(shape)))))
        spread *= layer.fan_in**0.5
        layers.append(layer)
        shape = layer.shape(shape)
        if last:
            if len(shape) == 3 and shape[1:] != (1, 1):
                layers.append(AveragePooling("mean", Window(shape[1:])))
            break
        if len(shape) == 3 and rng.random() < 0.5:
            layers.append(random_pool(rng, f"pool{block}", shape))
            shape = layers[-1].shape(shape)
        activation = random_activation(rng)
        highest, spread = activation.levels, 0.7
        if rng.random() < 0.15 and getattr(layer, "groups", 1) == 1:
            layers = copy_sums(layers, 2, "pair")
            shape = (2 * shape[0], *shape[1:])
        scale = 1.0 if layer.scale is None else float(np.abs(layer.scale).max()) or 1.0
        layers.append(random_norm(rng, f"norm{block}", shape[0], scale * layer.fan_in**0.5 / 2, activation))
        if len(shape) == 3 and rng.random() < 0.4:
            layers.append(random_pool(rng, f"after{block}", shape))
            shape = layers[-1].shape(shape)
            if isinstance(layers[-1], AveragePooling):
                highest = 0
            if rng.random() < 0.2:
                layers.append(random_norm(rng, f"again{block}", shape[0], 0.5, SIGN))
                highest = 1
                if not isinstance(layers[-2], AveragePooling):
                    layers.pop()
                    highest = activation.levels
    head = rng.choice(["none", "scale", "batchnorm"])
    if head == "scale":
        layers.append(CommonScale("scale", np.array(rng.normal())))
    elif head == "batchnorm":
        layers.append(random_norm(rng, "scores", channels, spread, None))
    return FloatNetwork(frames, tuple(layers))


def check(network: FloatNetwork, rng, frames: int) -> tuple[Network, int]:
    """Compile a network and compare some frames code by code, and classes; return it and the ties met."""
    compiled = compile_network(network, score_bits=40)
    pictures = rng.integers(0, 1 << network.input.bits, (frames, *network.input.shape)).astype(np.uint8)
    if frames > 2:
        pictures[0], pictures[1] = 0, (1 << network.input.bits) - 1
    trace, classes = compiled.trace(pictures), compiled.evaluate(pictures).classes
    real = RealNetwork(network)
    output = compiled.node(compiled.output)
    for index, picture in enumerate(pictures):
        codes, scores = real.run(picture)
        for name, wanted in codes.items():
            assert (trace[name][index] == wanted).all(), (name, index)
        best = max(low for low, _ in scores)
        near = Fraction(1, 1 << 20) * (1 + max(abs(low) for low, _ in scores))
        last = [layer for layer in network.body if isinstance(layer, LinearLayer)][-1]
        scaled = last.scale is not None and last.scale.size > 1
        exact = not (isinstance(output, Affine) and (isinstance(network.head, BatchNorm) or scaled))
        candidates = [c for c, (_, high) in enumerate(scores) if high >= (best if exact else best - near)]
        if exact and all(low == high for low, high in scores):
            assert classes[index] == candidates[0], index
        else:
            assert classes[index] in candidates, index
    return compiled, real.ties


def special(layer) -> set[str]:
    """Name what is particular to a layer."""
    if isinstance(layer, LinearLayer):
        scale = layer.scale if layer.scale is not None else np.ones(1)
        found = {"scales": scale.size > 1, "scale 0": (scale == 0).any(), "negative scale": (scale < 0).any()}
        found |= {"sums twice": layer.copies > 1, "biases": layer.bias is not None}
    elif isinstance(layer, BatchNorm) and layer.activation is not None:
        found = {"opposite bits": layer.activation.scale < 0, "three levels": layer.activation.levels == 2}
        found |= {"shift": layer.shift is not None, "powers": layer.powers is not None}
    else:
        return set()
    return {name for name, met in found.items() if met}


def run(seed: int, count: int, frames: int) -> None:
    """Compile random networks; most must fold, some tie, and every operation occur."""
    print("seed", seed)
    rng = np.random.default_rng(seed)
    folded = ties = inverted = 0
    seen = set()
    for number in range(count):
        network = random_network(rng)
        try:
            compiled, met = check(network, rng, frames)
        except CompileError as cause:
            assert any(words in str(cause) for words in REFUSALS) and "verify" not in str(cause), (number, cause)
            continue
        folded, ties = folded + 1, ties + met
        seen.update(type(node).__name__ for node in compiled.nodes)
        seen.update(f"levels {node.levels}" for node in compiled.nodes if isinstance(node, (Conv, Dense)))
        seen.update("depthwise" for node in compiled.nodes if isinstance(node, Conv) and node.depthwise)
        seen.update(kind for layer in network.layers for kind in special(layer))
        seen.update("codes of means" for node in compiled.nodes if node.name.endswith(".codes"))
        inverted += any(getattr(node, "inverted", None) is not None for node in compiled.nodes)
    print(f"{folded} of {count} fold, {ties} ties, {inverted} with inverted channels")
    kinds = {"Threshold", "Dense", "Conv", "MaxPool", "SumPool", "Affine", "depthwise", "codes of means"}
    kinds |= {
        "biases",
        "scales",
        "scale 0",
        "negative scale",
        "sums twice",
        "opposite bits",
        "three levels",
        "shift",
        "powers",
    }
    assert seen >= kinds | {f"levels {levels}" for levels in (2, 3, 4, 16)}
    assert folded > count // 2 and ties > count // 4 and inverted > count // 20


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("pads", [False, True])
def test_means_of_channels_of_their_own(depthwise, pads) -> None:
    """Each channel's mean folds into the offsets of what reads it; pads are a code, another real number in each."""
    rng = np.random.default_rng(7)
    window = Window((1, 3), (1, 1), (0, 0, 1, 1) if pads else (0, 0, 0, 0))
    weights = {"weights": rng.normal(size=(3, 1 if depthwise else 3, 1, 3)), "window": window}
    layers = (
        PixelCodes("pixels", np.array([0.1, 0.5, 0.77]), np.array([0.2])),
        FloatConv("conv", **weights, pad=3 if pads else None, groups=3 if depthwise else 1),
        random_norm(rng, "norm", 3, 2.0, rounding("norm", 3, False)),
        FloatDense("last", rng.normal(size=(4, 3 * (16 if pads else 8)))),
    )
    check(FloatNetwork(InputType((3, 4, 4), 4), layers), rng, 40)


def test_dense_layers_read_pixels_of_channels_of_their_own() -> None:
    rng = np.random.default_rng(8)
    layers = (
        PixelCodes("pixels", np.array([0.1, 0.5, 0.77]), np.array([0.2])),
        FloatDense("dense", rng.normal(size=(6, 12)), levels=3, codes=rng.integers(0, 3, (6, 12))),
        random_norm(rng, "norm", 6, 4.0, rounding("norm", 3, True)),
        FloatDense("last", rng.normal(size=(4, 6))),
    )
    check(FloatNetwork(InputType((3, 2, 2), 4), layers), rng, 40)


@pytest.mark.parametrize("seed", range(4))
def test_random_networks(seed) -> None:
    run(seed, 60, 4)


@pytest.mark.sweep
def test_many_random_networks() -> None:
    run(int(np.random.SeedSequence().entropy % (1 << 32)), 2000, 6)
