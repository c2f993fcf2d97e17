"""Conversions of a graph's values: to sums, to fixed-point numbers, to codes that layers of weights read."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from fractions import Fraction
from math import ceil, log2

import numpy as np

from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.carried import Carried
from signfold.sw.compile.fixed_point import identity, lines, scale_node
from signfold.sw.compile.head import round_affine
from signfold.sw.compile.meaning import Meaning
from signfold.sw.network import InputType, Node, Quantize, SumPool, ValueType
from signfold.sw.network.golden import evaluation

__all__ = ["CODE_BITS", "Conversions"]

#: Bits of the codes that stand for real numbers where a layer of weights reads them.
CODE_BITS = 8
#: Bits of their multipliers.
_QUANTIZER_BITS = 16


class Conversions:
    """The nodes of a graph so far, and what brings values into other forms; each conversion is made once.

    Parameters
    ----------
    frames_type : InputType
        Pictures taken.
    names : collection of str
        Names that nodes of the compiler's own must not have.
    frames : numpy.ndarray
        Pictures that ranges of codes are chosen by, uint8 ``[n, *shape]``.
    fraction : int
        Fraction bits of fixed-point values.
    """

    def __init__(self, frames_type: InputType, names: Collection[str], frames: np.ndarray, fraction: int) -> None:
        self.fraction = fraction
        self.types: dict[str, ValueType] = {"input": frames_type.value}
        self.nodes: list[Node] = []
        self._names = {"input", *names}
        self._frames = {"input": frames}
        self._made: dict[tuple[str, str], Carried] = {}

    @property
    def unit(self) -> Meaning:
        """Integers of the common number of fraction bits."""
        return Meaning(divisor=Fraction(1 << self.fraction))

    def needed(self) -> Iterator[Node]:
        """Yield the nodes that the last one depends on."""
        used = {self.nodes[-1].name}
        for node in reversed(self.nodes):
            if node.name in used:
                used.update(node.inputs)
        return (node for node in self.nodes if node.name in used)

    def append(self, node: Node) -> str:
        """Add a node, evaluate it on the frames, and return its name."""
        read = [self.types[name] for name in node.inputs]
        self.types[node.name] = node.infer(*read)
        self._frames[node.name] = evaluation(node, read, self.types[node.name])(
            *(self._frames[name] for name in node.inputs)
        )
        self.nodes.append(node)
        return node.name

    def new_name(self, wanted: str) -> str:
        """Return a name that no other node or layer has."""
        while wanted in self._names:
            wanted += "'"
        self._names.add(wanted)
        return wanted

    def channels(self, value: Carried) -> int:
        """Return the channels of a value."""
        return self.types[value.source].shape[0]

    def norm_of(self, value: Carried, name: str) -> BatchNorm:
        """Return the normalization that a value waits for, or one that changes nothing."""
        return identity(name, self.channels(value)) if value.norm is None else value.norm

    def sums(self, value: Carried) -> Carried:
        """Return the value as sums: codes become the integers v that they stand for."""
        if self.types[value.source].kind == "sum":
            return value
        node = SumPool(self.new_name(f"{value.source}.values"), value.source, (1, 1), (1, 1))
        return replace(value, source=self.append(node))

    def settled(self, name: str, value: Carried) -> Carried:
        """Return a value of which nothing is left to be done."""
        return value if value.plain else self.fixed(name, value)

    def fixed(self, name: str, value: Carried) -> Carried:
        """Return a value in the common number of fraction bits."""
        if value.plain and value.meaning == self.unit and self.types[value.source].kind == "sum":
            return value
        key = name, "fixed"
        if key not in self._made:
            sums = self.sums(value)
            node = scale_node(
                self.new_name(f"{name}.fixed"),
                sums.source,
                self.norm_of(sums, name),
                sums.meaning,
                self.fraction,
                (value.low, value.high),
            )
            self._made[key] = Carried(self.append(node), self.unit)
        return self._made[key]

    def coded(self, name: str, value: Carried, *, padded: bool) -> Carried:
        """Return a value as codes, for a layer with weights to read."""
        if value.plain and self.types[value.source].kind == "code":
            return value
        key = name, "centred codes" if padded else "codes"
        if key not in self._made:
            self._made[key] = self._quantized(name, self.sums(value), padded=padded)
        return self._made[key]

    def _quantized(self, name: str, value: Carried, *, padded: bool) -> Carried:
        low, high = self._reached(value)
        top = (1 << CODE_BITS) - 1
        if padded and low < 0:
            # Pads are the real number 0, which lies in the middle of the codes.
            high = max(-low, high)
            low = -high
        unit = (high - low) / top if high > low else Fraction(1)
        if value.norm is None and value.meaning == self.unit:
            # A shift is enough: the next power of two, which is no finer than the numbers themselves.
            unit = max(Fraction(2) ** ceil(log2(unit)), Fraction(1, 1 << self.fraction))
            if padded and low < 0:
                low = -unit * top / 2
        norm = self.norm_of(value, name)
        slopes = [abs(slope) / float(unit) for slope, _ in lines(norm, value.meaning)]
        shift = max(0, _QUANTIZER_BITS - (ceil(log2(max(slopes))) if max(slopes) else 0))
        if value.norm is None and value.meaning == self.unit:
            shift = (unit * (1 << self.fraction)).numerator.bit_length() - 1
        numbers = round_affine(norm, Fraction(1 << shift) / unit, value.meaning, low)
        multiplier, offset = (np.array(each, np.int64) for each in numbers)
        offset = offset + ((1 << shift) >> 1)
        node = Quantize(self.new_name(f"{name}.codes"), value.source, multiplier, offset, shift, CODE_BITS)
        return Carried(self.append(node), Meaning((top + 2 * low / unit,), 2 / unit))

    def _reached(self, value: Carried) -> tuple[Fraction, Fraction]:
        """Return the lowest and highest real number that the frames reach, or the clips where they are nearer."""
        frames = np.moveaxis(self._frames[value.source], 1, -1).astype(np.float64)
        slope, offset = np.array(lines(self.norm_of(value, ""), value.meaning)).T
        reals = frames * slope + offset
        low, high = (Fraction(float(end)) for end in (reals.min(), reals.max()))
        low = low if value.low is None else max(low, value.low)
        high = high if value.high is None else min(high, value.high)
        return min(low, high), high
