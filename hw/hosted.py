"""An accelerator behind a serial line: all of a board's design but its pins and clock."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Fragment, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.host_link import HostLinkParameters
from signfold.hw.packet import Geometry
from signfold.hw.reload_image import DATA_BYTES, NUMBER_BYTES
from signfold.hw.reloadable import ReloadableParameters
from signfold.hw.reloader import ReloaderParameters
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
    hashes : tuple of bytes or None
        Hashes of the plan and of the build, 16 bytes each, of devices whose network can be replaced while they run;
        with `table`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range, or a layer has weights that no image replaces; the message
        names it.
    """

    config: AcceleratorConfig
    identity: bytes
    divisor: int
    window: int = 2
    table: bool = False
    hashes: tuple[bytes, bytes] | None = None

    def __post_init__(self):
        _ = (self.link, self.reloadable)  # refuse what does not fit the protocol, or cannot be replaced

    @property
    def reloadable(self) -> ReloadableParameters | None:
        """The accelerator with tables that can be replaced while it runs, `identity` among them; or None."""
        if self.hashes is None:
            return None
        return ReloadableParameters(self.config, self.hashes[1], (self.link.builder.rom,))

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
        if self.hashes is not None:
            chunk = NUMBER_BYTES + DATA_BYTES
        hashes = b"".join(self.hashes or ())
        return HostLinkParameters(self.geometry, self.config.pixels.lanes, self.divisor, chunk, self.table, hashes)

    @property
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables."""
        own = self.link.builder.rom
        return self.config.roms if own is None else (*self.config.roms, own)

    def compute(self, line: bytes, others: Sequence["HostedAcceleratorParameters"] = ()) -> bytes:
        """Return all bytes that the device sends for all bytes that it receives, from a host that keeps the window.

        Parameters
        ----------
        line : bytes
            Received bytes.
        others : sequence of HostedAcceleratorParameters
            The same device with the networks whose images may come in.
        """
        inside, packets = self, []

        def infer(codes):
            scores, classes = inside.config.compute(np.array([codes], np.int64))
            return [int(score) for score in scores[0]], int(classes[0])

        def reload(packet):
            nonlocal inside
            packets.append(packet)
            status, contents = ReloaderParameters(self.reloadable.image).compute(packets)[-1]
            if contents is None:
                return status, None
            inside = next(one for one in (self, *others) if one.reloadable.image.contents == contents)
            return status, bytes(contents["identity"])

        return self.link.compute(line, infer, reload)

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
        p = self.parameters
        link = p.link.create()
        if p.reloadable is None:
            m.submodules.link = link
            m.submodules.accelerator = accelerator = p.config.create()
        else:
            accelerator = p.reloadable.create()
            m.submodules.link = Fragment.get(link, accelerator.bus.platform(platform))
            m.submodules.accelerator = accelerator
            m.d.comb += accelerator.permit.eq(link.quiet)
            wiring.connect(m, accelerator.s, link.s)
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx)]
        wiring.connect(m, link.o, accelerator.i)
        wiring.connect(m, accelerator.o, link.i)
        if p.link.chunk:
            wiring.connect(m, link.w, accelerator.w)
        return m
