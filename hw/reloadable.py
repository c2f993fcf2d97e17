"""An accelerator whose network can be replaced while it runs."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Fragment, Module, ResetInserter, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.frame_gate import FrameGateParameters
from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.packet import packet_layout
from signfold.hw.reload_bus import ReloadBus
from signfold.hw.reload_image import ReloadImage
from signfold.hw.reloader import ReloaderParameters
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import beat_layout, result_layout

__all__ = ["ReloadableAccelerator", "ReloadableParameters"]


@dataclass(frozen=True, eq=False)
class ReloadableParameters:
    """Accelerator with tables of two banks.

    Parameters
    ----------
    config : AcceleratorConfig
        The accelerator, with the network that is in force after power-on.
    build : bytes
        Hash of the build, which images must name: 16 bytes.
    outside : tuple of RomParameters
        Further tables of the image, of components beside the accelerator.

    Raises
    ------
    TypeError, ValueError
        If a layer is hardwired or waits for weights from a host, or a parameter is out of range.
    """

    config: AcceleratorConfig
    build: bytes
    outside: tuple[RomParameters, ...] = ()

    def __post_init__(self):
        for k, layer in enumerate(self.config.layers):
            if isinstance(layer, HardwiredParameters):
                raise ValueError(f"layer {k} must not be hardwired: its weights are logic, which no image replaces")
            if layer.loads:
                raise ValueError(f"layer {k} must not have memory = 'loaded': an accelerator holds one kind of weights")
        _ = self.image

    @property
    def image(self) -> ReloadImage:
        """Format of images, and this network's."""
        return ReloadImage((*self.config.roms, *self.outside), self.build)

    @property
    def restart(self) -> int:
        """Cycles for which the accelerator is reset after a swap, and after a reset: until all tables are in force."""
        return ReloadBus(self.image.tables).latency + 2

    @property
    def settling(self) -> int:
        """Cycles after reset until every stage waits for input."""
        return self.config.settling + self.restart + 1

    def compute(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and classes of input codes, by the network that is in force after power-on."""
        return self.config.compute(frames)

    def create(self) -> "ReloadableAccelerator":
        """Return the gateware."""
        return ReloadableAccelerator(self)


class ReloadableAccelerator(wiring.Component):
    """Classify frames; take another network of the same shape on the way.

    An image is written into the bank of the tables that is not in force. Once it is complete and right, no further
    frame is let in; when those inside have come out, the other bank comes into force for all tables, the accelerator
    starts from reset, and frames go in again. So each frame is computed by one network: those before the swap by the
    old one, those after it by the new one.

    Cost of a swap: until the last frame inside has come out, at most what it takes by itself and what its results wait;
    `restart` + 2 cycles after it, one more where a table is at the input, the first beat of the next frame goes in;
    that frame may take `config.settling` longer than the latency, as after every reset. Frames before and after are as
    fast as ever; loading by itself costs none of them a cycle.

    A reset keeps the network in force, that is the last one whose swap has begun, and forgets a half image.

    Parameters
    ----------
    parameters : ReloadableParameters
        Accelerator and tables.

    Members
    -------
    i : In(stream of beat_layout(pixels.lanes, pixels.bits))
        Input codes, `last` on the final beat of a frame.
    o : Out(stream of result_layout(scores.score_width, classes))
        Scores in class order, with the best class.
    w : In(stream of packet_layout())
        Chunks of an image; see `signfold.hw.reloader`.
    s : Out(stream of 8 bits)
        A `Status` for every chunk; the last chunk's comes when the new network is in force.
    permit : In(1), where there are tables outside
        Nobody outside reads a table: a swap may take place.
    """

    def __init__(self, parameters: ReloadableParameters):
        self.parameters = parameters
        config = parameters.config
        #: Bus that components outside hang on.
        self.bus = ReloadBus(parameters.image.tables)
        members = {
            "i": In(stream.Signature(beat_layout(config.pixels.lanes, config.pixels.bits))),
            "o": Out(stream.Signature(result_layout(config.scores.score_width, config.scores.classes))),
            "w": In(stream.Signature(packet_layout())),
            "s": Out(stream.Signature(unsigned(8))),
        }
        if parameters.outside:
            members["permit"] = In(1)
        super().__init__(members)

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        restart = Signal(init=1)
        accelerator = p.config.create()
        # Windows read what lies around the image, and its weights, before a frame comes in. So the accelerator starts
        # anew with the new tables.
        inner = Fragment.get(accelerator, self.bus.platform(platform, restart))
        m.submodules.accelerator = ResetInserter(restart)(inner)
        m.submodules.gate = gate = FrameGateParameters(self.i.payload.shape()).create()
        m.submodules.reloader = reloader = ReloaderParameters(p.image).create()
        wiring.connect(m, wiring.flipped(self.i), gate.i)
        wiring.connect(m, gate.o, accelerator.i)
        wiring.connect(m, accelerator.o, wiring.flipped(self.o))
        wiring.connect(m, wiring.flipped(self.w), reloader.i)
        wiring.connect(m, reloader.o, wiring.flipped(self.s))
        m.d.comb += gate.finished.eq(self.o.valid & self.o.ready & self.o.payload.last)

        bank = Signal(reset_less=True)
        self.bus.drive(m, bank, reloader.writes)
        left = Signal(range(p.restart), init=p.restart - 1)
        m.d.comb += gate.close.eq(restart | reloader.swap)
        with m.If(restart):
            m.d.sync += left.eq(left - 1)
            with m.If(left == 0):
                m.d.sync += restart.eq(0)
                m.d.comb += reloader.swapped.eq(1)
        with m.Elif(reloader.swap & gate.drained & (self.permit if p.outside else 1)):
            m.d.sync += [bank.eq(~bank), restart.eq(1), left.eq(p.restart - 1)]
        return m
