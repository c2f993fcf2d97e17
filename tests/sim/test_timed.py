"""The check of a component against its timing notices what differs."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.stream import QueueParameters
from signfold.hw.timing import NoMoreBeats, register, take_all
from signfold.sim.streams import StreamTimeout
from signfold.sim.timed import check_timing, paced, run_timed


class Early(QueueParameters):
    """Its timing forgets the register behind the memory."""

    def timing(self, source):
        return register(source)


class Fickle(wiring.Component):
    """Shows a beat in every other cycle, taken or not."""

    i: In(stream.Signature(4))
    o: Out(stream.Signature(4))

    def elaborate(self, platform):
        m = Module()
        odd = Signal()
        m.d.sync += odd.eq(~odd)
        m.d.comb += [self.i.ready.eq(1), self.o.valid.eq(odd)]
        return m


def test_a_wrong_cycle_is_named():
    with pytest.raises(AssertionError, match=r"^output 0 of Early\(.*\) transfers in 5, its timing says 4$"):
        check_timing(Early(4, 5), [1, 2, 3], count=3, offers=[3, 4, 5])
    with pytest.raises(AssertionError, match=r"gives 2 outputs, its timing says 3$"):
        check_timing(QueueParameters(4, 5), [1, 2, 3], count=2, offers=[], limit=50)


def test_a_broken_rule_is_named():
    with pytest.raises(AssertionError, match=r"^cycle \d+ shows None before 0 was taken$"):
        run_timed(Fickle(), [1], count=2, offers=[], ready=lambda cycle: False, limit=20)
    with pytest.raises(StreamTimeout, match=r"^1 of 1 inputs and 10 of 99 outputs of Fickle after 20 cycles$"):
        run_timed(Fickle(), [1], count=99, offers=[], limit=20)


def test_paced():
    cycles = paced(random.Random(1), 4000, 2)
    assert all(a < b for a, b in zip(cycles, cycles[1:], strict=False))
    assert len(cycles) == 4000 and 2.5 < cycles[-1] / 4000 < 3.5
    assert paced(random.Random(1), 5, 0) == [0, 1, 2, 3, 4]


def test_a_source_may_end_with_an_exception():
    def source():
        yield 3
        raise NoMoreBeats

    assert take_all(register(source()), ready=[9]) == [9]
