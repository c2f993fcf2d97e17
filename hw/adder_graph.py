"""Adder graph: products with a constant matrix as sums of two terms each, which outputs share."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from signfold.hw.check import check_integer

__all__ = ["AdderGraph", "Output", "Sum"]


@dataclass(frozen=True)
class Sum:
    """One term of two: (left << left_shift) + (right << right_shift), or minus instead of plus.

    Parameters
    ----------
    left, right : int
        Terms: the inputs are 0 .. inputs - 1, sum k is inputs + k.
    minus : bool
        Subtract the right one.
    left_shift, right_shift : int
        Bits that they are shifted up.
    """

    left: int
    right: int
    minus: bool = False
    left_shift: int = 0
    right_shift: int = 0


@dataclass(frozen=True)
class Output:
    """An output: a term shifted up, perhaps negated.

    Parameters
    ----------
    term : int or None
        See `Sum`; None: the output is 0.
    minus : bool
        The output is the negated term.
    shift : int
        Bits that it is shifted up.
    """

    term: int | None
    minus: bool = False
    shift: int = 0


@dataclass(frozen=True)
class AdderGraph:
    """Sums that make outputs of inputs, all integers.

    Parameters
    ----------
    inputs : int
        Number of inputs.
    sums : tuple of Sum
        Each reads inputs and sums before it.
    outputs : tuple of Output
        What comes out.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    inputs: int
    sums: tuple[Sum, ...]
    outputs: tuple[Output, ...]

    def __post_init__(self):
        check_integer("graph inputs", self.inputs, minimum=1)
        for k, entry in enumerate(self.sums):
            for name in ("left", "right"):
                check_integer(f"sum {k} {name}", getattr(entry, name), minimum=0, maximum=self.inputs + k - 1)
                check_integer(f"sum {k} {name}_shift", getattr(entry, f"{name}_shift"), minimum=0, maximum=62)
        if not self.outputs:
            raise ValueError("graph outputs must hold at least one output")
        for k, output in enumerate(self.outputs):
            check_integer(f"output {k} shift", output.shift, minimum=0, maximum=62)
            if output.term is not None:
                check_integer(f"output {k} term", output.term, minimum=0, maximum=self.inputs + len(self.sums) - 1)

    @cached_property
    def coefficients(self) -> np.ndarray:
        """How each term depends on the inputs, int64, terms x inputs."""
        terms = np.zeros((self.inputs + len(self.sums), self.inputs), np.int64)
        terms[: self.inputs] = np.eye(self.inputs, dtype=np.int64)
        for k, entry in enumerate(self.sums):
            right = terms[entry.right] << entry.right_shift
            terms[self.inputs + k] = (terms[entry.left] << entry.left_shift) + (-right if entry.minus else right)
        return terms

    @cached_property
    def matrix(self) -> np.ndarray:
        """The matrix that the inputs are multiplied with, int64, outputs x inputs."""
        rows = np.zeros((len(self.outputs), self.inputs), np.int64)
        for row, output in zip(rows, self.outputs, strict=True):
            if output.term is not None:
                row[:] = self.coefficients[output.term] << output.shift
                if output.minus:
                    np.negative(row, out=row)
        return rows

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """Additions one after another that each term takes; inputs take 0."""
        levels = [0] * self.inputs
        for entry in self.sums:
            levels.append(1 + max(levels[entry.left], levels[entry.right]))
        return tuple(levels)

    @property
    def depth(self) -> int:
        """Additions one after another on the way to the deepest output."""
        return max(self.levels[output.term] if output.term is not None else 0 for output in self.outputs)

    def ranges(self, largest: int) -> tuple[tuple[int, int], ...]:
        """Return the smallest and largest value of each term for inputs from 0 to `largest`."""
        low = largest * np.minimum(self.coefficients, 0).sum(axis=1)
        high = largest * np.maximum(self.coefficients, 0).sum(axis=1)
        return tuple(zip(low.tolist(), high.tolist(), strict=True))

    def compute(self, values: np.ndarray) -> np.ndarray:
        """Return the outputs (... x outputs) for inputs (... x inputs), term by term as the gateware does."""
        values = np.asarray(values, np.int64)
        terms = [values[..., k] for k in range(self.inputs)]
        for entry in self.sums:
            right = terms[entry.right] << entry.right_shift
            terms.append((terms[entry.left] << entry.left_shift) + (-right if entry.minus else right))
        results = []
        for output in self.outputs:
            term = np.zeros(values.shape[:-1], np.int64) if output.term is None else terms[output.term] << output.shift
            results.append(-term if output.minus else term)
        return np.stack(results, axis=-1)
