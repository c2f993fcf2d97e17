"""Pass: a quantizer after a line becomes integer thresholds, by the compiler's own fold of batch normalization."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from signfold.sw.compile.fold import fold_norm
from signfold.sw.compile.meaning import Meaning
from signfold.sw.network import ValueType
from signfold.sw.qonnx.graph import Operation, refuse
from signfold.sw.qonnx.line import Line, single_root
from signfold.sw.qonnx.number import Number
from signfold.sw.qonnx.quantizers import Rounding, code_range

__all__ = ["MAX_LEVELS", "Steps", "bipolar_steps", "fold_steps", "quant_steps", "threshold_steps"]

#: Steps of a quantizer: codes have at most 8 bits.
MAX_LEVELS = 255
#: Farther out than any sum, whatever it is multiplied by: a step that is met always or never.
_FAR = Fraction(1 << (1 << 14))


@dataclass(frozen=True)
class Steps:
    """A step function of a channel, and what its codes stand for: ``slope*code + shift``.

    Parameters
    ----------
    steps : tuple of (Number, bool)
        Where the code becomes 1, 2, ..., in order, and whether it does so at that very number.
    slope, shift : Fraction
        Slope not 0; negative: higher codes stand for lower numbers.
    """

    steps: tuple[tuple[Number, bool], ...]
    slope: Fraction
    shift: Fraction

    # What `fold_norm` asks of an activation.

    @property
    def levels(self) -> int:
        """Number of steps."""
        return len(self.steps)

    @property
    def top(self) -> int:
        """Highest code of as many bits."""
        return (1 << self.levels.bit_length()) - 1

    def step(self, level: int) -> tuple[Number, bool]:
        """Return the step into a level, 1 to `levels`."""
        return self.steps[level - 1]


@dataclass(frozen=True, eq=False)
class _Norm:
    """One channel of a batch normalization whose parameters are rationals, not float32 numbers."""

    parameters: tuple[Fraction, Fraction, Fraction, Fraction]
    activation: Steps
    channels: int = 1

    @property
    def gamma(self) -> np.ndarray:
        return np.array([(self.parameters[0] > 0) - int(self.parameters[0] < 0)])

    def exact(self, channel: int) -> tuple[Fraction, Fraction, Fraction, Fraction]:
        """Return gamma, beta, mean and variance + eps."""
        return self.parameters


def bipolar_steps(operation: Operation, scale: Number) -> Steps:
    """Return the step of a BipolarQuant: at 0, inclusive, to plus and minus its scale."""
    if not isinstance(scale, Fraction) or scale == 0:
        raise refuse(operation, f"scale {float(scale):g} must be a number other than 0")
    return Steps(((Fraction(0), True),), 2 * scale, -scale)


def quant_steps(operation: Operation, scale: Number, zero: Number, bits: Number) -> Steps:
    """Return the steps of a Quant of this scale, zero point and bit width."""
    allowed, rounding = code_range(operation, bits), Rounding(operation)
    if not isinstance(scale, Fraction) or not isinstance(zero, Fraction) or scale <= 0:
        raise refuse(operation, f"scale {float(scale):g} must be positive")
    if allowed is None:
        return Steps(((-zero * scale, True),), 2 * scale, scale * (-1 - zero))
    low, high = allowed
    if high - low > MAX_LEVELS:
        raise refuse(
            operation,
            f"its {high - low + 1} values need codes of {(high - low).bit_length()} bits; at most 8 are possible",
        )
    steps = []
    for integer in range(low + 1, high + 1):
        reach, inclusive = rounding.step(integer)
        steps.append(((reach - zero) * scale, inclusive))
    return Steps(tuple(steps), scale, scale * (low - zero))


def threshold_steps(operation: Operation, thresholds: Sequence[Number]) -> Steps:
    """Return the steps of one row of a MultiThreshold."""
    scale = Fraction(operation.number("out_scale", 1.0))
    if scale == 0 or not 1 <= len(thresholds) <= MAX_LEVELS:
        raise refuse(operation, f"it must have 1 to {MAX_LEVELS} thresholds and an out_scale other than 0")
    return Steps(
        tuple((number, True) for number in sorted(thresholds)), scale, Fraction(operation.number("out_bias", 0.0))
    )


def fold_steps(
    operation: Operation, lines: Sequence[Line], steps: Sequence[Steps], value: ValueType, *, pooled: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return which channels' sums are negated, or inverted where `pooled`, and the thresholds (see `fold_norm`).

    `lines` and `steps` are one for all channels or one a channel; so is the result.

    Raises
    ------
    CompileError
        A line and a step hold square roots of different numbers.
    """
    count = max(len(lines), len(steps))
    negative, rows = np.zeros(count, bool), []
    known: dict[tuple[int, int], tuple[bool, np.ndarray]] = {}
    for channel in range(count):
        line, step = lines[channel % len(lines)], steps[channel % len(steps)]
        pair = (id(line), id(step))
        if pair not in known:
            norm = _norm(operation, line, step)
            flags, thresholds = fold_norm(norm, Meaning(), value, pooled=pooled)
            known[pair] = bool(flags[0]), thresholds[0]
        negative[channel] = known[pair][0]
        rows.append(known[pair][1])
    return negative, np.stack(rows)


def _norm(operation: Operation, line: Line, steps: Steps) -> _Norm:
    """Put clips into the steps: those not above the lower clip are always met, those above the higher one never."""
    settled = []
    for number, inclusive in steps.steps:
        if line.low is not None and _met(line.low, number, inclusive):
            number = -_FAR
        elif line.high is not None and not _met(line.high, number, inclusive):
            number = _FAR
        elif line.slope == 0:
            number = -_FAR if _met(line.shift, number, inclusive) else _FAR
        elif not isinstance(number, Fraction):
            raise refuse(operation, "its steps have square roots in them")
        settled.append((number, inclusive))
    if line.slope == 0:
        parameters = (Fraction(0), Fraction(0), Fraction(0), Fraction(1))
    else:
        parameters = single_root(line)
        if parameters is None:
            raise refuse(
                operation,
                "what it reads was divided by roots of different numbers (two batch normalizations without a quantizer "
                "between); the nearest that imports: one of them",
            )
    return _Norm(parameters, Steps(tuple(settled), steps.slope, steps.shift))


def _met(number: Number, step: Number, inclusive: bool) -> bool:
    return number >= step if inclusive else number > step
