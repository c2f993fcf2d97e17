"""An accelerator on AXI: streams of frames and results, and a control block, under the names that tools know."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import ClockDomain, ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.axi_control import AxiControlParameters
from signfold.hw.axi_lite import ADDRESS_BITS
from signfold.hw.axi_stream import FrameInputParameters, ResultOutputParameters

__all__ = ["AxiAccelerator", "AxiAcceleratorParameters"]

#: Tells Vivado's block designs which interfaces belong to the clock.
_CLOCK_OF = "XIL_INTERFACENAME aclk, ASSOCIATED_BUSIF {}, ASSOCIATED_RESET aresetn"


@dataclass(frozen=True, eq=False)
class AxiAcceleratorParameters:
    """Accelerator with AXI4-Stream and AXI4-Lite interfaces.

    Parameters
    ----------
    config : AcceleratorConfig
        The accelerator.
    identity : bytes
        The network's content hash, 32 bytes.
    design : str
        Name of the module that holds the accelerator, as `signfold.hw.verilog.convert` writes it.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    config: AcceleratorConfig
    identity: bytes
    design: str = "accelerator"

    def __post_init__(self):
        _ = self.control  # refuses what does not fit the registers

    @property
    def frames(self) -> FrameInputParameters:
        """Input stream."""
        pixels = self.config.pixels
        return FrameInputParameters(pixels.lanes, pixels.bits, pixels.beats)

    @property
    def results(self) -> ResultOutputParameters:
        """Output stream."""
        return ResultOutputParameters(self.config.scores.score_width, self.config.scores.classes)

    @property
    def weights(self) -> FrameInputParameters | None:
        """Stream of the chunks of weights, a byte a beat; None where there are none to load."""
        return FrameInputParameters(1, 8, len(self.config.chunks[0])) if self.config.loads else None

    @property
    def latency(self) -> int:
        """Cycles from a frame's first transfer to the last one of its result, for a frame that meets an idle device."""
        return self.config.latency + self.frames.skid.LATENCY + self.results.skid.LATENCY

    @property
    def control(self) -> AxiControlParameters:
        """Control block."""
        pixels, scores, chunks = self.config.pixels, self.config.scores, self.config.chunks
        return AxiControlParameters(
            identity=self.identity,
            elements=pixels.elements,
            bits=pixels.bits,
            lanes=pixels.lanes,
            beats=pixels.beats,
            classes=scores.classes,
            score_width=scores.score_width,
            field=self.results.field,
            latency=self.latency,
            interval=self.config.interval,
            chunk=len(chunks[0]) if chunks else 0,
            chunks=len(chunks),
        )

    @property
    def members(self) -> dict[str, wiring.Member]:
        """Ports by name."""
        ports = {"aclk": In(1), "aresetn": In(1)}
        ports |= _axis("s_axis", In, self.frames.size) | _axis("m_axis", Out, self.results.size)
        if self.weights is not None:
            ports |= _axis("s_axis_weights", In, self.weights.size)
        return {**ports, **_AXI_LITE}

    def compute(self, packets: list[list[int]]) -> list[list[int]]:
        """Return the packets of TDATA that leave for packets of TDATA that come, each ended by TLAST.

        A packet that is short is filled up with codes 0, one that is long is cut.
        """
        answers = []
        for packet in packets:
            beats, _ = self.frames.compute([(word, k == len(packet) - 1) for k, word in enumerate(packet)])
            codes = [code for beat in beats for code in beat["codes"]]
            elements = self.config.pixels.elements
            frame = (codes + [0] * elements)[:elements]
            scores, _ = self.config.compute(np.array([frame], np.int64))
            best = [int(scores[0, : k + 1].argmax()) for k in range(scores.shape[1])]
            results = [{"score": int(s), "best": b, "last": 0} for s, b in zip(scores[0], best, strict=True)]
            answers.append([beat["data"] for beat in self.results.compute(results)])
        return answers

    def create(self) -> "AxiAccelerator":
        """Return the gateware."""
        return AxiAccelerator(self)


class AxiAccelerator(wiring.Component):
    """AXI interfaces around the module of an accelerator, which it instantiates by name.

    All AXI outputs come from registers. Throughput is the accelerator's, latency 2 cycles more. `aresetn` is taken at
    the clock's edge. The ports of an interface have the standard's names behind the interface's: `s_axis` (frames),
    `m_axis` (results), `s_axi` (AXI4-Lite, 4 kB), and `s_axis_weights` where there are weights to load.

    Parameters
    ----------
    parameters : AxiAcceleratorParameters
        Accelerator.

    Members
    -------
    aclk, aresetn : In(1)
        Clock, and reset, active low.
    s_axis_tdata, s_axis_tvalid, s_axis_tready, s_axis_tlast
        Frames: `signfold.hw.axi_stream.FrameInputParameters`.
    m_axis_tdata, m_axis_tvalid, m_axis_tready, m_axis_tlast
        Results: `signfold.hw.axi_stream.ResultOutputParameters`.
    s_axis_weights_tdata, s_axis_weights_tvalid, s_axis_weights_tready, s_axis_weights_tlast
        Chunks of weights, a byte a beat; only where there are weights to load.
    s_axi_awaddr ... s_axi_rready
        Registers: `signfold.hw.axi_control.REGISTERS`.
    """

    def __init__(self, parameters: AxiAcceleratorParameters):
        self.parameters = p = parameters
        super().__init__(p.members)
        streams = [name for name in ("s_axis", "m_axis", "s_axis_weights") if f"{name}_tdata" in p.members]
        self.aclk.attrs["X_INTERFACE_PARAMETER"] = _CLOCK_OF.format(":".join(["s_axi", *streams]))

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.domains.sync = ClockDomain("sync")
        m.d.comb += [ClockSignal("sync").eq(self.aclk), ResetSignal("sync").eq(~self.aresetn)]
        m.submodules.frames = frames = p.frames.create()
        m.submodules.results = results = p.results.create()
        m.submodules.control = control = p.control.create()
        m.submodules.bus = bus = p.control.bus.create()
        ports: dict[str, Value] = {
            "i__payload": frames.o.payload.as_value(),
            "i__valid": frames.o.valid,
            "o__ready": results.i.ready,
        }
        outputs: dict[str, Value] = {
            "i__ready": frames.o.ready,
            "o__payload": results.i.payload.as_value(),
            "o__valid": results.i.valid,
        }
        if p.weights is not None:
            m.submodules.weights = weights = p.weights.create()
            self._connect_in(m, "s_axis_weights", weights.i)
            m.d.comb += weights.flush.eq(control.flush)
            # A beat of one code of 8 bits and `last` has the bits of a byte of a packet.
            ports |= {"w__payload": weights.o.payload.as_value(), "w__valid": weights.o.valid}
            outputs["w__ready"] = weights.o.ready
        m.submodules.accelerator = Instance(
            p.design,
            i_clk=ClockSignal("sync"),
            i_rst=ResetSignal("sync") | control.flush,
            **{f"i_{name}": value for name, value in ports.items()},
            **{f"o_{name}": value for name, value in outputs.items()},
        )
        self._connect_in(m, "s_axis", frames.i)
        m.d.comb += [
            self.m_axis_tdata.eq(results.o.payload.data),
            self.m_axis_tlast.eq(results.o.payload.last),
            self.m_axis_tvalid.eq(results.o.valid),
            results.o.ready.eq(self.m_axis_tready),
            frames.flush.eq(control.flush),
            results.flush.eq(control.flush),
            control.frame.eq(frames.frame),
            control.short.eq(frames.short),
            control.long.eq(frames.long),
            control.result.eq(results.frame),
            control.quiet.eq(frames.idle & results.idle),
            control.index.eq(bus.index),
            bus.value.eq(control.value),
            control.target.eq(bus.target),
            control.written.eq(bus.written),
            control.write.eq(bus.write),
        ]
        self._connect_bus(m, bus)
        return m

    def _connect_in(self, m: Module, name: str, stream) -> None:
        """Connect a stream that comes in under its flat names."""
        m.d.comb += [
            stream.payload.data.eq(getattr(self, f"{name}_tdata")),
            stream.payload.last.eq(getattr(self, f"{name}_tlast")),
            stream.valid.eq(getattr(self, f"{name}_tvalid")),
            getattr(self, f"{name}_tready").eq(stream.ready),
        ]

    def _connect_bus(self, m: Module, bus) -> None:
        """Connect the channels of AXI4-Lite under their flat names."""
        m.d.comb += [
            bus.aw.payload.eq(self.s_axi_awaddr),
            bus.w.payload.data.eq(self.s_axi_wdata),
            bus.w.payload.strb.eq(self.s_axi_wstrb),
            self.s_axi_bresp.eq(bus.b.payload),
            bus.ar.payload.eq(self.s_axi_araddr),
            self.s_axi_rdata.eq(bus.r.payload.data),
            self.s_axi_rresp.eq(bus.r.payload.resp),
        ]
        for channel in ("aw", "w", "ar"):
            stream = getattr(bus, channel)
            m.d.comb += stream.valid.eq(getattr(self, f"s_axi_{channel}valid"))
            m.d.comb += getattr(self, f"s_axi_{channel}ready").eq(stream.ready)
        for channel in ("b", "r"):
            stream = getattr(bus, channel)
            m.d.comb += getattr(self, f"s_axi_{channel}valid").eq(stream.valid)
            m.d.comb += stream.ready.eq(getattr(self, f"s_axi_{channel}ready"))


def _axis(name: str, direction, size: int) -> dict[str, wiring.Member]:
    """Return the members of an AXI4-Stream; `direction` is that of the data."""
    back = Out if direction is In else In
    forward = {f"{name}_tdata": direction(8 * size), f"{name}_tvalid": direction(1), f"{name}_tlast": direction(1)}
    return {**forward, f"{name}_tready": back(1)}


_AXI_LITE = {
    "s_axi_awaddr": In(ADDRESS_BITS),
    # Rights of an access, which the standard wants as ports; all are served alike.
    "s_axi_awprot": In(3),
    "s_axi_awvalid": In(1),
    "s_axi_awready": Out(1),
    "s_axi_wdata": In(32),
    "s_axi_wstrb": In(4),
    "s_axi_wvalid": In(1),
    "s_axi_wready": Out(1),
    "s_axi_bresp": Out(2),
    "s_axi_bvalid": Out(1),
    "s_axi_bready": In(1),
    "s_axi_araddr": In(ADDRESS_BITS),
    "s_axi_arprot": In(3),
    "s_axi_arvalid": In(1),
    "s_axi_arready": Out(1),
    "s_axi_rdata": Out(32),
    "s_axi_rresp": Out(2),
    "s_axi_rvalid": Out(1),
    "s_axi_rready": In(1),
}
