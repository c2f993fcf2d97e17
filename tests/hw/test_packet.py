"""Packets: checksum, buffer, parser and builder against their `.compute`, with random stalls and damage."""

import binascii
import random
from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from signfold.hw.packet import CRC, Geometry, RequestType, Status
from signfold.hw.packet_buffer import PacketBuffer, PacketBufferParameters
from signfold.hw.packet_crc import CrcAppenderParameters, CrcCheckerParameters
from signfold.hw.packet_request import RequestParserParameters
from signfold.hw.packet_response import ResponseBuilderParameters
from signfold.sim.streams import CLOCK_PERIOD, run_stream, stream_get, stream_put

GEOMETRY = Geometry(identity=bytes(range(100, 116)), elements=5, bits=3, classes=3, score_width=10)


def beats(packet, **last):
    """Beats of a packet stream; `last` holds further members of the final beat."""
    return [
        {"data": byte, "last": int(n == len(packet) - 1), **(last if n == len(packet) - 1 else {})}
        for n, byte in enumerate(packet)
    ]


def packets_of(outputs):
    """Packets in the beats of a packet stream."""
    packets, packet = [], bytearray()
    for beat in outputs:
        packet.append(beat["data"])
        if beat["last"]:
            packets.append(bytes(packet))
            packet.clear()
    assert not packet, "the stream ends within a packet"
    return packets


def random_stall(rng):
    """Stall pattern of `signfold.sim.stalls`."""
    return rng.choice((0, 0.3, 0.8, "bursts", "011"))


def test_crc_is_the_one_of_the_catalogue():
    """Check value of CRC-16/GENIBUS from the catalogue of parametrised CRC algorithms, and Python's own."""
    assert CRC.compute(b"123456789") == 0xD64E
    data = random.Random(0).randbytes(1000)
    assert CRC.compute(data) == binascii.crc_hqx(data, 0xFFFF) ^ 0xFFFF


def test_crc_sees_appended_zeros():
    packet = CrcAppenderParameters().compute(b"abc")
    assert not CrcCheckerParameters().compute(packet)
    assert all(CrcCheckerParameters().compute(packet + bytes(n)) for n in range(1, 300))


@pytest.mark.parametrize("seed", range(4))
def test_appender_matches_compute(seed):
    rng = random.Random(seed)
    packets = [rng.randbytes(rng.choice((1, 2, 3, 40))) for _ in range(8)]
    expected = [CrcAppenderParameters().compute(packet) for packet in packets]
    run = run_stream(
        CrcAppenderParameters().create(),
        [beat for packet in packets for beat in beats(packet)],
        count=sum(map(len, expected)),
        seed=seed,
        stall_in=random_stall(rng),
        stall_out=random_stall(rng),
    )
    assert packets_of(run.outputs) == expected, f"seed {seed}"


@pytest.mark.parametrize("seed", range(6))
def test_checker_matches_compute(seed):
    rng = random.Random(seed)
    inputs, expected = [], []
    for _ in range(24):
        packet = CrcAppenderParameters().compute(rng.randbytes(rng.choice((0, 1, 2, 30))))
        if rng.random() < 0.4:
            at = rng.randrange(len(packet))
            packet = packet[:at] + bytes([packet[at] ^ (1 << rng.randrange(8))]) + packet[at + 1 :]
        if rng.random() < 0.2:
            packet = packet[: rng.randint(1, len(packet))]
        bad = rng.random() < 0.2
        inputs += beats(packet, bad=int(bad))
        expected.append((packet, bad or CrcCheckerParameters().compute(packet)))
    run = run_stream(
        CrcCheckerParameters().create(),
        inputs,
        count=len(inputs),
        seed=seed,
        stall_in=random_stall(rng),
        stall_out=random_stall(rng),
    )
    flags = [bool(beat["bad"]) for beat in run.outputs if beat["last"]]
    assert list(zip(packets_of(run.outputs), flags, strict=True)) == expected, f"seed {seed}"
    assert not any(beat["bad"] for beat in run.outputs if not beat["last"])


def test_checker_refuses_every_packet_of_one_byte():
    run = run_stream(CrcCheckerParameters().create(), [{"data": n, "last": 1} for n in range(256)], count=256)
    assert all(beat["bad"] for beat in run.outputs)


def test_checker_latency_and_throughput():
    packet = CrcAppenderParameters().compute(b"abcdef")
    run = run_stream(CrcCheckerParameters().create(), beats(packet) * 3, count=24)
    assert run.input_cycles == list(range(24))
    assert run.output_cycles == list(range(1, 25))


@pytest.mark.parametrize("trailer", (0, 2))
@pytest.mark.parametrize("seed", range(6))
def test_buffer_matches_compute_when_emptied_in_time(seed, trailer):
    """Good, bad, empty and oversize packets, far enough apart that each is taken before the next."""
    rng = random.Random(seed)
    p = PacketBufferParameters(depth=16, packets=2, trailer=trailer)
    packets = [(rng.randbytes(rng.randint(1, 24)), rng.random() < 0.3) for _ in range(20)]
    expected = p.compute(packets)
    assert any(len(packet) > 16 for packet, _ in packets)
    dut = p.create()
    got = []

    async def source(ctx):
        for packet, bad in packets:
            await stream_put(ctx, dut.i, beats(packet, bad=int(bad)), stall=random_stall(rng), rng=rng)
            await ctx.tick().repeat(200)

    async def sink(ctx):
        count = sum(map(len, expected))
        outputs, _ = await stream_get(ctx, dut.o, count, stall=0.6, rng=random.Random(seed), extra=50)
        got.extend(outputs)

    simulate(dut, source, sink)
    assert packets_of(got) == expected, f"seed {seed}"
    lengths = [beat["length"] for beat in got]
    assert lengths == [len(packet) for packet in expected for _ in packet]


def simulate(dut, *testbenches, limit=20_000):
    """Run testbenches to their end, at most `limit` cycles."""
    simulator = Simulator(dut)
    simulator.add_clock(CLOCK_PERIOD)
    for testbench in testbenches:
        simulator.add_testbench(testbench)

    async def watch(ctx):
        for _ in range(limit):
            await ctx.tick()
        raise AssertionError(f"simulation of {type(dut).__name__} unfinished after {limit} cycles")

    simulator.add_testbench(watch, background=True)
    simulator.run()


@pytest.mark.parametrize("seed", range(8))
def test_buffer_under_pressure_drops_whole_packets_only(seed):
    """Whatever the sink does, what comes out is a subsequence of the good packets, each whole and in order."""
    rng = random.Random(seed)
    p = PacketBufferParameters(depth=32, packets=3, trailer=1)
    # Numbered, so that no packet equals another.
    packets = [(bytes([n]) + rng.randbytes(rng.randint(1, 20)), rng.random() < 0.2) for n in range(60)]
    good = p.compute(packets)
    dut = p.create()
    outputs = []

    async def source(ctx):
        for packet, bad in packets:
            await stream_put(ctx, dut.i, beats(packet, bad=int(bad)), stall=rng.choice((0, 0.5)), rng=rng)
        await ctx.tick().repeat(2000)

    async def sink(ctx):
        slow = random.Random(f"{seed}/out")
        rate = slow.choice((0.1, 0.2, 0.3))
        while True:
            ctx.set(dut.o.ready, slow.random() < rate)
            *_, valid, ready, payload = await ctx.tick().sample(dut.o.valid, dut.o.ready, dut.o.payload)
            if valid and ready:
                outputs.append({"data": payload.data, "last": payload.last})

    simulator = Simulator(dut)
    simulator.add_clock(CLOCK_PERIOD)
    simulator.add_testbench(source)
    simulator.add_testbench(sink, background=True)
    simulator.run()
    got = packets_of(outputs)
    assert 0 < len(got) < len(good), f"seed {seed}: no pressure"
    remaining = iter(good)
    assert all(packet in remaining for packet in got), f"seed {seed}"


def test_buffer_holds_its_depth():
    """Without a sink, packets of 8 bytes fill a ring of 32 with four; the others are lost, and those four are whole."""
    p = PacketBufferParameters(depth=32, packets=8, trailer=0)
    packets = [bytes([n] * 8) for n in range(7)]
    run = run_stream(p.create(), [b for packet in packets for b in beats(packet)], count=32, stall_out=100, extra=50)
    assert packets_of(run.outputs) == packets[:4]


def test_buffer_latency_and_throughput():
    p = PacketBufferParameters(depth=32, packets=2, trailer=2)
    run = run_stream(p.create(), beats(b"12345678"), count=6)
    assert run.input_cycles == list(range(8))
    first = run.input_cycles[-1] + PacketBuffer.LATENCY
    assert run.output_cycles == list(range(first, first + 6))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((24, 2, 2), r"^packet buffer depth must be a power of two, not 24$"),
        ((2, 2, 1), r"^packet buffer depth must be an integer from 4 to 65536, not 2$"),
        ((16, 1, 2), r"^packets must be an integer of at least 2, not 1$"),
        ((16, 2, 16), r"^trailer must be an integer from 0 to 15, not 16$"),
    ],
)
def test_buffer_init_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        PacketBufferParameters(*arguments)


def random_request(rng):
    """Request packet: right, or of a wrong length, type or code."""
    kind = rng.choice((1, 2, 2, 2, 3, 0x82, rng.randint(0, 255)))
    length = rng.choice((0, 5, 5, 5, 4, 6, 1, 20))
    codes = [rng.randrange(8) for _ in range(length)]
    if codes and rng.random() < 0.3:
        codes[rng.randrange(length)] = rng.randint(8, 255)
    packet = bytes([kind, rng.randint(0, 255), *codes])
    return packet[:1] if rng.random() < 0.1 else packet


@pytest.mark.parametrize("seed", range(8))
def test_parser_matches_compute(seed):
    rng = random.Random(seed)
    layout = PacketBufferParameters(depth=32, packets=2, trailer=0).layout()
    p = RequestParserParameters(GEOMETRY.elements, GEOMETRY.bits, layout)
    # One request of each status, then at random.
    packets = [b"\x02\x00\x07\x00\x01\x02\x03", b"\x01\x01\x00", b"\x00\x02", b"\x02\x03\x07\x00\x01\x08\x03"]
    packets += [random_request(rng) for _ in range(40)]
    parsed = [result for result in map(p.compute, packets) if result is not None]
    answers = [dict(zip(("type", "seq", "status"), map(int, answer), strict=True)) for answer, _ in parsed]
    codes = [{"codes": [code], "last": int(n == 4)} for _, f in parsed if f for n, code in enumerate(f)]
    assert {answer["status"] for answer in answers} == {0, 1, 2, 3}, f"seed {seed} misses a status"
    dut = p.create()

    async def source(ctx):
        for packet in packets:
            lengths = [{**beat, "length": len(packet)} for beat in beats(packet)]
            await stream_put(ctx, dut.i, lengths, stall=random_stall(rng), rng=rng)

    async def sink_codes(ctx):
        got, _ = await stream_get(ctx, dut.o, len(codes), stall=0.4, rng=random.Random(seed), extra=50)
        assert got == codes, f"seed {seed}"

    async def sink_answers(ctx):
        got, _ = await stream_get(ctx, dut.answers, len(answers), stall=0.7, rng=random.Random(~seed), extra=50)
        assert got == answers, f"seed {seed}"

    simulate(dut, source, sink_codes, sink_answers)


@pytest.mark.parametrize("seed", range(3))
def test_parser_passes_chunks_on(seed):
    """Load requests of the right length go out with their payload; devices with nothing to load know none."""
    rng = random.Random(seed)
    layout = PacketBufferParameters(depth=32, packets=2, trailer=0).layout()
    p = RequestParserParameters(GEOMETRY.elements, GEOMETRY.bits, layout, chunk=6)
    packets = [b"\x03\x01abcdef", b"\x03\x02abcde", b"\x02\x03\x07\x00\x01\x02\x03", b"\x01\x04", b"\x03\x05ghijkl"]
    rng.shuffle(packets)
    parsed = [p.compute(packet) for packet in packets]
    answers = [dict(zip(("type", "seq", "status"), map(int, answer), strict=True)) for answer, _ in parsed]
    assert sorted(answer["status"] for answer in answers) == [0, 0, 0, 0, 1]
    assert replace(p, chunk=0).compute(b"\x03\x01abcdef") == ((3, 1, Status.UNKNOWN_TYPE), None)
    chunks = [packet[2:] for packet in packets if packet[0] == 3 and len(packet) == 8]
    dut = p.create()

    async def source(ctx):
        for packet in packets:
            lengths = [{**beat, "length": len(packet)} for beat in beats(packet)]
            await stream_put(ctx, dut.i, lengths, stall=random_stall(rng), rng=rng)

    async def sink_codes(ctx):
        got, _ = await stream_get(ctx, dut.o, 5, stall=0.4, rng=random.Random(seed), extra=50)
        assert [beat["codes"] for beat in got] == [[7], [0], [1], [2], [3]]

    async def sink_chunks(ctx):
        got, _ = await stream_get(ctx, dut.w, 12, stall=0.5, rng=random.Random(seed + 1), extra=50)
        assert got == [beat for chunk in chunks for beat in beats(chunk)]

    async def sink_answers(ctx):
        got, _ = await stream_get(ctx, dut.answers, len(answers), stall=0.7, rng=random.Random(~seed), extra=50)
        assert got == answers, f"seed {seed}"

    simulate(dut, source, sink_codes, sink_chunks, sink_answers)


@pytest.mark.parametrize(("classes", "score_width"), [(1, 1), (3, 8), (10, 9), (2, 17), (300, 16)])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("where", ["logic", "table", "table with hashes"])
def test_builder_matches_compute(classes, score_width, seed, where):
    rng = random.Random(seed)
    geometry = Geometry(rng.randbytes(16), 300, 8, classes, score_width)
    hashes = rng.randbytes(32) if where.endswith("hashes") else b""
    p = ResponseBuilderParameters(geometry, where != "logic", hashes)
    # The types that the parser before it knows.
    types = [RequestType.IDENTIFY, RequestType.INFER, RequestType.LOAD]
    if hashes:
        types[2:] = [RequestType.RELOAD, RequestType.ID]
        assert p.compute((5, 1, 0)) == b"\x85\x01\x00" + geometry.identity + hashes
    requests, results, expected = [], [], []
    for n in range(10):
        answer = (rng.choice((*types, 2, 2)), rng.randint(0, 255), rng.choice((*Status, 0, 0)))
        if n < 5:
            answer = ((1, 7, 0), (2, 8, 0), (2, 9, 3), (77, 10, 2), (types[-1], 11, 0))[n]
        result = ()
        if answer[0] == RequestType.INFER and answer[2] in (Status.OK, Status.BAD_CODE):
            limit = 1 << (score_width - 1)
            scores = [rng.choice((-limit, limit - 1, rng.randrange(-limit, limit))) for _ in range(classes)]
            best = rng.randrange(classes)
            result = (scores, best)
            results += [{"score": s, "best": best, "last": int(k == classes - 1)} for k, s in enumerate(scores)]
        requests.append(dict(zip(("type", "seq", "status"), map(int, answer), strict=True)))
        expected.append(p.compute(answer, *result))
    dut = p.create()

    async def source(ctx):
        await stream_put(ctx, dut.answers, requests, stall=0.5, rng=rng)

    async def accelerator(ctx):
        await stream_put(ctx, dut.results, results, stall=0.3, rng=random.Random(seed))

    async def sink(ctx):
        got, _ = await stream_get(ctx, dut.o, sum(map(len, expected)), stall=0.4, rng=random.Random(~seed), extra=50)
        assert packets_of(got) == expected, f"seed {seed}"

    simulate(dut, source, accelerator, sink)


@pytest.mark.parametrize("seed", range(3))
def test_parser_waits_for_statuses(seed):
    """Reload requests go out with their payload and are answered with what is said of them, however late."""
    rng = random.Random(seed)
    layout = PacketBufferParameters(depth=32, packets=2, trailer=0).layout()
    p = RequestParserParameters(GEOMETRY.elements, GEOMETRY.bits, layout, chunk=6, reload=True)
    packets = [b"\x04\x01abcdef", b"\x04\x02abcde", b"\x05\x03", b"\x03\x04abcdef", b"\x04\x05ghijkl", b"\x05\x06a"]
    statuses = [int(rng.choice((Status.OK, Status.BAD_IMAGE, Status.BAD_ORDER))) for _ in range(2)]
    parsed = [p.compute(packet)[0] for packet in packets]
    assert [status for _, _, status in parsed] == [0, 1, 0, 2, 0, 1]
    answers = [dict(zip(("type", "seq", "status"), map(int, answer), strict=True)) for answer in parsed]
    answers[0]["status"], answers[4]["status"] = statuses
    dut = p.create()

    async def source(ctx):
        for packet in packets:
            lengths = [{**beat, "length": len(packet)} for beat in beats(packet)]
            await stream_put(ctx, dut.i, lengths, stall=random_stall(rng), rng=rng)

    async def loader(ctx):
        got, _ = await stream_get(ctx, dut.w, 12, stall=0.5, rng=random.Random(seed + 1))
        assert packets_of(got) == [b"abcdef", b"ghijkl"]

    async def said(ctx):
        await stream_put(ctx, dut.statuses, statuses, stall=0.9, rng=random.Random(seed + 2))

    async def sink(ctx):
        got, _ = await stream_get(ctx, dut.answers, len(answers), stall=0.7, rng=random.Random(~seed), extra=50)
        assert got == answers, f"seed {seed}"

    simulate(dut, source, loader, said, sink)


def test_geometry_survives_the_line():
    assert Geometry.unpack(GEOMETRY.pack()) == GEOMETRY
    assert GEOMETRY.pack()[:8] == bytes([1, 2, 5, 0, 3, 3, 0, 10])


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", r"^protocol version must be 1, not 'absent'$"),
        (b"\x02" + GEOMETRY.pack()[1:], r"^protocol version must be 1, not '02'$"),
        (GEOMETRY.pack()[:-1], r"^identify response must hold 24 bytes, not 23$"),
        (GEOMETRY.pack()[:4] + b"\x09" + GEOMETRY.pack()[5:], r"^bits must be an integer from 1 to 8, not 9$"),
    ],
)
def test_geometry_refuses(payload, message):
    with pytest.raises(ValueError, match=message):
        Geometry.unpack(payload)


def test_geometry_init_wrong_identity():
    with pytest.raises(ValueError, match=r"^identity must be 16 bytes, not b'abc'$"):
        Geometry(b"abc", 5, 3, 3, 10)
    with pytest.raises(TypeError, match=r"^identity must be bytes, not 'abc'$"):
        Geometry("abc", 5, 3, 3, 10)
