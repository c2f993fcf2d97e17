"""An accelerator whose network is replaced while frames stream: no frame is answered with mixed weights."""

import random

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from signfold.hw.packet import Status
from signfold.hw.reloadable import ReloadableParameters
from signfold.hw.reloader import ReloaderParameters
from signfold.sim.random_network import random_frames
from signfold.sim.stalls import stalls
from signfold.sim.streams import CLOCK_PERIOD, plain
from signfold.sw.lower import lower, stream_order
from signfold.sw.network import Conv, Dense, InputType, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan

BUILD = bytes(range(16))


def dense_network(rng):
    """Thresholds for every input, two dense layers, codes of 2 bits between them."""
    nodes = (
        Threshold("pixels", "input", rng.integers(1, 8, (12, 1))),
        Dense("dense0", "pixels", rng.integers(0, 2, (9, 12)).astype(np.uint8)),
        Threshold("codes", "dense0", 2 * np.sort(rng.integers(2, 10, (9, 3)), axis=1) - 12),
        Dense("dense1", "codes", rng.integers(0, 2, (4, 9)).astype(np.uint8)),
    )
    return Network(InputType((12,), 3), nodes, "dense1")


def padded_network(rng):
    """Windows with nothing around the image, whose sums are the scores.

    The weights of taps outside are read before a frame comes in, and every one of them shows in a score.
    """
    weights = rng.integers(0, 2, (30, 4, 3, 3)).astype(np.uint8)
    return Network(InputType((4, 2, 2), 1), (Conv("conv", "input", weights, (1, 1), (1, 0, 1, 0), None),), "conv")


NETWORKS = {"dense": dense_network, "padded": padded_network}
PLANS = {
    "dense": Plan((LayerPlan(3, 4), LayerPlan(2, 3)), lanes=2),
    "padded": Plan((LayerPlan(2, 4),)),
}


class Run:
    """Frames and chunks through an accelerator at once, and everything that came out."""

    def __init__(self, parameters, frames, packets, *, seed, begin=0, stall=0.0):
        self.dut = parameters.create()
        self.begun, self.results, self.statuses = [], [], []
        self.rng = random.Random(seed)
        self.beats = parameters.config.pixels.beats
        lanes = parameters.config.pixels.lanes
        padded = np.pad(frames, ((0, 0), (0, -frames.shape[1] % lanes)))
        self.frames = padded.reshape(len(frames), self.beats, lanes)
        self.packets, self.start, self.stall = packets, begin, stall
        simulator = Simulator(self.dut)
        simulator.add_clock(CLOCK_PERIOD)
        for process in (self.send, self.take, self.load, self.answers):
            simulator.add_testbench(process)
        simulator.run()

    @staticmethod
    async def put(ctx, stream, payload, pause):
        """Offer a payload until it is taken, after pauses."""
        while next(pause):
            await ctx.tick()
        ctx.set(stream.payload, payload)
        ctx.set(stream.valid, 1)
        taken = False
        while not taken:
            *_, taken = await ctx.tick().sample(stream.ready)
        ctx.set(stream.valid, 0)

    async def send(self, ctx):
        pause = stalls(self.stall, random.Random(self.rng.random()))
        for frame in self.frames:
            for k, beat in enumerate(frame):
                await self.put(ctx, self.dut.i, {"codes": beat.tolist(), "last": k == self.beats - 1}, pause)
                if k == 0:
                    # How many statuses there were when the frame went in.
                    self.begun.append(len(self.statuses))

    async def take(self, ctx):
        pause, scores = stalls(self.stall, random.Random(self.rng.random())), []
        while len(self.results) < len(self.frames):
            ctx.set(self.dut.o.ready, not next(pause))
            *_, ready, valid, payload = await ctx.tick().sample(self.dut.o.ready, self.dut.o.valid, self.dut.o.payload)
            if ready and valid:
                result = plain(payload)
                scores.append(result["score"])
                if result["last"]:
                    self.results.append(((*scores, result["best"]), len(self.statuses)))
                    scores = []

    async def load(self, ctx):
        pause = stalls(self.stall, random.Random(self.rng.random()))
        for _ in range(self.start):
            await ctx.tick()
        for packet in self.packets:
            for k, byte in enumerate(packet):
                await self.put(ctx, self.dut.w, {"data": byte, "last": k == len(packet) - 1}, pause)

    async def answers(self, ctx):
        pause = stalls(self.stall, random.Random(self.rng.random()))
        while len(self.statuses) < len(self.packets):
            ctx.set(self.dut.s.ready, not next(pause))
            *_, ready, valid, status = await ctx.tick().sample(self.dut.s.ready, self.dut.s.valid, self.dut.s.payload)
            if ready and valid:
                self.statuses.append(Status(status))


#: Frames that a load and what is before and after it take.
FRAMES = {"dense": 60, "padded": 20}


def pair(kind, seed):
    """Two networks of one shape, and frames on which they differ, with both networks' results."""
    rng, count = np.random.default_rng(seed), FRAMES[kind]
    networks, parameters = [], []
    while len(networks) < 2:
        network = NETWORKS[kind](rng)
        config = lower(network, PLANS[kind])
        # What sums begin at, the least correction, is no table's: such networks are of another shape.
        if not networks or config.scores.origin == parameters[0].config.scores.origin:
            networks.append(network)
            parameters.append(ReloadableParameters(config, BUILD))
    frames = random_frames(rng, networks[0], 4 * count)
    results = []
    for network in networks:
        golden = network.evaluate(frames)
        results.append(
            [(*map(int, scores), int(best)) for scores, best in zip(golden.scores, golden.classes, strict=True)]
        )
    differ = [n for n in range(len(frames)) if results[0][n] != results[1][n]][:count]
    assert len(differ) == count, f"seed {seed}"
    return parameters, stream_order(networks[0], frames[differ]), [[one[n] for n in differ] for one in results]


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_no_frame_is_answered_with_mixed_weights(kind, seed):
    (old, new), frames, results = pair(kind, seed)
    begin = 4 * old.config.interval
    run = Run(old, frames, new.image.packets(), seed=seed, begin=begin, stall=(0, 0.3, "bursts")[seed])
    assert run.statuses == [Status.OK] * new.image.chunks
    which = [[one[n] == result for one in results] for n, (result, _) in enumerate(run.results)]
    assert all(sum(two) == 1 for two in which), f"seed {seed}"
    swap = which.index([False, True])
    assert all(two == [n < swap, n >= swap] for n, two in enumerate(which)), f"seed {seed}"
    # It happened in the middle of the stream, and before the last chunk's status.
    assert 2 < swap < len(frames) - 2, f"seed {seed}"
    done = len(run.statuses)
    assert all(result == results[1][n] for n, (result, _) in enumerate(run.results) if run.begun[n] == done)
    assert all(run.results[n][1] < done for n in range(swap))


def damages(image):
    """What may go wrong with an image's chunks: name -> packets, and all statuses."""
    good = image.packets()
    whole = image.pack()
    ok, bad, order = Status.OK, Status.BAD_IMAGE, Status.BAD_ORDER
    count = len(good)
    rng = random.Random(len(whole))
    flipped = bytearray(whole)
    flipped[rng.randrange(17, len(whole))] ^= 1 << rng.randrange(8)
    other = bytearray(whole)
    other[rng.randrange(17)] ^= 1 << rng.randrange(8)
    cases = {"past the end": ([b"\xff\xff" + good[0][2:]], [order])}
    if count > 1:
        cases |= {
            "without a beginning": (good[1:], [order] * (count - 1)),
            "truncated": (good[:-1], [ok] * (count - 1)),
            "a chunk left out": ([good[0], b"\2\0" + good[1][2:]], [ok, order]),
        }
    return cases | {
        "no chunk": ([b"\0", b"\0\0"], [order] * 2),
        "damaged byte": (image.packets(bytes(flipped)), [ok] * (count - 1) + [bad]),
        "another build": (image.packets(bytes(other)), [bad] * count),
        "chunk too short": ([*good[:-1], good[-1][:-1]], [ok] * (count - 1) + [bad]),
        "chunk too long": ([*good[:-1], good[-1] + b"\0"], [ok] * (count - 1) + [bad]),
        "begun anew": ([image.packets(bytes(flipped))[0], good[0][:3]], [ok if count > 1 else bad, bad]),
    }


@pytest.mark.parametrize("kind", NETWORKS)
def test_what_is_wrong_leaves_the_old_network_in_force(kind):
    (old, new), frames, results = pair(kind, 5)
    packets, statuses = [], []
    for name, (sent, expected) in damages(new.image).items():
        model = [status for status, _ in ReloaderParameters(old.image).compute(packets + sent)]
        assert model[len(packets) :] == expected, name
        packets, statuses = packets + sent, statuses + expected
    times = -(-2 * sum(map(len, packets)) // (len(frames) * old.config.interval))
    run = Run(old, np.concatenate([frames] * times), packets, seed=5)
    assert run.statuses == statuses
    assert run.begun[-1] == len(statuses)
    assert [result for result, _ in run.results] == results[0] * times


def test_new_image_after_bad_ones_and_two_in_a_row():
    """Everything bad, then the new network, with chunks that come twice, then the old one again, in one stream."""
    (old, new), frames, results = pair("padded", 6)
    bad = [packet for sent, _ in damages(new.image).values() for packet in sent]
    twice = [packet for packet in new.image.packets() for _ in range(1 + (packet[:2] != b"\0\0"))]
    packets = bad + twice + old.image.packets()
    answers = ReloaderParameters(old.image).compute(packets)
    assert [contents for _, contents in answers if contents] == [new.image.contents, old.image.contents]
    run = Run(old, np.concatenate([frames] * 4), packets, seed=6, stall=0.1)
    assert run.statuses == [status for status, _ in answers]
    which = [[one[n % len(frames)] == result for one in results] for n, (result, _) in enumerate(run.results)]
    assert all(sum(two) == 1 for two in which)
    order = [two.index(True) for two in which]
    changes = [n for n in range(1, len(order)) if order[n] != order[n - 1]]
    assert (order[0], len(changes), order[-1]) == (0, 2, 0)


class Pins:
    """A testbench that does one thing after another, cycle by cycle and without pauses."""

    def __init__(self, ctx, dut):
        self.ctx, self.dut = ctx, dut
        #: Cycles of the last run in which a beat went in, and in which a result's last one came out.
        self.taken, self.given = [], []
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.s.ready, 1)

    async def run(self, beats=(), chunk_bytes=(), *, cycles=None):
        """Send beats and bytes; return results and statuses, all or those of so many cycles."""
        dut, ctx = self.dut, self.ctx
        queues = [(dut.i, list(beats)), (dut.w, list(chunk_bytes))]
        expected = [sum(payload["last"] for payload in queue) for _, queue in queues]
        scores, results, statuses, cycle = [], [], [], 0
        self.taken, self.given = [], []
        while (len(results), len(statuses)) != tuple(expected) if cycles is None else cycle < cycles:
            for stream, queue in queues:
                ctx.set(stream.valid, bool(queue))
                if queue:
                    ctx.set(stream.payload, queue[0])
            watched = (dut.i.ready, dut.w.ready, dut.o.valid, dut.o.payload, dut.s.valid, dut.s.payload)
            *_, i_ready, w_ready, o_valid, result, s_valid, status = await ctx.tick().sample(*watched)
            for (stream, queue), ready in zip(queues, (i_ready, w_ready), strict=True):
                if queue and ready:
                    queue.pop(0)
                    if stream is dut.i:
                        self.taken.append(cycle)
            if o_valid:
                scores.append(int(result.score))
                if result.last:
                    results.append((*scores, int(result.best)))
                    self.given.append(cycle)
                    scores = []
            if s_valid:
                statuses.append(Status(status))
            cycle += 1
            assert cycle < 10_000
        for stream, _ in queues:
            ctx.set(stream.valid, 0)
        return results, statuses


@pytest.mark.parametrize("seed", range(6))
def test_reset_in_any_cycle_of_a_load(seed):
    """Whatever network a reset leaves in force, it is one of the two, whole; and a load after it works."""
    (old, new), frames, results = pair("padded", 7)
    rng = random.Random(seed)
    chunk_bytes = [
        {"data": byte, "last": k == len(packet) - 1} for packet in new.image.packets() for k, byte in enumerate(packet)
    ]
    beats = [{"codes": [int(code)], "last": k == len(frame) - 1} for frame in frames for k, code in enumerate(frame)]
    frame_beats = len(frames[0])
    # The swap comes with the last bytes of an image and the frames inside; most of the resets fall there.
    middle = rng.randrange(len(chunk_bytes)) if seed == 0 else len(chunk_bytes) + rng.randrange(3 * old.config.interval)
    reset = Signal()
    dut = old.create()

    async def bench(ctx):
        pins = Pins(ctx, dut)
        await pins.run(beats * 3, chunk_bytes, cycles=middle)
        ctx.set(reset, 1)
        await pins.run(cycles=rng.randint(1, 3))
        ctx.set(reset, 0)
        seen, _ = await pins.run(beats[: 3 * frame_beats])
        in_force = [one[:3] == seen for one in results]
        assert sum(in_force) == 1, f"seed {seed}"
        # Then the other one.
        other = in_force.index(False)
        image = (old, new)[other].image
        again = [{"data": byte, "last": k == 241} for packet in image.packets() for k, byte in enumerate(packet)]
        _, statuses = await pins.run((), again)
        assert statuses == [Status.OK] * image.chunks
        seen, _ = await pins.run(beats[: 3 * frame_beats])
        assert seen == results[other][:3], f"seed {seed}"

    simulator = Simulator(ResetInserter(reset)(dut))
    simulator.add_clock(CLOCK_PERIOD)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("kind", NETWORKS)
def test_what_a_swap_costs(kind):
    """Frames without a pause: the first of the new network goes in `restart` + 2 cycles after the last old result."""
    (old, new), frames, results = pair(kind, 8)
    lanes, elements = old.config.pixels.lanes, old.config.pixels.elements
    beats = [
        {"codes": frame[at : at + lanes].tolist(), "last": at + lanes == elements}
        for frame in np.concatenate([frames] * 2)
        for at in range(0, elements, lanes)
    ]
    chunk_bytes = [
        {"data": byte, "last": k == len(packet) - 1} for packet in new.image.packets() for k, byte in enumerate(packet)
    ]
    dut = old.create()

    async def bench(ctx):
        pins = Pins(ctx, dut)
        seen, _ = await pins.run(beats, chunk_bytes)
        swap = [result == results[0][n % len(frames)] for n, result in enumerate(seen)].index(False)
        begins = pins.taken[:: elements // lanes]
        # A table at the input is read in the first cycle after a reset.
        assert begins[swap] - pins.given[swap - 1] == old.restart + 2 + (old.config.pixels.rom is not None)
        # Frames before are as fast as without a load, and so are those after.
        gaps = np.diff(pins.given)
        assert set(gaps[: swap - 1]) | set(gaps[swap + 1 :]) == {old.config.interval}
        assert pins.given[swap] - begins[swap] <= old.config.latency + old.config.settling

    simulator = Simulator(dut)
    simulator.add_clock(CLOCK_PERIOD)
    simulator.add_testbench(bench)
    simulator.run()
