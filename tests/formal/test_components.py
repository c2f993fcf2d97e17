"""Every stream component of the gateware under the one contract proof of `signfold.sim.contract`."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import numpy as np
import pytest
from amaranth.hdl import Assume, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

import signfold.hw
from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.add_join import AddJoinParameters
from signfold.hw.axi_lite import AxiLiteParameters
from signfold.hw.axi_stream import FrameInputParameters, ResultOutputParameters
from signfold.hw.cobs import CobsDecoderParameters, CobsEncoderParameters
from signfold.hw.concat_join import ConcatJoinParameters
from signfold.hw.engine import EngineParameters
from signfold.hw.feeder import FeederParameters
from signfold.hw.fork import ForkParameters
from signfold.hw.frame_gate import FrameGateParameters
from signfold.hw.gather import GatherParameters
from signfold.hw.gearbox import NarrowerParameters, WidenerParameters
from signfold.hw.graph import GraphConfig
from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.host_link import HostLinkParameters
from signfold.hw.image import ImageGeometry
from signfold.hw.line_window import LineWindowParameters
from signfold.hw.packet import Geometry, RequestType, Status
from signfold.hw.packet_buffer import PacketBufferParameters
from signfold.hw.packet_crc import CrcAppenderParameters, CrcCheckerParameters
from signfold.hw.packet_request import RequestParserParameters
from signfold.hw.packet_response import ResponseBuilderParameters
from signfold.hw.pad_channels import PadChannelsParameters
from signfold.hw.pixels import PixelParameters
from signfold.hw.planes import PlaneParameters
from signfold.hw.ram import RamParameters
from signfold.hw.reload_image import ReloadImage
from signfold.hw.reloadable import ReloadableParameters
from signfold.hw.reloader import ReloaderParameters
from signfold.hw.replay import ReplayParameters
from signfold.hw.rom import RomParameters
from signfold.hw.scale import ScaleParameters
from signfold.hw.scale_stage import ScaleStageParameters
from signfold.hw.score import ScoreParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.shared_engine import SharedEngineParameters
from signfold.hw.shared_layer import SharedLayer
from signfold.hw.shared_loader import LoaderParameters
from signfold.hw.skid import SkidBufferParameters
from signfold.hw.stream import QueueParameters
from signfold.hw.sums import SumFormat
from signfold.hw.threshold import ThresholdParameters
from signfold.hw.threshold_stage import ThresholdStageParameters
from signfold.hw.uart import UartParameters
from signfold.hw.window_parameters import WindowParameters
from signfold.sim.contract import Environment, bounded_packets, prove
from signfold.sw.hardwire import adder_graph


@dataclass(frozen=True)
class Case:
    """One component at one size, with the bounds that its docstring promises and how far the proof reaches."""

    create: Callable[[], wiring.Component]
    offers: Mapping[str, int | None]
    takes: Mapping[str, int | None]
    depth: int
    method: str = "induction"
    hold_method: str = "induction"
    hold_depth: int = 4
    environment: Environment | None = None
    cover_depth: int | None = None


GEOMETRY = Geometry(identity=bytes(16), elements=2, bits=2, classes=2, score_width=3, window=1)
UART = UartParameters(4)


def weights(channels, fan_in):
    return np.arange(channels * fan_in).reshape(channels, fan_in) % 3 % 2


def accelerator():
    """All kinds of stages, but one engine only: every further one multiplies what the model checker must unroll."""
    return AcceleratorConfig(
        PixelParameters(elements=2, bits=1, thresholds=np.array([[1]]), lanes=1),
        (EngineParameters("l0", weights(2, 2), None, cols=1, simd=2),),
        ScoreParameters(classes=2, sum_width=2, step=2, origin=2, low=-2, high=2),
    )


def graph():
    """Two positions of a bit: each, and beside it the sum of a window of one."""
    image = ImageGeometry(1, 2, (1, 1))
    engine = EngineParameters("l0", np.array([[[1]]]), None, cols=1, simd=1, stages=0, image=image)
    join = AddJoinParameters(1, 1, (SumFormat(1), SumFormat(1, 2, engine.origin)), 2)
    sums = join.output
    scores = ScoreParameters(2, sums.bits, sums.step, sums.origin, sums.low, sums.high)
    pixels = PixelParameters(2, 1, None, 1, positions=2)
    return GraphConfig(pixels, (engine, join), scores, ((-1,), (-1, 0)), ((0,), (8, 0)))


class SerialLine(wiring.Component):
    """A transmitter and a receiver on one line: the receiver alone cannot be made to offer from a free pin."""

    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))

    def elaborate(self, platform):
        m = Module()
        m.submodules.transmitter = transmitter = UART.create_transmitter()
        m.submodules.receiver = receiver = UART.create_receiver()
        m.d.comb += receiver.rx.eq(transmitter.tx)
        wiring.connect(m, wiring.flipped(self.i), transmitter.i)
        wiring.connect(m, receiver.o, wiring.flipped(self.o))
        return m


def packets(longest, shortest=1, **fields):
    """Return an environment of packets on `i` of `shortest` .. `longest` beats, with the given values of fields."""

    def environment(m, dut):
        payload = dut.i.payload
        bounded_packets(m, dut.i, longest)
        beat = Signal(range(longest + 1))
        with m.If(dut.i.valid & dut.i.ready):
            m.d.sync += beat.eq(Mux(payload.last, 0, beat + 1))
        with m.If(dut.i.valid):
            m.d.comb += Assume((beat >= shortest - 1) | ~payload.last)
            for name, value in fields.items():
                m.d.comb += Assume(payload[name] == value)

    return environment


def packets_of_all(*longest):
    """Return an environment of packets on `i0`, `i1`, ... of at most as many beats."""

    def environment(m, dut):
        for interface, most in zip(dut.inputs, longest, strict=True):
            bounded_packets(m, interface, most)

    return environment


def infer_requests(m, dut):
    """Every packet is a well-formed request for an inference."""
    length = 2 + GEOMETRY.elements
    packets(length, shortest=length, length=length)(m, dut)
    first = Signal(init=1)
    with m.If(dut.i.valid & dut.i.ready):
        m.d.sync += first.eq(dut.i.payload.last)
    with m.If(dut.i.valid & first):
        m.d.comb += Assume(dut.i.payload.data == RequestType.INFER)


def whole_results(m, dut):
    """Results come in packets of one beat a class."""
    beat = Signal(range(GEOMETRY.classes))
    final = beat == GEOMETRY.classes - 1
    with m.If(dut.results.valid & dut.results.ready):
        m.d.sync += beat.eq(Mux(final, 0, beat + 1))
    with m.If(dut.results.valid):
        m.d.comb += Assume(dut.results.payload.last == final)


def answers_with_results(m, dut):
    """Every answer has a result: it is to an inference, done or with a code out of range."""
    whole_results(m, dut)
    header = dut.answers.payload
    with m.If(dut.answers.valid):
        m.d.comb += Assume(header.type == RequestType.INFER)
        m.d.comb += Assume((header.status == Status.OK) | (header.status == Status.BAD_CODE))


def open_gate(m, dut):
    """The gate stays open, and each frame's result leaves in the cycle after its last beat."""
    ended = Signal()
    m.d.sync += ended.eq(dut.i.valid & dut.i.ready & dut.i.payload.last)
    m.d.comb += [Assume(~dut.close), Assume(dut.finished == ended)]


def swapped_at_once(m, dut):
    """Packets are short; a good image is put in force in the cycle in which that is asked."""
    packets(4)(m, dut)
    m.d.comb += Assume(dut.swapped == dut.swap)


def granted(m, dut):
    """Whoever takes vectors always has room."""
    m.d.comb += Assume(dut.grant)


def unflushed(m, dut):
    """There is no soft reset."""
    m.d.comb += Assume(~dut.flush)


def stepped(m, dut):
    """Whoever steps does so whenever it may, and plays each window once."""
    m.d.comb += Assume((dut.step == dut.offer) & dut.advance)


SHARED = SharedEngineParameters(
    "l0",
    (
        SharedLayer(EngineParameters("l0", weights(1, 1), np.array([[1]]), cols=1, simd=1, stages=0)),
        SharedLayer(EngineParameters("l1", weights(1, 1), None, cols=1, simd=1, stages=0)),
    ),
)
ENGINE = EngineParameters("l0", weights(4, 4), np.array([[0], [2], [6], [-4]]), cols=2, simd=2)
SIGNS = 2 * weights(3, 4) - 1
HARDWIRED = HardwiredParameters("l0", SIGNS, adder_graph(SIGNS), np.array([[0], [2], [-2]]), simd=2, hop=2)
ACCELERATOR = accelerator()

#: Bounds are cycles. "bounded" halves start at reset, because from states that cannot be reached, such as a value of a
#: state register that stands for no state, the component may break its promise or never recover.
CASES = {
    "queue": Case(QueueParameters(3, 3).create, {"o": 2}, {"i": 1}, depth=16, method="bounded"),
    "skid buffer": Case(SkidBufferParameters(3).create, {"o": 1}, {"i": 1}, depth=6),
    # A soft reset takes offers back on purpose; tests/sim/test_axi.py gives it.
    "axi frames": Case(
        FrameInputParameters(2, 3, 3).create,
        {"o": 1},
        {"i": 1},
        depth=14,
        method="bounded",
        environment=unflushed,
    ),
    "axi results": Case(ResultOutputParameters(3, 3).create, {"o": 2}, {"i": 4}, depth=16, method="bounded"),
    "axi lite": Case(
        AxiLiteParameters(3, (1,)).create, {"b": 3, "r": 3}, {"aw": 3, "w": 3, "ar": 3}, depth=14, method="bounded"
    ),
    "widener": Case(WidenerParameters(5, 1, 1, 2).create, {"o": 2}, {"i": 0}, depth=6),
    "widener by 3": Case(WidenerParameters(7, 2, 1, 3).create, {"o": 4}, {"i": 0}, depth=8, cover_depth=12),
    "narrower": Case(NarrowerParameters(5, 1, 4, 2).create, {"o": 1}, {"i": 1}, depth=6),
    "pixels": Case(
        PixelParameters(4, 2, np.array([[2]]), 2).create,
        {"o": 3},
        {"i": 2},
        depth=16,
        method="bounded",
        environment=packets(4),
    ),
    "pixels with a table": Case(
        PixelParameters(4, 2, np.array([[1], [2], [3], [4]]), 2).create,
        {"o": 3},
        {"i": 2},
        depth=16,
        method="bounded",
        environment=packets(4),
    ),
    "pixels by position": Case(
        PixelParameters(4, 2, None, 1, 2).create,
        {"o": 5},
        {"i": 4},
        depth=16,
        method="bounded",
        environment=packets(5),
    ),
    "scores": Case(ScoreParameters(3, 3, 2, 5, -3, 3).create, {"o": 2}, {"i": 1}, depth=6, cover_depth=10),
    "scores with a table": Case(
        ScoreParameters(3, 3, 2, 5, -3, 3, np.array([1, -2, 3]), np.array([0, 5, -6])).create,
        {"o": 3},
        {"i": 1},
        depth=6,
        cover_depth=10,
    ),
    "thresholds": Case(
        ThresholdStageParameters(ThresholdParameters("t", 1, 2, np.array([[1, 2, 4], [0, 3, 3]]))).create,
        {"o": 5},
        {"i": 4},
        depth=18,
        method="bounded",
    ),
    "scale": Case(
        ScaleStageParameters(ScaleParameters("s", 1, SumFormat(2), [3, -1], [1, 2], 1, 0, 1)).create,
        {"o": 6},
        {"i": 5},
        depth=14,
        method="bounded",
    ),
    "fork": Case(ForkParameters(2, 3).create, {"o0": 1, "o1": 1, "o2": 1}, {"i": 0}, depth=6),
    "add join": Case(
        AddJoinParameters(2, 3, (SumFormat(2), SumFormat(1, 2), SumFormat(1))).create,
        {"o": 1},
        {"i0": 0, "i1": 0, "i2": 0},
        depth=6,
    ),
    "concat join": Case(
        ConcatJoinParameters(1, (2, 1), (SumFormat(2), SumFormat(1, 2, 3))).create,
        {"o": 1},
        {"i0": 1, "i1": 2},
        depth=12,
        method="bounded",
        environment=packets_of_all(2, 1),
    ),
    "channel padding": Case(
        PadChannelsParameters(2, 4, 4, 3, SumFormat(2, 1, 1)).create,
        {"o": 1},
        {"i": 4},
        depth=14,
        method="bounded",
    ),
    "window": Case(
        WindowParameters(1, 1, 2, 2, (2, 2)).create,
        {},
        {"i": 6},
        depth=24,
        method="bounded",
        environment=stepped,
    ),
    "window by channel": Case(
        WindowParameters(1, 2, 2, 2, (2, 2), padding=(1, 0, 0, 0), by_channel=True).create,
        {},
        {"i": 10},
        depth=24,
        method="bounded",
        environment=stepped,
    ),
    "replay": Case(
        ReplayParameters(2, 2, 2).create,
        {},
        {"i": 4},
        depth=24,
        method="bounded",
        environment=stepped,
    ),
    "feeder": Case(
        FeederParameters(ReplayParameters(1, 2, 1, 2), 2, PlaneParameters(2, 2)).create,
        {},
        {"i": 8},
        depth=24,
        method="bounded",
        environment=lambda m, dut: dut.grant,
    ),
    "feeder of two rows": Case(
        FeederParameters(WindowParameters(1, 1, 2, 3, (2, 2)), 1, PlaneParameters(), 2).create,
        {},
        {"i": 8},
        depth=14,
        method="bounded",
        environment=lambda m, dut: dut.grant,
    ),
    "gather": Case(GatherParameters(2, 3, 2).create, {}, {"i": 2}, depth=12, method="bounded", environment=granted),
    "line window": Case(
        LineWindowParameters(ImageGeometry(2, 3, (2, 2), padding=(1, 0, 0, 1)), 1).create,
        {},
        {"i": 7},
        depth=18,
        method="bounded",
        environment=granted,
    ),
    "hardwired": Case(HARDWIRED.create, {"o": 9}, {"i": 7}, depth=20, method="bounded"),
    "engine": Case(ENGINE.create, {"o": 14}, {"i": 14}, depth=24, method="bounded"),
    "shared engine": Case(SHARED.create, {"o": 16}, {"i": 12}, depth=24, method="bounded"),
    "loader": Case(
        LoaderParameters((RamParameters(9, 5),) * 2).create,
        {},
        {"i": 0},
        depth=6,
        environment=lambda m, dut: dut.enable,
    ),
    "accelerator": Case(
        ACCELERATOR.create, {"o": 14}, {"i": 8}, depth=22, method="bounded", environment=packets(2, shortest=2)
    ),
    # What it offers within how many cycles: tests/formal/test_graph.py.
    "graph": Case(
        graph().create,
        {"o": None},
        {"i": 6},
        depth=14,
        method="bounded",
        hold_method="bounded",
        hold_depth=8,
        cover_depth=0,
        environment=packets(2, shortest=2),
    ),
    "uart transmitter": Case(UART.create_transmitter, {}, {"i": 39}, depth=50, method="bounded", cover_depth=43),
    # Its line is a free pin, which may never bring a byte: its progress is that of "serial line".
    "uart receiver": Case(UART.create_receiver, {"o": None}, {}, depth=0, cover_depth=0),
    # Two bytes of free bits on the line are too much to cover; "uart transmitter" shows that a byte can be followed.
    "serial line": Case(SerialLine, {"o": 50}, {"i": 39}, depth=56, method="bounded", cover_depth=0),
    "cobs encoder": Case(
        CobsEncoderParameters().create,
        {"o": 4},
        {"i": 8},
        depth=18,
        method="bounded",
        environment=packets(3),
        hold_method="bounded",
        hold_depth=12,
    ),
    "cobs decoder": Case(
        CobsDecoderParameters().create,
        {"o": 3},
        {"i": 0},
        depth=6,
        cover_depth=10,
        environment=lambda m, dut: dut.i.payload != 0,
    ),
    "crc appender": Case(CrcAppenderParameters().create, {"o": 0}, {"i": 2}, depth=12, method="bounded"),
    "crc checker": Case(CrcCheckerParameters().create, {"o": 1}, {"i": 0}, depth=4, cover_depth=8),
    "packet buffer": Case(
        PacketBufferParameters(8, 2, 1).create,
        {"o": 9},
        {"i": 0},
        depth=18,
        method="bounded",
        environment=packets(3, shortest=2, bad=0),
        hold_method="bounded",
        hold_depth=14,
    ),
    "request parser": Case(
        RequestParserParameters(2, 2, PacketBufferParameters(8, 2, 2).layout()).create,
        {"o": None, "answers": 4},
        {"i": 1},
        depth=20,
        method="bounded",
        environment=packets(4, shortest=2),
    ),
    "request parser inferring": Case(
        RequestParserParameters(2, 2, PacketBufferParameters(8, 2, 2).layout()).create,
        {"o": 3, "answers": 4},
        {"i": 1},
        depth=17,
        method="bounded",
        environment=infer_requests,
    ),
    # A chunk is too long to be followed to its end; tests/hw/test_reloadable.py takes whole images.
    "reloader": Case(
        ReloaderParameters(ReloadImage((RomParameters("t", 3, (1, 2, 3)),), bytes(16))).create,
        {"o": 9},
        {"i": 5},
        depth=20,
        method="bounded",
        environment=swapped_at_once,
        hold_method="bounded",
        hold_depth=14,
    ),
    "frame gate": Case(
        FrameGateParameters(beat_layout(1, 1), 3).create,
        {"o": 0},
        {"i": 0},
        depth=10,
        method="bounded",
        environment=open_gate,
    ),
    # Its progress is that of the accelerator and of these two.
    "reloadable accelerator": Case(
        ReloadableParameters(ACCELERATOR, bytes(16)).create,
        {"o": None, "s": None},
        {"i": None, "w": None},
        depth=0,
        hold_method="bounded",
        hold_depth=12,
        cover_depth=0,
    ),
    "request parser that reloads": Case(
        RequestParserParameters(2, 2, PacketBufferParameters(8, 2, 2).layout(), 3, reload=True).create,
        {"o": None, "w": None, "answers": 6},
        {"i": 2, "statuses": None},
        depth=20,
        method="bounded",
        environment=packets(5, shortest=2),
        cover_depth=24,
    ),
    "request parser with weights": Case(
        RequestParserParameters(2, 2, PacketBufferParameters(8, 2, 2).layout(), 3).create,
        {"o": None, "w": None, "answers": 5},
        {"i": 1},
        depth=20,
        method="bounded",
        environment=packets(5, shortest=2),
    ),
    "response builder": Case(
        ResponseBuilderParameters(GEOMETRY).create,
        {"o": 3},
        {"answers": 40, "results": None},
        depth=44,
        environment=whole_results,
        hold_method="bounded",
        hold_depth=34,
    ),
    "response builder inferring": Case(
        ResponseBuilderParameters(GEOMETRY).create,
        {"o": 3},
        {"answers": 10, "results": 10},
        depth=22,
        method="bounded",
        environment=answers_with_results,
        hold_method="bounded",
        hold_depth=16,
    ),
    # A request takes hundreds of cycles on the line: progress is that of the parts, all of which stand above, and of
    # the simulated requests in tests/hw.
    "host link": Case(
        HostLinkParameters(GEOMETRY, lanes=2, divisor=4).create, {"o": None}, {"i": None}, depth=0, cover_depth=0
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_contract(name, tmp_path):
    case = CASES[name]
    options = {field.name: getattr(case, field.name) for field in fields(case) if field.name != "create"}
    proof = prove(case.create(), **options, folder=tmp_path)
    assert (proof.status, proof.failed) == ("bounded" if "bounded" in (case.method, case.hold_method) else "proved", ())


def stream_components():
    """Public components of `signfold.hw` whose ports, own or inherited, hold a stream."""
    found = set()
    for info in pkgutil.iter_modules(signfold.hw.__path__, "signfold.hw."):
        for name, member in inspect.getmembers(importlib.import_module(info.name), inspect.isclass):
            if not issubclass(member, wiring.Component) or name.startswith("_") or member.__module__ != info.name:
                continue
            own = [base for base in member.__mro__ if base.__module__.startswith("signfold.hw.")]
            if any("stream.Signature" in inspect.getsource(base) for base in own):
                found.add(member)
    return found


def test_every_stream_component_has_a_proof():
    components = stream_components()
    assert components, "the scan found no stream component at all"
    proven = {type(case.create()) for case in CASES.values()}
    missing = sorted(f"{c.__module__}.{c.__qualname__}" for c in components - proven)
    assert not missing, f"stream components without a contract proof in {__name__}: {missing}"
