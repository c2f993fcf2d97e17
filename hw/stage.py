"""What an accelerator reads of the stages that compute a network's layers."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from signfold.hw.rom import RomParameters
from signfold.hw.timing import Scheduled

__all__ = ["Stage"]


class Stage(Scheduled):
    """Base of the parameters of stages: engines, hardwired layers, thresholds that stand alone.

    A stage takes positions, one packet each, and gives positions: codes where it has thresholds, else sums that travel
    unsigned, u standing for the network's sum output_step * u - origin. `create()` gives a component with a stream `i`
    of beat_layout(input_lanes, input_bits) and a stream `o` of beat_layout(lanes, output_bits).
    """

    #: What the stage's instance is called, with its number, in an accelerator.
    kind: str = "engine"
    #: Output channels of the layer.
    channels: int
    #: Codes or sums of an output beat.
    lanes: int
    #: Whatever its codes come of; None: sums go out.
    thresholds: np.ndarray | None

    #: Whether input is taken in only a part of the time that a frame takes.
    serial: bool = False
    #: Layers of the network that the stage computes, poolings included.
    span: int = 1
    #: What fills memories of weights before the first frame: packets of bytes; see `signfold.hw.shared_loader`.
    chunks: Sequence[bytes] = ()
    #: Contents of those memories, as tables.
    loads: tuple[RomParameters, ...] = ()

    @property
    @abstractmethod
    def input_elements(self) -> int:
        """Codes of a frame at the input."""

    @property
    @abstractmethod
    def input_lanes(self) -> int:
        """Codes of an input beat."""

    @property
    @abstractmethod
    def input_bits(self) -> int:
        """Width of an input code."""

    @property
    @abstractmethod
    def positions(self) -> int:
        """Output positions of a frame, a packet each."""

    @property
    def output_size(self) -> tuple[int, int]:
        """Output positions down and across."""
        return (1, 1)

    @property
    @abstractmethod
    def output_bits(self) -> int:
        """Bits of a code, or of an unsigned sum, of an output beat."""

    @property
    def output_step(self) -> int:
        """Step of the sums that go out."""
        return 1

    @property
    def origin(self) -> int:
        """Origin of the sums that go out: network's sum = output_step * u - origin."""
        return 0

    @property
    def largest_output(self) -> int:
        """Largest code or sum that goes out."""
        return (1 << self.output_bits) - 1

    @property
    @abstractmethod
    def interval(self) -> int:
        """Cycles from one frame to the next without back-pressure."""

    @property
    def settling(self) -> int:
        """Most cycles after reset until the stage waits for input."""
        return 0

    @property
    @abstractmethod
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables."""

    @abstractmethod
    def compute(self, codes: np.ndarray) -> np.ndarray:
        """Return codes, or sums as they go out, for the codes of frames.

        Parameters
        ----------
        codes : numpy.ndarray
            Frames x ..., positions in raster order, the channels of a position one after another.

        Returns
        -------
        numpy.ndarray
            Frames x positions x channels, or frames x elements where there is one position.
        """
