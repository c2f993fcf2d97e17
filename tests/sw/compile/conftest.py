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


@pytest.fixture
def make_run():
    """Give tests the builder of run folders."""
    return Run


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
