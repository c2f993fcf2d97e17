"""The stream contract proof itself: sound components pass, and each kind of planted bug is caught by its name."""

import shutil
from pathlib import Path

import pytest
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.sim import formal
from signfold.sim.contract import StreamContract, bounded_packets, prove, streams
from signfold.sw.errors import ToolError

BOUNDS = {"offers": {"o": 2}, "takes": {"i": 1}}


class Stage(wiring.Component):
    """A register between two streams; subclasses plant one bug each."""

    i: In(stream.Signature(3))
    o: Out(stream.Signature(3))

    def elaborate(self, platform):
        m = Module()
        room = Signal()
        m.d.comb += [room.eq(~self.o.valid | self.o.ready), self.i.ready.eq(room)]
        with m.If(room):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        self.plant(m)
        return m

    def plant(self, m):
        pass


class TakesBack(Stage):
    def plant(self, m):
        waited = Signal(2)
        with m.If(self.o.valid & ~self.o.ready):
            m.d.sync += waited.eq(waited + 1)
            with m.If(waited == 3):
                m.d.sync += self.o.valid.eq(0)


class ChangesPayload(Stage):
    def plant(self, m):
        with m.If(self.i.valid & (self.i.payload == 5)):
            m.d.sync += self.o.payload.eq(self.i.payload)


class PoisonedByReset(Stage):
    """Deadlock: what says that the stage is full survives a reset, what it was full of does not."""

    def plant(self, m):
        full = Signal(reset_less=True)
        m.d.comb += self.i.ready.eq(~full)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += full.eq(1)
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += full.eq(0)
        with m.If(full & ~self.o.valid):
            m.d.sync += self.o.valid.eq(0)


class NeverTakes(Stage):
    def plant(self, m):
        m.d.comb += self.i.ready.eq(0)


class StopsAfterSeven(Stage):
    """Deadlock: a payload of 7 closes the input for good."""

    def plant(self, m):
        closed = Signal()
        with m.If(self.i.valid & self.i.ready & (self.i.payload == 7)):
            m.d.sync += closed.eq(1)
        with m.If(closed):
            m.d.comb += self.i.ready.eq(0)
            m.d.sync += self.o.valid.eq(self.o.valid & ~self.o.ready)


class Drops(Stage):
    """Takes everything and offers nothing."""

    def plant(self, m):
        m.d.sync += self.o.valid.eq(0)


class WaitsForReady(wiring.Component):
    """Raises `valid` only in a cycle after one with `ready`: no combinational path, and still a deadlock."""

    i: In(stream.Signature(3))
    o: Out(stream.Signature(3))

    def elaborate(self, platform):
        m = Module()
        full, asked = Signal(), Signal()
        m.d.comb += [self.i.ready.eq(~full), self.o.valid.eq(full & asked)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [full.eq(1), self.o.payload.eq(self.i.payload)]
        with m.If(full & self.o.ready):
            m.d.sync += asked.eq(1)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [full.eq(0), asked.eq(0)]
        return m


class AnswersReady(wiring.Component):
    """Offers only while being asked, within the cycle."""

    i: In(stream.Signature(3))
    o: Out(stream.Signature(3))

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.o.valid.eq(self.i.valid & self.o.ready),
            self.o.payload.eq(self.i.payload),
            self.i.ready.eq(self.o.ready),
        ]
        return m


class Merge(wiring.Component):
    """Two inputs, one output, taken in turn."""

    first: In(stream.Signature(2))
    second: In(stream.Signature(2))
    o: Out(stream.Signature(2))

    def elaborate(self, platform):
        m = Module()
        turn = Signal()
        for number, source in enumerate((self.first, self.second)):
            with m.If(turn == number):
                m.d.comb += [
                    self.o.valid.eq(source.valid),
                    self.o.payload.eq(source.payload),
                    source.ready.eq(self.o.ready),
                ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += turn.eq(~turn)
        return m


class Fork(wiring.Component):
    """One input, two outputs; `eager` lets each output go by itself, otherwise each waits for the other's ready."""

    def __init__(self, eager):
        self.eager = eager
        super().__init__(
            {"i": In(stream.Signature(2)), "left": Out(stream.Signature(2)), "right": Out(stream.Signature(2))}
        )

    def elaborate(self, platform):
        m = Module()
        outputs = (self.left, self.right)
        gone = Signal(2)
        m.d.comb += self.i.ready.eq((gone[0] | self.left.ready) & (gone[1] | self.right.ready))
        for number, output in enumerate(outputs):
            other = outputs[1 - number]
            permitted = ~gone[number] if self.eager else other.ready
            m.d.comb += [output.valid.eq(self.i.valid & permitted), output.payload.eq(self.i.payload)]
            if self.eager:
                with m.If(output.valid & output.ready):
                    m.d.sync += gone[number].eq(1)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += gone.eq(0)
        return m


class PacketEnds(wiring.Component):
    """Offers the final beat of each packet and swallows the others."""

    i: In(stream.Signature(data.StructLayout({"data": 2, "last": 1})))
    o: Out(stream.Signature(2))

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.o.valid.eq(self.i.valid & self.i.payload.last),
            self.o.payload.eq(self.i.payload.data),
            self.i.ready.eq(~self.i.payload.last | self.o.ready),
        ]
        return m


def test_sound_stage_is_proved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    proof = prove(Stage(), **BOUNDS, depth=4, cover_depth=8, folder=Path("relative"))
    assert (proof.status, proof.failed, proof.trace) == ("proved", (), None)


def test_sound_stage_bounded(tmp_path):
    proof = prove(Stage(), **BOUNDS, method="bounded", depth=8, folder=tmp_path)
    assert (proof.status, proof.depth) == ("bounded", 8)


@pytest.mark.parametrize(
    "component, failed",
    [
        (TakesBack, "o_valid_kept"),
        (ChangesPayload, "o_payload_kept"),
        (PoisonedByReset, "i_takes"),
        (NeverTakes, "i_takes"),
        (StopsAfterSeven, "i_takes"),
        (Drops, "o_offers"),
        (WaitsForReady, "o_offers"),
    ],
)
def test_planted_bug_is_caught_by_name(component, failed, tmp_path):
    # The model checker stops at the first cycle in which anything fails: ask for the one promise that is broken.
    takes = BOUNDS["takes"] if failed == "i_takes" else {"i": None}
    proof = prove(component(), offers={"o": 2}, takes=takes, depth=8, hold_depth=8, folder=tmp_path)
    assert proof.status == "refuted"
    assert failed in proof.failed
    assert proof.trace.is_file()


def test_ready_to_valid_path_is_caught(tmp_path):
    proof = prove(AnswersReady(), **BOUNDS, depth=4, folder=tmp_path)
    assert (proof.status, proof.failed) == ("refuted", ("o_ready_reaches_a_valid",))


def test_bound_is_exact(tmp_path):
    """One cycle less than the stage needs is refuted, so the bounds mean what they say."""
    proof = prove(Stage(), offers={"o": 1}, takes={"i": 0}, depth=6, cover_depth=8, folder=tmp_path / "held")
    assert proof.status == "proved"
    proof = prove(Stage(), offers={"o": 0}, takes={"i": 0}, depth=6, folder=tmp_path / "short")
    assert (proof.status, proof.failed) == ("refuted", ("o_offers",))


def test_several_streams(tmp_path):
    proof = prove(
        Merge(), offers={"o": 0}, takes={"first": 1, "second": 1}, depth=4, cover_depth=8, folder=tmp_path / "merge"
    )
    assert proof.status == "proved"
    bounds = {"offers": {"left": 2, "right": 2}, "takes": {"i": 1}}
    assert prove(Fork(eager=True), **bounds, depth=5, cover_depth=8, folder=tmp_path / "eager").status == "proved"
    lazy = prove(Fork(eager=False), **bounds, depth=5, folder=tmp_path / "lazy")
    assert lazy.failed == ("left_ready_reaches_a_valid", "right_ready_reaches_a_valid")


def test_environment(tmp_path):
    """A component that swallows beats keeps its promise only where packets end."""
    bounds = {"offers": {"o": 3}, "takes": {"i": 0}}
    proof = prove(PacketEnds(), **bounds, depth=8, folder=tmp_path / "endless")
    assert (proof.status, proof.failed) == ("refuted", ("o_offers",))
    proof = prove(
        PacketEnds(),
        **bounds,
        environment=lambda m, dut: bounded_packets(m, dut.i, 3),
        depth=10,
        folder=tmp_path / "bounded",
    )
    assert proof.status == "proved"


def test_empty_proof_is_refused(tmp_path):
    """Assumptions that allow no transfer make every property hold; the covers notice."""

    def silence(m, dut):
        return dut.i.payload != dut.i.payload

    proof = prove(Stage(), **BOUNDS, environment=silence, depth=6, folder=tmp_path)
    assert proof.status == "refuted"
    assert set(proof.failed) == {"i_meets_cooperation", "o_meets_cooperation"}


class StrandsItself(Stage):
    """Sound from reset on: the count that would close the input is never reached. Induction starts there."""

    def plant(self, m):
        count = Signal(3)
        with m.If((count != 6) & self.i.valid):
            m.d.sync += count.eq(Mux(count == 5, 0, count + 1))
        with m.If(count == 6):
            m.d.comb += self.i.ready.eq(0)


def test_induction_that_does_not_converge_is_unknown(tmp_path):
    """Neither a proof nor a refutation; from reset on the same component passes."""
    proof = prove(StrandsItself(), **BOUNDS, depth=8, folder=tmp_path / "induction")
    assert (proof.status, proof.failed) == ("unknown", ())
    proof = prove(StrandsItself(), **BOUNDS, method="bounded", depth=8, folder=tmp_path / "bounded")
    assert proof.status == "bounded"


def test_streams_names_members_and_directions():
    assert {name: is_output for name, (_, is_output) in streams(Fork(eager=True)).items()} == {
        "i": False,
        "left": True,
        "right": True,
    }
    array = wiring.Component({"o": Out(stream.Signature(1)).array(2)})
    with pytest.raises(TypeError, match=r"^stream 'o' of Component must stand alone, not in an array$"):
        streams(array)


def test_every_stream_needs_a_bound():
    with pytest.raises(ValueError, match=r"^offers must name the streams \['o'\], not \[\]$"):
        StreamContract(Stage(), offers={}, takes={"i": 1}, half="hold")
    with pytest.raises(ValueError, match=r"^takes must name the streams \['i'\], not \['i', 'o'\]$"):
        StreamContract(Stage(), offers={"o": 1}, takes={"i": 1, "o": 1}, half="hold")


def test_method_and_mode_are_checked(tmp_path):
    with pytest.raises(ValueError, match=r"^method must be one of \('induction', 'bounded'\), not 'hope'$"):
        prove(Stage(), **BOUNDS, method="hope", folder=tmp_path)
    with pytest.raises(ValueError, match=r"^mode must be one of .*, not 'hope'$"):
        formal.check("", mode="hope", depth=1, folder=tmp_path)
    with pytest.raises(ValueError, match=r"^specification must hold at least one assert statement for mode 'bmc'$"):
        formal.check("", mode="bmc", depth=1, folder=tmp_path)


def test_tool_failure_is_no_verdict(tmp_path):
    """A design that Yosys refuses is neither a proof nor a caught bug."""
    contract = StreamContract(Stage(), **BOUNDS, half="hold")
    text = formal.specification_text(contract, contract.ports) + "\nnonsense\n"
    with pytest.raises(ToolError, match=r"^sby gave no verdict"):
        formal.check(text, mode="bmc", depth=2, folder=tmp_path)


def test_missing_tool_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(ToolError, match=r"^yowasp-\S+ is not installed: install signfold\[formal\]$"):
        prove(Stage(), **BOUNDS, folder=tmp_path)
