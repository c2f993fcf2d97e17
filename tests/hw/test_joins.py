"""Where branches part and meet: forks, added and concatenated sums, padded channels, under stalls at every stream."""

import random
from functools import partial

import numpy as np
import pytest
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from signfold.hw.add_join import AddJoinParameters
from signfold.hw.concat_join import ConcatJoinParameters
from signfold.hw.fork import ForkParameters
from signfold.hw.image import ImageGeometry
from signfold.hw.lane_engine import LaneEngineParameters
from signfold.hw.pad_channels import PadChannelsParameters
from signfold.hw.scale import ScaleParameters
from signfold.hw.scale_stage import ScaleStageParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.stream import QueueParameters
from signfold.hw.sums import SumFormat, added_format, common_format
from signfold.hw.timing import offered, take_all
from signfold.hw.verilog import convert
from signfold.sim.streams import CLOCK_PERIOD, plain
from signfold.sim.timed import check_timing, paced
from signfold.sw.network import Add, Concat, PadChannels, ValueType
from signfold.sw.network.branches import add, concat, pad_channels


def packets(positions, lanes, bits=0):
    """Beats of positions of sums; lanes past the last channel hold 0, or with `bits` ones."""
    beats = []
    surplus = -positions.shape[1] % lanes
    for codes in np.pad(positions, [(0, 0), (0, surplus)], constant_values=(1 << bits) - 1):
        groups = codes.reshape(-1, lanes).tolist()
        beats += [{"codes": group, "last": int(k == len(groups) - 1)} for k, group in enumerate(groups)]
    return beats


def run(dut, inputs, outputs, limit=5_000, spoiled=0):
    """Move all payloads of all inputs; return what comes out, and the cycles of transfers, by stream.

    Inputs are payloads and the earliest cycle of each, by stream; outputs are the earliest cycles. Cycle 0 is the
    second after reset, as in `signfold.hw.timing`. The reset comes after as many cycles as are to be spoiled, in which
    first payloads are offered again and again and one output in two is ready.
    """
    reset = Signal()
    cycles = {name: [] for name in (*inputs, *outputs)}
    got = {name: [] for name in outputs}
    waiting = dict.fromkeys(outputs)

    async def bench(ctx):
        for name, (payloads, _) in inputs.items():
            ctx.set(getattr(dut, name).payload, payloads[0])
            ctx.set(getattr(dut, name).valid, spoiled > 0)
        for cycle in range(spoiled):
            for k, name in enumerate(outputs):
                ctx.set(getattr(dut, name).ready, (cycle + k) % 2)
            await ctx.tick()
        for name in inputs:
            ctx.set(getattr(dut, name).valid, 0)
        ctx.set(reset, spoiled > 0)
        await ctx.tick()
        ctx.set(reset, 0)
        if spoiled:
            await ctx.tick()
        for cycle in range(limit):
            if all(len(cycles[name]) == len(inputs[name][0]) for name in inputs) and all(
                len(cycles[name]) == len(outputs[name]) for name in outputs
            ):
                return
            going = {}
            for name, (payloads, earliest) in inputs.items():
                k = len(cycles[name])
                going[name] = k < len(payloads) and cycle >= earliest[k]
                if going[name]:
                    ctx.set(getattr(dut, name).payload, payloads[k])
                ctx.set(getattr(dut, name).valid, going[name])
            for name, earliest in outputs.items():
                k = len(cycles[name])
                going[name] = k >= len(earliest) or cycle >= earliest[k]
                ctx.set(getattr(dut, name).ready, going[name])
            others = [getattr(dut, name).ready for name in inputs] + [getattr(dut, name).valid for name in outputs]
            payloads = [getattr(dut, name).payload for name in outputs]
            _, _, *sampled = await ctx.tick().sample(*others, *payloads)
            for name, other in zip(cycles, sampled, strict=False):
                if going[name] and other:
                    cycles[name].append(cycle)
            shown = zip(outputs, sampled[len(inputs) :], sampled[len(cycles) :], strict=False)
            for name, valid, payload in shown:
                value = plain(payload) if valid else None
                assert waiting[name] in (None, value), f"{name} in cycle {cycle}: {value!r}, before {waiting[name]!r}"
                waiting[name] = None if going[name] else value
                if going[name] and valid:
                    got[name].append(value)
        raise AssertionError(f"stuck: { ({name: len(moved) for name, moved in cycles.items()}) }")

    simulator = Simulator(ResetInserter(reset)(dut))
    simulator.add_clock(CLOCK_PERIOD)
    simulator.add_testbench(bench)
    simulator.run()
    return got, cycles


def check_join(p, inputs, expected, seed):
    """Compare a join's output and the cycle of its every output transfer, without stalls and with stalls everywhere."""
    for pause in (0, 1, 2):
        print("seed", seed, "pause", pause)
        pace = random.Random(f"{seed} {pause}")
        offers = [paced(pace, len(beats), pause and pace.choice([0.2, 1, 2])) for beats in inputs]
        ready = paced(pace, len(expected), pause and pace.choice([0, 1]))
        streams = {f"i{k}": pair for k, pair in enumerate(zip(inputs, offers, strict=True))}
        got, cycles = run(p.create(), streams, {"o": ready})
        assert got["o"] == expected
        assert cycles["o"] == take_all(p.timing(*map(offered, offers)), ready=ready)
        if not pause:
            # A beat a cycle.
            assert cycles["o"] == [p.LATENCY + beat for beat in range(len(expected))]


@pytest.mark.parametrize("ways", [2, 3, 5])
def test_fork(ways):
    p = ForkParameters(9, ways)
    for pause in (0, 0.3, 2):
        print("seed", ways, "pause", pause)
        rng = random.Random(f"{ways} {pause}")
        payloads = [rng.getrandbits(9) for _ in range(60)]
        offers = paced(rng, 60, pause and rng.choice([0, pause]))
        ready = [paced(rng, 60, pause and rng.choice([0, pause])) for _ in range(ways)]
        got, cycles = run(p.create(), {"i": (payloads, offers)}, {f"o{way}": each for way, each in enumerate(ready)})
        assert list(got.values()) == p.compute(payloads)
        taken, sent = p.transfers(offers, ready)
        assert cycles["i"] == taken and [cycles[f"o{way}"] for way in range(ways)] == sent
        if not pause:
            assert taken == list(range(60))


#: Formats of sources: of one step and of several, with origins of either sign, and widths.
ENGINE, SHORTCUT, POSITIVE = SumFormat(10, 2, 576, 576), SumFormat(16, 1, 20_000, 45_000), SumFormat(4, 6, -30)


def random_sums(rng, source, positions, channels):
    sums = rng.integers(0, source.largest + 1, (2, positions, channels))
    sums[0, 0], sums[0, 1] = 0, source.largest
    return sums


def value_type(source, channels):
    return ValueType("sum", (channels, 1, 1), source.low, source.high, source.step)


def raster(source, sums):
    """Return the sums that unsigned ones stand for as the network has them, channels second."""
    return np.moveaxis(source.step * sums - source.origin, -1, 1)[..., None]


@pytest.mark.parametrize(
    ("channels", "lanes", "formats"),
    [(5, 2, (ENGINE, SHORTCUT)), (4, 4, (POSITIVE, POSITIVE, ENGINE)), (3, 1, (SHORTCUT, SHORTCUT))],
)
def test_add_join(channels, lanes, formats):
    p = AddJoinParameters(lanes, channels, formats, 6)
    rng = np.random.default_rng(channels)
    sums = [random_sums(rng, source, 6, channels) for source in formats]
    computed = p.compute(*sums)
    assert computed.min() == 0 and computed.max() == p.largest_output < 1 << p.output_bits
    result = Add("a", tuple("xyz"[: len(formats)])).infer(*(value_type(source, channels) for source in formats))
    assert (result.low, result.high, result.step) == (p.output.low, p.output.high, p.output.step)
    golden = add(*map(raster, formats, sums), result=result)
    assert (raster(p.output, computed) == golden).all()
    inputs = [packets(u.reshape(-1, channels), lanes, f.bits) for f, u in zip(formats, sums, strict=True)]
    assert len(inputs[0]) == 2 * p.interval
    check_join(p, inputs, packets(computed.reshape(-1, channels), lanes), channels)


@pytest.mark.parametrize(
    ("channels", "lanes", "formats"),
    [
        ((4, 2, 3), 2, (ENGINE, SHORTCUT, POSITIVE)),
        ((1, 3), 1, (SumFormat(3), SumFormat(3))),
        ((4, 4), 4, (ENGINE,) * 2),
    ],
)
def test_concat_join(channels, lanes, formats):
    p = ConcatJoinParameters(lanes, channels, formats, 6)
    rng = np.random.default_rng(len(channels))
    sums = [random_sums(rng, source, 6, count) for source, count in zip(formats, channels, strict=True)]
    computed = p.compute(*sums)
    assert computed.min() == 0 and computed.max() == p.largest_output < 1 << p.output_bits
    result = Concat("c", tuple("xyz"[: len(formats)])).infer(*map(value_type, formats, channels))
    assert (result.low, result.high) == (p.output.low, p.output.high)
    assert (raster(p.output, computed) == concat(*map(raster, formats, sums), result=result)).all()
    inputs = [packets(u.reshape(-1, u.shape[-1]), lanes, f.bits) for f, u in zip(formats, sums, strict=True)]
    expected = packets(computed.reshape(-1, p.channels), lanes)
    assert len(expected) == 2 * p.interval
    check_join(p, inputs, expected, len(channels))


@pytest.mark.parametrize(
    ("lanes", "channels", "before", "after", "source"),
    [
        (2, 4, 2, 3, ENGINE),
        (4, 6, 4, 0, SHORTCUT),
        (1, 3, 0, 2, POSITIVE),
        (2, 2, 0, 4, SumFormat(5, 4, 6)),
        (1, 1, 2, 0, SumFormat(4, 1, 99)),
    ],
)
def test_pad_channels(lanes, channels, before, after, source):
    p = PadChannelsParameters(lanes, channels, before, after, source, 6)
    rng = np.random.default_rng(channels)
    sums = random_sums(rng, source, 6, channels)
    computed = p.compute(sums)
    assert computed.min() >= 0 and computed.max() <= p.largest_output < 1 << p.output_bits
    node = PadChannels("p", "x", before, after)
    result = node.infer(value_type(source, channels))
    assert (result.low, result.high) == (p.output.low, p.output.high)
    assert (raster(p.output, computed) == pad_channels(node, raster(source, sums), result)).all()
    inputs = packets(sums.reshape(-1, channels), lanes, source.bits)
    expected = packets(computed.reshape(-1, p.channels), lanes)
    for pause in (0, 1, 2):
        print("seed", channels, "pause", pause)
        pace = random.Random(f"{channels} {pause}")
        offers, ready = paced(pace, len(inputs), pause), paced(pace, len(expected), pause and pace.choice([0, 1]))
        seen = check_timing(p, inputs, count=len(expected), offers=offers, ready=ready)
        assert seen.outputs == expected
        if not pause:
            assert seen.output_cycles == list(range(p.LATENCY, p.LATENCY + len(expected)))
            assert len(expected) == 2 * p.interval


def test_short_packets_spoil_no_others():
    """A packet that ends too early makes one short packet; the next ones are whole."""
    rng = np.random.default_rng(0)
    p = ConcatJoinParameters(2, (4, 4), (SumFormat(6),) * 2)
    first, second = (packets(rng.integers(0, 64, (3, 4)), 2) for _ in range(2))
    cut = [first[0] | {"last": 1}, *first[2:]]
    ready = [3, 5, 5, 6, 10, 11, 12, 20, 21, 22, 23]
    got, _ = run(p.create(), {"i0": (cut, range(5)), "i1": (second, range(6))}, {"o": ready})
    whole = [beats[k : k + 2] for k in (2, 4) for beats in (first, second)]
    expected = [first[0], *second[:2], *(beat for beats in whole for beat in beats)]
    assert [beat["codes"] for beat in got["o"]] == [beat["codes"] for beat in expected]
    assert [k for k, beat in enumerate(got["o"]) if beat["last"]] == [2, 6, 10]

    p = PadChannelsParameters(2, 4, 2, 2, SumFormat(6))
    got, _ = run(p.create(), {"i": (cut, range(5))}, {"o": range(11)})
    zero = {"codes": [0, 0], "last": 0}
    end = zero | {"last": 1}
    own = [beat | {"last": 0} for beat in cut]
    assert got["o"] == [zero, own[0], end, zero, *own[1:3], end, zero, *own[3:], end]


SCALE = ScaleStageParameters(ScaleParameters("s", 2, SHORTCUT, [3, -5, 7, 1], [1, 2, 3, 4], 3, -900, 900))
RESETS = {
    "fork": (ForkParameters(beat_layout(2, 16), 2), (4,), 2),
    "scale": (SCALE, (4,), 1),
    "add": (AddJoinParameters(2, 4, (SHORTCUT, SHORTCUT)), (4, 4), 1),
    "concat": (ConcatJoinParameters(2, (4, 2), (SHORTCUT, SHORTCUT)), (4, 2), 1),
    "pad": (PadChannelsParameters(2, 4, 2, 2, SHORTCUT), (4,), 1),
}


@pytest.mark.parametrize("name", RESETS)
def test_reset_in_any_cycle(name):
    """What was under way at a reset is gone, and nothing of it is left."""
    p, channels, ways = RESETS[name]
    rng = np.random.default_rng(3)
    sums = [rng.integers(0, SHORTCUT.largest + 1, (1, 4, count)) for count in channels]
    inputs = [packets(u[0], 2) for u in sums]
    streams = {"i" if len(inputs) == 1 else f"i{k}": (beats, range(len(beats))) for k, beats in enumerate(inputs)}
    if ways > 1:
        expected = {f"o{way}": beats for way, beats in enumerate(p.compute(inputs[0]))}
    else:
        expected = {"o": packets(p.compute(*sums)[0], 2)}
    for spoiled in (1, 2, 3, 4, 5, 8):
        got, _ = run(p.create(), streams, {k: range(len(beats)) for k, beats in expected.items()}, spoiled=spoiled)
        assert got == expected, f"a reset after {spoiled} cycles"


class Shortcut(wiring.Component):
    """A fork, a scale in one branch, a queue in the other, and their sum."""

    def __init__(self, depth=SCALE.latency + 1):
        self.depth = depth
        self.join = AddJoinParameters(2, 4, (SCALE.output, SHORTCUT))
        widths = {"i": SHORTCUT.bits, "o": self.join.output_bits}
        payloads = {name: stream.Signature(beat_layout(2, bits)) for name, bits in widths.items()}
        super().__init__({"i": In(payloads["i"]), "o": Out(payloads["o"])})

    def elaborate(self, platform):
        m = Module()
        m.submodules.fork = fork = ForkParameters(self.i.payload.shape(), 2).create()
        m.submodules.scale = scale = SCALE.create()
        m.submodules.queue = queue = QueueParameters(self.i.payload.shape(), self.depth).create()
        m.submodules.join = join = self.join.create()
        wiring.connect(m, wiring.flipped(self.i), fork.i)
        wiring.connect(m, fork.o0, scale.i)
        wiring.connect(m, fork.o1, queue.i)
        wiring.connect(m, scale.o, join.i0)
        wiring.connect(m, queue.o, join.i1)
        wiring.connect(m, join.o, wiring.flipped(self.o))
        return m


def test_shortcut():
    """Branches that part and meet: a beat a cycle, if the queue is one deeper than the other branch is long."""
    sums = random_sums(np.random.default_rng(1), SHORTCUT, 20, 4)
    inputs = packets(sums.reshape(-1, 4), 2)
    expected = packets(Shortcut().join.compute(SCALE.compute(sums), sums).reshape(-1, 4), 2)
    for pause in (0, 0.5, 2):
        print("seed", pause)
        pace = random.Random(str(pause))
        offers, ready = (paced(pace, len(inputs), pause and pace.choice([0, pause])) for _ in range(2))
        got, cycles = run(Shortcut(), {"i": (inputs, offers)}, {"o": ready})
        assert got["o"] == expected
        if not pause:
            assert cycles["i"] == list(range(len(inputs)))
            assert cycles["o"] == [SCALE.latency + 1 + beat for beat in range(len(inputs))]
    everything = range(len(inputs))
    got, cycles = run(Shortcut(SCALE.latency), {"i": (inputs, everything)}, {"o": everything})
    assert got["o"] == expected and cycles["i"][-1] > len(inputs)


def test_formats():
    # 19424 apart and steps of 2 and 1: all in steps of 1, from the lower one's origin on.
    assert common_format((ENGINE, SHORTCUT)) == SHORTCUT
    assert common_format((ENGINE, SumFormat(3, 4, 579))).step == 1
    assert added_format((ENGINE, ENGINE)) == SumFormat(11, 2, 1152, 1152)
    assert ENGINE.brought_to(common_format((ENGINE, SumFormat(3, 4, 580)))) == (1, 2)
    with pytest.raises(ValueError, match=r"^sums of .* must be sums of "):
        SHORTCUT.brought_to(ENGINE)
    with pytest.raises(ValueError, match=r"^sums from .* must stay below 2\*\*62$"):
        added_format((SumFormat(61), SumFormat(61), SumFormat(61)))
    assert SumFormat(np.int64(40), np.int64(1 << 20)).high == ((1 << 40) - 1) << 20
    with pytest.raises(ValueError, match=r"^largest of a sum must be an integer from 0 to 15, not 16$"):
        SumFormat(4, largest=16)


def test_pools_of_wide_sums():
    """Pools read sums of branches as they read those of engines; one of kernel 1 leaves positions out."""
    rng = np.random.default_rng(5)
    frames = rng.integers(0, SHORTCUT.largest + 1, (2, 16, 3))
    for operation, kernel, golden in (
        ("max", (1, 1), lambda grid: grid[:, ::2, ::2]),
        ("max", (2, 2), lambda grid: grid.reshape(2, 2, 2, 2, 2, 3).max(axis=(2, 4))),
    ):
        p = LaneEngineParameters(
            "l0", operation, 3, 2, ImageGeometry(4, 4, kernel, (2, 2)), None, SHORTCUT.bits,
            largest_input=SHORTCUT.largest, input_step=SHORTCUT.step, input_origin=SHORTCUT.origin,
        )  # fmt: skip
        expected = golden(frames.reshape(2, 4, 4, 3)).reshape(2, 4, 3)
        assert (p.compute(frames) == expected).all()
        inputs = packets(frames.reshape(-1, 3), 2)
        seen = check_timing(p, inputs, count=16, offers=range(len(inputs)))
        assert seen.outputs == packets(expected.reshape(-1, 3), 2)


@pytest.mark.parametrize(
    "parameters",
    [
        ForkParameters(17, 3),
        AddJoinParameters(2, 3, (ENGINE, SHORTCUT)),
        ConcatJoinParameters(2, (4, 3), (ENGINE, SHORTCUT)),
        PadChannelsParameters(2, 4, 2, 3, SHORTCUT),
    ],
    ids=lambda parameters: type(parameters).__name__,
)
def test_verilog(parameters):
    text = convert(parameters.create())
    assert all(f"{name}__payload" in text for name in parameters.create().signature.members)


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (partial(ForkParameters, 3, 1), r"^ways of a fork must be an integer of at least 2, not 1$"),
        (partial(AddJoinParameters, 2, 3, (ENGINE,)), r"^formats must be those of at least 2 sources, not of 1$"),
        (partial(AddJoinParameters, 0, 3, (ENGINE,) * 2), r"^lanes must be an integer of at least 1, not 0$"),
        (
            partial(ConcatJoinParameters, 2, (4,), (ENGINE,) * 2),
            r"^source_channels must be given for 2 sources, not",
        ),
        (
            partial(ConcatJoinParameters, 2, (3, 4), (ENGINE,) * 2),
            r"^channels of source 0 must be a multiple of lanes = 2, as of all but the last, not 3$",
        ),
        (partial(PadChannelsParameters, 2, 4, 0, 0, ENGINE), r"^before and after must not both be 0$"),
        (partial(PadChannelsParameters, 2, 4, 3, 0, ENGINE), r"^before must be a multiple of lanes = 2, not 3$"),
        (
            partial(PadChannelsParameters, 2, 3, 2, 1, ENGINE),
            r"^input_channels must be a multiple of lanes = 2, not",
        ),
    ],
)
def test_wrong_parameters(create, message):
    with pytest.raises(ValueError, match=message):
        create()
