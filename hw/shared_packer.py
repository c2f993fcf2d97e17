"""Packer of a shared engine: sums become codes, the largest of a pooling window, words of the next layer's input."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.delay import delayed
from signfold.hw.lookup import lookup
from signfold.hw.shapes import beat_layout
from signfold.hw.shared_layer import RESULT_LEVELS
from signfold.hw.stream import QueueParameters

__all__ = ["Packer", "PackerParameters"]

_BEAT, _TAPS, _PASS = (RESULT_LEVELS.index(level) for level in ("beat", "tap_y", "pass"))


@dataclass(frozen=True, eq=False)
class PackerParameters:
    """What the sums of a shared engine go through.

    Parameters
    ----------
    engine : SharedEngineParameters
        The engine.
    """

    engine: Any

    @property
    def bits(self) -> int:
        """Bits of the widest code that goes into memory; 1 if none does."""
        return max((layer.engine.planes.activation_bits for layer in self.engine.layers[1:]), default=1)

    def create(self) -> "Packer":
        """Return the gateware."""
        return Packer(self)


class Packer(wiring.Component):
    """Take the sums at the edge of the array.

    Parameters
    ----------
    parameters : PackerParameters
        The engine.

    Members
    -------
    done : In(1)
        The array shows group 0 of a pass; the others follow, one a cycle.
    sums : In(array of lanes sums)
        Sums of a group.
    word : Out(array of simd codes)
        A word of codes of the next layer's input, lanes past the channels 0.
    valid : Out(1), ready : In(1)
        It is there; it is taken. Codes of one bit are taken at once.
    beat : Out(beat_layout(lanes, output_bits)), given : Out(1)
        What the last layer gives; it is there.
    """

    def __init__(self, parameters: PackerParameters):
        self.parameters = parameters
        p = parameters.engine
        super().__init__(
            {
                "done": In(1),
                "sums": In(data.ArrayLayout(unsigned(p.sum_width), p.lanes)),
                "word": Out(data.ArrayLayout(unsigned(parameters.bits), p.simd)),
                "valid": Out(1),
                "ready": In(1),
                "beat": Out(beat_layout(p.lanes, p.output_bits)),
                "given": Out(1),
            }
        )

    def elaborate(self, platform):
        p = self.parameters.engine
        m = Module()
        m.submodules.results = results = p.results.create()
        beats = [layer.final_beats for layer in p.layers]
        final_beats = lookup(m, results.program, beats, "final_beats")
        last_pass, keep, opening = Signal(), Signal(), Signal(init=1)
        passes = lookup(m, results.program, [layer.engine.passes - 1 for layer in p.layers], "passes")
        m.d.comb += [
            results.step.eq(self.done | (results.iteration_0 != 0)),
            last_pass.eq(results.iteration_3 == passes),
            keep.eq(~last_pass | (results.iteration_0 < final_beats)),
        ]
        with m.If(results.step & results.ends[_BEAT]):
            m.d.sync += opening.eq(results.ends[_TAPS])
        # Of the positions that a code is the largest of, the last.
        closing = Signal()
        if max(layer.taps[0] * layer.taps[1] for layer in p.layers) == 1:
            m.d.comb += closing.eq(1)
        else:
            ends = [
                getattr(results, f"iteration_{n}")
                == lookup(m, results.program, [layer.taps[axis] - 1 for layer in p.layers], f"tap_{n}")
                for n, axis in ((1, 1), (2, 0))
            ]
            m.d.comb += closing.eq(ends[0] & ends[1])
        inside = Const(1)
        if p.units is not None:
            entry, inside = self._entry(m, results)
        is_last = results.program == len(p.layers) - 1
        ending = last_pass & (results.iteration_0 == final_beats - 1)
        flags = Cat(results.step, keep & closing, opening, is_last, ending, inside)
        sums = Cat(self.sums)
        codes = None
        if p.units is not None:
            m.submodules.thresholds = thresholds = p.units.create()
            m.d.comb += [thresholds.entry.eq(entry), Cat(thresholds.sums).eq(sums)]
            codes = list(thresholds.codes)
        late = delayed(m, flags, p.unit_latency, "flags")
        out, bits = (flags, sums) if p.thresholds is None else (late, None)
        if bits is None:
            bits = Cat(code[: p.output_bits] for code in codes)
        m.d.comb += [
            Cat(self.beat.codes).eq(bits),
            self.beat.last.eq(out[4]),
            self.given.eq(out[0] & out[1] & out[3]),
        ]
        if len(p.layers) > 1:
            self._pack(m, codes, *late)
        return m

    def _entry(self, m, results):
        """Return the entry of the next sums' thresholds, and whether these sums are inside a pooling's input."""
        p = self.parameters.engine
        if not p.bordered:
            return results.following_0, Const(1)
        # Sums outside are told from the place: so many rows and columns lie before the first.
        offset, inside = Const(0), Const(1)
        for axis, (following, place) in enumerate(
            ((results.following_1, results.value_1), (results.following_2, results.value_2))
        ):
            shifts = [0 if layer.pool is None else layer.pool.padding[2 * axis] for layer in p.layers]
            sizes = [layer.size[axis] for layer in p.layers]
            if any(layer.outside for layer in p.layers):
                low = lookup(m, results.program, shifts, f"low_{axis}")
                high = lookup(m, results.program, [a + b for a, b in zip(shifts, sizes, strict=True)], f"high_{axis}")
                inside = inside & (place >= low) & (place < high)
            found = Signal(range(p.units.entries + 1), name=f"offset_{axis}")
            with m.Switch(results.next_program):
                for k, layer in enumerate(p.layers):
                    border = layer.border[0]
                    if layer.engine.thresholds is None or border is None or border.count == 1:
                        continue
                    classes = border.columns if axis else [n * border.column_classes for n in border.rows]
                    table = [0] * shifts[k] + [n * layer.engine.beats for n in classes]
                    with m.Case(k):
                        m.d.comb += found.eq(lookup(m, following, table, f"class_{axis}_{k}"))
            offset = offset + found
        return results.following_0 + offset, inside

    def _pack(self, m, codes, put, keep, opening, is_last, ending, inside):
        """Pool and gather codes of the layers but the last."""
        parameters, p = self.parameters, self.parameters.engine
        width = parameters.bits
        codes = [Mux(inside, code[:width], 0) for code in codes]
        if any(layer.pool is not None for layer in p.layers):
            # The codes of a group's channels come round once a position of the window.
            ring = [Signal(width * p.lanes, name=f"pooled_{n}") for n in range(p.array.groups)]
            best = []
            for lane, code in enumerate(codes):
                so_far = ring[-1].word_select(lane, width) & (~opening).replicate(width)
                best.append(code | so_far if width == 1 else Mux(code > so_far, code, so_far))
            codes = best
            with m.If(put):
                m.d.sync += [after.eq(before) for after, before in zip(ring, [Cat(codes), *ring], strict=False)]
        places = p.simd // p.lanes
        place, full = Signal(range(places)), Signal()
        word, known = Signal(width * p.simd), Signal()
        take = put & keep & ~is_last
        m.d.comb += full.eq((place == places - 1) | ending)
        m.d.sync += known.eq(take & full)
        with m.If(take):
            m.d.sync += place.eq(Mux(full, 0, place + 1))
            for n in range(places):
                here = word.word_select(n, width * p.lanes)
                m.d.sync += here.eq(Mux(place == n, Cat(codes), here & (place != 0).replicate(width * p.lanes)))
        if width == 1:
            m.d.comb += [Cat(self.word).eq(word), self.valid.eq(known)]
            return
        m.submodules.waiting = waiting = QueueParameters(unsigned(width * p.simd), p.waiting + 2).create()
        m.d.comb += [
            waiting.i.payload.eq(word),
            waiting.i.valid.eq(known),
            Cat(self.word).eq(waiting.o.payload),
            self.valid.eq(waiting.o.valid),
            waiting.o.ready.eq(self.ready),
        ]
