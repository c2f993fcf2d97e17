"""What an accelerator reads of the components where branches of a graph meet."""

from signfold.hw.rom import RomParameters
from signfold.hw.sums import GivesSums, SumFormat
from signfold.hw.timing import Scheduled, Timing

__all__ = ["Join"]


class Join(GivesSums, Scheduled):
    """Base of the parameters of joins: several streams of sums, or of codes, become one.

    `create()` gives a component with streams `i0`, `i1`, ... of beat_layout(lanes, bits of the source's format), a
    packet a position, and a stream `o` of beat_layout(lanes, output_bits). The words are those of `signfold.hw.stage`.
    """

    #: What the join's instance is called, with its number, in an accelerator.
    kind: str
    #: Values of a beat, at every input and at the output.
    lanes: int
    #: Channels of a position that goes out.
    channels: int
    #: Channels of a position of each source.
    source_channels: tuple[int, ...]
    #: How what each source gives travels.
    formats: tuple[SumFormat, ...]
    #: Positions of a frame.
    positions: int

    thresholds = None
    serial = False
    span = 1
    chunks = ()
    loads: tuple[RomParameters, ...] = ()
    roms: tuple[RomParameters, ...] = ()
    settling = 0

    @property
    def input_lanes(self) -> int:
        """Values of an input beat."""
        return self.lanes

    def timing(self, *sources: Timing) -> Timing:
        """Yield the cycles at which output beats become available; see `signfold.hw.timing`."""
        raise NotImplementedError
