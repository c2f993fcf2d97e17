"""The stream drivers move what they are given, keep the rules, and catch components that break them."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.sim.stalls import stalls
from signfold.sim.streams import StreamTimeout, run_stream

BEAT = data.StructLayout({"codes": data.ArrayLayout(4, 2), "last": 1})
PATTERNS = [0, 17, 0.5, 0.9, "01", "0001", "110", "bursts"]


class Register(wiring.Component):
    """One register stage; `fault` plants a violation of one stream rule."""

    i: In(stream.Signature(BEAT))
    o: Out(stream.Signature(BEAT))

    def __init__(self, fault=None):
        self.fault = fault
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        free = Signal()
        m.d.comb += free.eq((self.o.ready | ~self.o.valid) if self.fault != "hang" else 0)
        m.d.comb += self.i.ready.eq(free)
        with m.If(free):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        with m.Elif(self.fault == "change"):
            m.d.sync += self.o.payload.codes[0].eq(self.o.payload.codes[0] + 1)
        with m.Elif(self.fault == "retract"):
            m.d.sync += self.o.valid.eq(0)
        if self.fault == "repeat":
            again = Signal()
            m.d.sync += again.eq(self.o.valid & self.o.ready & self.o.payload.last)
            with m.If(again):
                m.d.sync += self.o.valid.eq(1)
        return m


def beats(count, seed):
    rng = random.Random(seed)
    return [{"codes": [rng.randrange(16), rng.randrange(16)], "last": int(n == count - 1)} for n in range(count)]


@pytest.mark.parametrize("stall_in", PATTERNS)
@pytest.mark.parametrize("stall_out", PATTERNS)
def test_every_pattern_delivers_everything(stall_in, stall_out):
    inputs = beats(40, 1)
    run = run_stream(Register(), inputs, count=40, seed=5, stall_in=stall_in, stall_out=stall_out)
    assert run.outputs == inputs
    assert len(run.input_cycles) == len(run.output_cycles) == 40


def test_cycles_are_exact_without_stalls():
    run = run_stream(Register(), beats(5, 2), count=5)
    assert run.input_cycles == [0, 1, 2, 3, 4]
    assert run.output_cycles == [1, 2, 3, 4, 5]


def test_same_seed_same_cycles():
    runs = [run_stream(Register(), beats(30, 3), count=30, seed=s, stall_in=0.5, stall_out=0.5) for s in (7, 7, 8)]
    assert runs[0].output_cycles == runs[1].output_cycles != runs[2].output_cycles


@pytest.mark.parametrize(
    ("fault", "message"),
    [("change", "payload changed"), ("retract", "valid taken back"), ("repeat", "unexpected beat")],
)
def test_broken_rules_are_caught(fault, message):
    with pytest.raises(AssertionError, match=message):
        run_stream(Register(fault), beats(30, 4), count=30, seed=1, stall_out=0.5)


def test_hang_is_caught():
    with pytest.raises(StreamTimeout, match=r"^input and output of Register unfinished after 100 cycles \(seed 3,"):
        run_stream(Register("hang"), beats(3, 4), count=3, seed=3, limit=100)


def test_waveform_on_request(tmp_path):
    run_stream(Register(), beats(3, 4), count=3, vcd=tmp_path / "wave.vcd")
    assert "$enddefinitions" in (tmp_path / "wave.vcd").read_text()


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        (1.0, ValueError, r"^Stall probability must be at least 0 and below 1, not 1\.0$"),
        (-1, ValueError, r"^Stall pattern must be a non-negative number of cycles, not -1$"),
        ("111", ValueError, r"at least one 0, not '111'$"),
        (None, TypeError, r"^Stall pattern must be a float, an int or a string, not None$"),
        (True, TypeError, r"not True$"),
    ],
)
def test_wrong_patterns(pattern, error, message):
    with pytest.raises(error, match=message):
        stalls(pattern, random.Random(0))
