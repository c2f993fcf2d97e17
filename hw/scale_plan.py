"""What a scale unit computes once all that is constant is folded."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Shape, signed, unsigned

from signfold.hw.shapes import signed_width
from signfold.hw.sums import SumFormat

__all__ = ["ScaleField", "ScalePlan", "scale_plan"]


@dataclass(frozen=True)
class ScaleField:
    """A number that channels differ in.

    Parameters
    ----------
    name : str
        "factor", "shift", "negative", "some" or "offset": see `ScalePlan`.
    table : str
        Which table holds it: "m", read with the sums, or "o", read when the product is there.
    width : int
        Bits of it.
    values : tuple of int
        One a channel; offsets may be negative.
    """

    name: str
    table: str
    width: int
    values: tuple[int, ...]


@dataclass(frozen=True)
class ScalePlan:
    """``clip((factor * ((u ^ negative) & some) << shift + offset) >> right)``, each of these one a channel.

    `negative` and `some` are bits that stand for all bits of u: a negative multiple of u is a positive one of its
    complement and a constant. `some` is 0 where the multiplier is, and only channels of powers of two have it.

    Parameters
    ----------
    constants : dict
        Names of fields -> the value that all channels have.
    fields : tuple of ScaleField
        Those in which they differ.
    bits : int
        Width of u.
    right : int
        Bits dropped at the end.
    product_width : int
        Bits of the product, unsigned.
    total_range : tuple of int
        Least and largest sum of product and offset.
    cut : tuple of int
        Least and largest result, where results may lie beyond; None where they cannot.
    """

    constants: dict[str, int]
    fields: tuple[ScaleField, ...]
    bits: int
    right: int
    product_width: int
    total_range: tuple[int, int]
    cut: tuple[int | None, int | None]

    @property
    def multiplies(self) -> bool:
        """Whether the product takes a cycle: multipliers or shifts differ, or one multiplier is no power of two."""
        factor = self.constants.get("factor", 0)
        return "shift" not in self.constants or "factor" not in self.constants or factor & (factor - 1) != 0

    @property
    def saturates(self) -> bool:
        """Whether anything is cut."""
        return self.cut != (None, None)

    @property
    def total_shape(self) -> Shape:
        """Shape of the sum of product and offset."""
        low, high = self.total_range
        return signed(signed_width((low, high))) if low < 0 else unsigned(max(1, high.bit_length()))

    @property
    def latency(self) -> int:
        """Cycles: product, addition, saturation, as far as there are any."""
        return self.multiplies + 1 + self.saturates

    def compute(self, channel: int, u: int) -> int:
        """Return what a channel's u becomes, number by number as the gateware does it."""
        value = self.constants | {field.name: field.values[channel] for field in self.fields}
        operand = (u ^ ((1 << self.bits) - 1 if value["negative"] else 0)) * value["some"]
        result = (value["factor"] * operand << value["shift"]) + value["offset"] >> self.right
        low, high = self.cut
        if low is not None:
            result = max(result, low)
        return result if high is None else min(result, high)


def scale_plan(
    factors: Sequence[int],
    offsets: Sequence[int],
    right: int,
    source: SumFormat,
    limits: tuple[int | None, int | None],
) -> ScalePlan:
    """Return how ``clip((factors[c] * u + offsets[c]) >> right)`` is computed.

    Parameters
    ----------
    factors, offsets : sequence of int
        One a channel, of any sign.
    right : int
        Bits dropped.
    source : SumFormat
        Width and largest of u.
    limits : tuple of int or None
        Least and largest result.
    """
    whole = (1 << source.bits) - 1
    # Zeros that all factors end with are as many bits fewer to drop: of floor((2**k * a + b) / 2**n) the lowest k bits
    # of b are lost as well.
    zeros = [_trailing_zeros(factor) for factor in factors if factor]
    common = min([right, *zeros])
    factors, offsets, right = [f >> common for f in factors], [o >> common for o in offsets], right - common
    ranges = [_ends(f, o, source.largest) for f, o in zip(factors, offsets, strict=True)]
    total = min(low for low, _ in ranges), max(high for _, high in ranges)
    low, high = limits
    cut = (
        low if low is not None and total[0] >> right < low else None,
        high if high is not None and total[1] >> right > high else None,
    )
    sizes = [abs(factor) for factor in factors]
    powers = all(size & (size - 1) == 0 for size in sizes)
    # A factor of 0 does not care for what it is multiplied with.
    negative = _settled([factor < 0 for factor in factors], factors)
    values = {"negative": negative}
    if powers:
        least = min((_trailing_zeros(size) for size in sizes if size), default=0)
        shifts = [_trailing_zeros(size) - least if size else 0 for size in sizes]
        values |= {
            "some": [int(size > 0) for size in sizes],
            "shift": _settled(shifts, sizes),
            "factor": [1 << least] * len(sizes),
        }
    else:
        values |= {"some": [1] * len(sizes), "shift": [0] * len(sizes), "factor": sizes}
    values["offset"] = [
        offset - (size * whole if minus else 0) for offset, size, minus in zip(offsets, sizes, negative, strict=True)
    ]
    constants, fields = {}, []
    for name, each in values.items():
        if len(set(each)) == 1:
            constants[name] = int(each[0])
        else:
            width = signed_width(each) if min(each) < 0 else max(each).bit_length()
            fields.append(ScaleField(name, "o" if name == "offset" else "m", width, tuple(map(int, each))))
    product_width = max(1, (max(sizes) * whole).bit_length())
    return ScalePlan(constants, tuple(fields), source.bits, right, product_width, total, cut)


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1


def _ends(factor: int, offset: int, largest: int) -> tuple[int, int]:
    """Return the least and the largest sum."""
    ends = sorted((offset, factor * largest + offset))
    return ends[0], ends[1]


def _settled(values: Sequence[int], factors: Sequence[int]) -> list[int]:
    """Return values that are those of the others where the factor is 0, so that they may be all the same."""
    rest = [int(value) for value, factor in zip(values, factors, strict=True) if factor]
    return [int(value) if factor or not rest else rest[0] for value, factor in zip(values, factors, strict=True)]
