"""The gateware of scale units."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from signfold.hw.delay import delayed
from signfold.hw.shapes import unit_members

__all__ = ["ScaleUnit"]


class ScaleUnit(wiring.Component):
    """Scale the sums of positions, beat by beat in channel order.

    Latency `parameters.latency`, throughput one beat a cycle, no flow control; one multiplier a lane, or none. A beat
    with `last` is a position's final one whatever came before: the tables begin again behind it. The first beat may
    come no sooner than the second cycle after reset.

    Parameters
    ----------
    parameters : ScaleParameters
        Scales and widths.

    Members
    -------
    sums : In(array of lanes sums)
        Sums of a beat, unsigned.
    valid : In(1)
        A beat is there.
    last : In(1)
        It is a position's final one.
    codes : Out(array of lanes values)
        What becomes of the beat of `latency` cycles before, unsigned; 0 in lanes without a channel.
    known : Out(1)
        A beat was there `latency` cycles before.
    """

    def __init__(self, parameters):
        self.parameters = p = parameters
        super().__init__(unit_members(p.lanes, p.sum_width, p.output_bits) | {"last": In(1)})

    def elaborate(self, platform):
        p, plan = self.parameters, self.parameters.plan
        m = Module()
        words = self._elaborate_tables(m)
        m.d.comb += self.known.eq(delayed(m, self.valid, plan.latency, "valid"))
        # The beat whose results are about to appear is a position's final one.
        ends = None
        if p.channels % p.lanes:
            ends = delayed(m, self.last, plan.latency - 1, "last")
        for lane in range(p.lanes):
            product = self._elaborate_product(m, lane, words)
            total = Signal(plan.total_shape, name=f"total_{lane}", reset_less=True)
            m.d.sync += total.eq(product + self._field("offset", lane, words, signed_too=True))
            shifted = total >> plan.right
            held = total
            if plan.saturates:
                cut = Signal(p.output_bits, name=f"cut_{lane}")
                m.d.comb += cut.eq(shifted)
                least, largest = plan.cut
                if least is not None:
                    with m.If(shifted < least):
                        m.d.comb += cut.eq(least)
                if largest is not None:
                    with m.If(shifted > largest):
                        m.d.comb += cut.eq(largest)
                held = Signal(p.output_bits, name=f"result_{lane}", reset_less=True)
                m.d.sync += held.eq(cut)
                shifted = held
            m.d.comb += self.codes[lane].eq(shifted)
            if lane > (p.channels - 1) % p.lanes:
                with m.If(ends):
                    m.d.sync += held.eq(0)
        return m

    def _elaborate_tables(self, m):
        """Place the tables; return the word of each when it is wanted."""
        p, plan = self.parameters, self.parameters.plan
        current, following = Signal(range(p.beats)), Signal(range(p.beats))
        if p.beats > 1:
            m.d.comb += following.eq(Mux(self.valid, Mux(self.last, 0, current + 1), current))
            m.d.sync += current.eq(following)
        words = {}
        for kind, table in p.tables.items():
            m.submodules[table.name] = rom = table.create()
            # A table is read one cycle ahead, which hides its latency; offsets are wanted when the product is there.
            m.d.comb += rom.address.eq(current if kind == "o" and plan.multiplies else following)
            words[kind] = rom.data
        return words

    def _field(self, name, lane, words, *, signed_too=False):
        """Return a lane's value of a field of its channel, or the one that all have."""
        plan = self.parameters.plan
        if name in plan.constants:
            return Const(plan.constants[name])
        field = next(field for field in plan.fields if field.name == name)
        same = [each for each in plan.fields if each.table == field.table]
        start = lane * sum(each.width for each in same) + sum(each.width for each in same[: same.index(field)])
        value = words[field.table][start : start + field.width]
        return value.as_signed() if signed_too and min(field.values) < 0 else value

    def _elaborate_product(self, m, lane, words):
        """Return the product of a lane, in the cycle in which it is added to."""
        p, plan = self.parameters, self.parameters.plan
        factor, shift, negative, some = (
            self._field(name, lane, words) for name in ("factor", "shift", "negative", "some")
        )
        operand = Signal(p.sum_width, name=f"operand_{lane}")
        m.d.comb += operand.eq((self.sums[lane] ^ negative[0].replicate(p.sum_width)) & some[0].replicate(p.sum_width))
        if "factor" not in plan.constants:
            value = operand * factor
        else:
            # What is left of a power of two is wiring.
            constant = plan.constants["factor"]
            left = max(0, (constant & -constant).bit_length() - 1)
            value = (operand << shift if "shift" not in plan.constants else operand) << left
            value = value * (constant >> left) if constant >> left != 1 else value
        if not plan.multiplies:
            return value
        product = Signal(plan.product_width, name=f"product_{lane}", reset_less=True)
        m.d.sync += product.eq(value)
        return product
