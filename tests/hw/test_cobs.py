"""Byte stuffing: published examples, and gateware against `.compute` with random stalls."""

import random

import pytest

from signfold.hw.cobs import CobsDecoderParameters, CobsEncoderParameters
from signfold.sim.streams import run_stream

# Cheshire and Baker's rules applied by hand; the long ones sit around the limit of 254 bytes a group.
RUN = bytes(range(1, 256))
PUBLISHED = [
    (b"\x00", b"\x01\x01\x00"),
    (b"\x00\x00", b"\x01\x01\x01\x00"),
    (b"\x00\x11\x00", b"\x01\x02\x11\x01\x00"),
    (b"\x11\x22\x00\x33", b"\x03\x11\x22\x02\x33\x00"),
    (b"\x11\x22\x33\x44", b"\x05\x11\x22\x33\x44\x00"),
    (b"\x11\x00\x00\x00", b"\x02\x11\x01\x01\x01\x00"),
    (RUN[:253], b"\xfe" + RUN[:253] + b"\x00"),
    (RUN[:254], b"\xff" + RUN[:254] + b"\x00"),
    (b"\x00" + RUN[:254], b"\x01\xff" + RUN[:254] + b"\x00"),
    (RUN[:255], b"\xff" + RUN[:254] + b"\x02\xff\x00"),
    (RUN[:254] + b"\x00", b"\xff" + RUN[:254] + b"\x01\x01\x00"),
    (RUN[:253] + b"\x00", b"\xfe" + RUN[:253] + b"\x01\x00"),
]


def random_packet(rng):
    """Packet of up to 600 bytes, with zeros from never to always."""
    zeros = rng.choice((0, 0.01, 0.2, 1))
    length = rng.choice((1, 2, 5, 30, 253, 254, 255, 256, 508, 509, 600))
    return bytes(0 if rng.random() < zeros else rng.randint(1, 255) for _ in range(length))


def beats(packet):
    """Beats of a packet stream."""
    return [{"data": byte, "last": n == len(packet) - 1} for n, byte in enumerate(packet)]


@pytest.mark.parametrize(("packet", "frame"), PUBLISHED)
def test_published_examples(packet, frame):
    assert CobsEncoderParameters().compute(packet) == b"\x00" + frame
    assert CobsDecoderParameters().compute(frame) == [(packet, False)]


@pytest.mark.parametrize("seed", range(6))
def test_encoder_matches_compute(seed):
    rng = random.Random(seed)
    packets = [random_packet(rng) for _ in range(4)] + [packet for packet, _ in PUBLISHED[:6]]
    p = CobsEncoderParameters()
    expected = b"".join(p.compute(packet) for packet in packets)
    run = run_stream(
        p.create(),
        [beat for packet in packets for beat in beats(packet)],
        count=len(expected),
        seed=seed,
        stall_in=rng.choice((0, 0.3, "bursts")),
        stall_out=rng.choice((0, 0.3, "bursts")),
        limit=60_000,
    )
    assert bytes(run.outputs) == expected, f"seed {seed}"


def test_encoder_timing():
    """A group is sent from the cycle after its last byte; it occupies at most 2 c + 1 cycles, c its code byte."""
    packet = bytes([1, 2, 3, 0, 4, 5])
    run = run_stream(CobsEncoderParameters().create(), beats(packet) * 2, count=18)
    assert bytes(run.outputs) == 2 * b"\x00\x04\x01\x02\x03\x03\x04\x05\x00"
    assert run.output_cycles[0] == run.input_cycles[0] - 1
    assert run.output_cycles[1] == run.input_cycles[3] + 1
    assert run.input_cycles[4] - run.input_cycles[0] == 2 * 4 + 1


def test_decoder_inverts_encoder():
    rng = random.Random(5)
    packets = [random_packet(rng) for _ in range(300)]
    line = b"".join(CobsEncoderParameters().compute(packet) for packet in packets)
    assert CobsDecoderParameters().compute(line) == [(packet, False) for packet in packets]


def decoded_beats(line):
    """Beats that a line decodes to, including the start of a packet that has no end yet."""
    expected = []
    for packet, bad in CobsDecoderParameters().compute(line):
        expected += [
            {"data": byte, "last": int(n == len(packet) - 1), "bad": int(bad and n == len(packet) - 1)}
            for n, byte in enumerate(packet)
        ]
    return expected


@pytest.mark.parametrize("seed", range(6))
def test_decoder_matches_compute_on_garbage(seed):
    rng = random.Random(seed)
    line = b"\x00"
    for _ in range(12):
        if rng.random() < 0.5:
            line += CobsEncoderParameters().compute(random_packet(rng)[:300])
        else:
            line += bytes(rng.choice((0, 1, 2, 3, 255, rng.randint(0, 255))) for _ in range(rng.randint(1, 40)))
    line += b"\x00"
    expected = decoded_beats(line)
    run = run_stream(
        CobsDecoderParameters().create(),
        list(line),
        count=len(expected),
        seed=seed,
        stall_in=rng.choice((0, 0.3, "bursts")),
        stall_out=rng.choice((0, 0.3, "bursts")),
        limit=60_000,
    )
    assert run.outputs == expected, f"seed {seed}"


def test_decoder_resynchronizes_at_the_next_delimiter():
    """Every cut of a frame spoils at most that frame."""
    frame = CobsEncoderParameters().compute(b"\x01\x00\x02\x03\x00")
    for cut in range(len(frame)):
        packets = CobsDecoderParameters().compute(frame[:cut] + b"\x00" + frame)
        assert packets[-1] == (b"\x01\x00\x02\x03\x00", False)
        assert len(packets) <= 2


def test_decoder_throughput_is_one_byte_a_cycle():
    line = CobsEncoderParameters().compute(RUN) * 2
    run = run_stream(CobsDecoderParameters().create(), list(line), count=2 * len(RUN))
    assert run.input_cycles == list(range(len(line)))
    assert run.output_cycles[0] == 3  # in the cycle of the byte after it; delimiter and code byte come first
