"""An accelerator behind a serial line: all of a board's design but its pins and clock."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.host_link import HostLinkParameters
from signfold.hw.packet import Geometry
from signfold.hw.rom import RomParameters

__all__ = ["HostedAccelerator", "HostedAcceleratorParameters"]


@dataclass(frozen=True, eq=False)
class HostedAcceleratorParameters:
    """Accelerator with a host link.

    Parameters
    ----------
    config : AcceleratorConfig
        The accelerator.
    identity : bytes
        First 16 bytes of the network's content hash.
    divisor : int
        Clock cycles a bit of the serial line, at least 4.
    window : int
        Requests that the host may have outstanding.
    table : bool
        Keep what the device tells of itself in a ROM, `identity`, so that it can be replaced with the network.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    config: AcceleratorConfig
    identity: bytes
    divisor: int
    window: int = 2
    table: bool = False

    def __post_init__(self):
        _ = self.link  # refuses what does not fit the protocol

    @property
    def geometry(self) -> Geometry:
        """What the device returns to an identify request."""
        pixels, scores = self.config.pixels, self.config.scores
        return Geometry(
            identity=self.identity,
            elements=pixels.elements,
            bits=pixels.bits,
            classes=scores.classes,
            score_width=scores.score_width,
            window=self.window,
        )

    @property
    def link(self) -> HostLinkParameters:
        """The host link."""
        chunk = len(self.config.chunks[0]) if self.config.loads else 0
        return HostLinkParameters(self.geometry, self.config.pixels.lanes, self.divisor, chunk, self.table)

    @property
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables."""
        own = self.link.builder.rom
        return self.config.roms if own is None else (*self.config.roms, own)

    def compute(self, line: bytes) -> bytes:
        """Return all bytes that the device sends for all bytes that it receives, from a host that keeps the window."""

        def infer(codes):
            scores, classes = self.config.compute(np.array([codes], np.int64))
            return [int(score) for score in scores[0]], int(classes[0])

        return self.link.compute(line, infer)

    def create(self) -> "HostedAccelerator":
        """Return the gateware."""
        return HostedAccelerator(self)


class HostedAccelerator(wiring.Component):
    """Serve inference requests from a serial line with an accelerator; docs/link.md describes the protocol.

    Parameters
    ----------
    parameters : HostedAcceleratorParameters
        Accelerator and link.

    Members
    -------
    rx : In(1)
        Serial line from the host, asynchronous.
    tx : Out(1)
        Serial line to the host.
    """

    rx: In(1, init=1)
    tx: Out(1, init=1)

    def __init__(self, parameters: HostedAcceleratorParameters):
        self.parameters = parameters
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = link = self.parameters.link.create()
        m.submodules.accelerator = accelerator = self.parameters.config.create()
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx)]
        wiring.connect(m, link.o, accelerator.i)
        wiring.connect(m, accelerator.o, link.i)
        if self.parameters.config.loads:
            wiring.connect(m, link.w, accelerator.w)
        return m
