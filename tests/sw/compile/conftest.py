"""Checkpoints written as training writes them, without torch."""

import json
from fractions import Fraction
from math import isqrt
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

NORM = ("weight", "bias", "running_mean", "running_var")


class Run:
    """A run folder under construction: change `layers` and `tensors`, then `write`."""

    def __init__(self, rng, widths, head="scale", bits=5, dataset="digits", eps=1e-5) -> None:
        self.document = {"format": "signfold-checkpoint", "version": 1, "dataset": dataset, "training": {"seed": 5}}
        self.layers = [{"kind": "input_threshold", "thresholds": [1 << (bits - 2)]}]
        self.input = {"shape": [widths[0]], "bits": bits}
        self.tensors = {}
        self.best = {"epoch": 3, "validation_accuracy": 0.5}
        for index, (fan_in, channels) in enumerate(zip(widths, widths[1:], strict=False)):
            self.layers.append({"kind": "dense", "name": f"dense{index}", "in": fan_in, "out": channels})
            self.tensors[f"model.dense{index}.weight"] = rng.uniform(-1, 1, (channels, fan_in)).astype(np.float32)
            if index == len(widths) - 2 and head != "batchnorm":
                if head == "scale":
                    self.layers.append({"kind": "scale", "name": "scale"})
                    self.tensors["model.scale.log_scale"] = np.array(-2.5, np.float32)
                continue
            kind = "batchnorm" if index == len(widths) - 2 else "batchnorm_sign"
            self.layers.append({"kind": kind, "name": f"norm{index}", "eps": eps})
            values = (
                rng.normal(0.6, 0.6, channels),
                rng.normal(0, 0.6, channels),
                rng.normal(0, fan_in**0.5, channels),
                fan_in * rng.uniform(0.1, 2, channels),
            )
            for name, value in zip(NORM, values, strict=True):
                self.tensors[f"model.norm{index}.{name}"] = value.astype(np.float32)

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        model = {"input": self.input, "layers": self.layers}
        document = {**self.document, "model": model, "history": [self.best], "best": self.best}
        (folder / "checkpoint.json").write_text(json.dumps(document))
        last = {**self.tensors, "optimizer.step": np.array([7], np.int64), "rng.torch": np.zeros(9, np.uint8)}
        safetensors.numpy.save_file(last, folder / "checkpoint.safetensors", {"signfold": json.dumps(document)})
        safetensors.numpy.save_file(self.tensors, folder / "best.safetensors", {"signfold": json.dumps(self.best)})
        return folder


class ImageRun(Run):
    """A run of pictures 1x8x8 with every kind of layer, weights of 1 bit, 2 bits and three levels."""

    def __init__(self, rng, dataset="digits", head="scale") -> None:
        self.document = {"format": "signfold-checkpoint", "version": 1, "dataset": dataset, "training": {"seed": 5}}
        self.input = {"shape": [1, 8, 8], "bits": 5}
        self.best = {"epoch": 3, "validation_accuracy": 0.5}
        self.tensors = {}
        window = {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0, 0, 0]}
        padded = {"kernel": [3, 3], "stride": [1, 1], "padding": [1, 1, 1, 1], "pad": "zero"}
        self.layers = [
            {"kind": "input_codes", "name": "pixels", "mean": [0.5], "std": [0.5]},
            {"kind": "conv", "name": "conv0", "in": 1, "out": 6, **padded, "groups": 1},
            {"kind": "maxpool", "name": "pool0", **window},
            {"kind": "batchnorm_sign", "name": "norm0", "eps": 1e-5},
            {"kind": "conv", "name": "conv1", "in": 6, "out": 6, **padded, "groups": 6, "weights": {"levels": 2}},
            {"kind": "avgpool", "name": "pool1", **window},
            {"kind": "batchnorm_quant", "name": "norm1", "eps": 1e-5, "bits": 2, "signed": False},
            {"kind": "conv", "name": "conv2", "in": 6, "out": 8, **padded, "groups": 1},
            {"kind": "batchnorm_quant", "name": "norm2", "eps": 1e-5, "bits": 2, "signed": True},
            {"kind": "avgpool", "name": "pool2", **window},
            {"kind": "dense", "name": "dense0", "in": 8, "out": 10},
        ]
        self.layer("conv2")["weights"] = {"levels": 4, "method": "dorefa"}
        self.layer("dense0")["weights"] = {"levels": 3, "method": "ternary", "delta": 0.7}
        for name, shape, levels in (
            ("conv0", (6, 1, 3, 3), 2),
            ("conv1", (6, 1, 3, 3), 2),
            ("conv2", (8, 6, 3, 3), 4),
            ("dense0", (10, 8), 3),
        ):
            self.tensors[f"model.{name}.weight"] = rng.uniform(-1, 1, shape).astype(np.float32)
            if levels > 2:
                self.tensors[f"model.{name}.codes"] = rng.integers(0, levels, shape).astype(np.uint8)
        for name, channels, spread in (("norm0", 6, 2.0), ("norm1", 6, 1.0), ("norm2", 8, 2.0)):
            self.norm(rng, name, channels, spread)
        if head == "scale":
            self.layers.append({"kind": "scale", "name": "scale"})
            self.tensors["model.scale.log_scale"] = np.array(-1.0, np.float32)
        else:
            self.layers.append({"kind": "batchnorm", "name": "scores", "eps": 1e-5})
            self.norm(rng, "scores", 10, 1.0)

    def layer(self, name) -> dict:
        """Return an entry of the layer list."""
        return next(entry for entry in self.layers if entry["name"] == name)

    def norm(self, rng, name, channels, spread) -> None:
        values = (
            rng.normal(0.4, 0.6, channels),
            rng.normal(0.3, 0.4, channels),
            rng.normal(0, spread / 2, channels),
            spread**2 * rng.uniform(0.1, 2, channels),
        )
        for tensor, value in zip(NORM, values, strict=True):
            self.tensors[f"model.{name}.{tensor}"] = value.astype(np.float32)


@pytest.fixture
def make_run():
    """Give tests the builder of run folders."""
    return Run


@pytest.fixture
def make_image_run():
    """Give tests the builder of run folders of convolutional networks."""
    return ImageRun


def exact_signs(gamma, beta, mean, variance, eps, sums) -> list[int]:
    """Return the sign of gamma*(s - mean)/sqrt(variance + eps) + beta for each sum, from an enclosure of the root.

    Shares nothing with the compiler: neither its comparison of squares nor its integers. An enclosure of 1000 bits
    decides all float32 parameters: the root is rational at a tie, hence exact here, and nowhere closer to one than
    2**-900.
    """
    gamma, beta, mean, spread = (Fraction(float(x)) for x in (gamma, beta, mean, variance))
    spread += Fraction(float(np.float32(eps)))
    digits = 1000
    # sqrt(a/b) = sqrt(a*b)/b, enclosed by the integer root of a*b*4**digits.
    under = (spread.numerator * spread.denominator) << (2 * digits)
    root = isqrt(under)
    answers = []
    for s in sums:
        rational = gamma * (s - mean)
        left = rational.numerator * beta.denominator * (spread.denominator << digits)
        right = beta.numerator * rational.denominator
        ends = {left + right * bound for bound in (root, root + (root * root != under))}
        signs = {(end > 0) - (end < 0) for end in ends}
        assert len(signs) == 1, "undecided"
        answers.append(signs.pop())
    return answers


@pytest.fixture
def exact():
    """Give tests the independent predicate."""
    return exact_signs
