"""Random small graphs of gateware parameters, for tests of what forks, queues and joins do to time."""

import numpy as np

from signfold.hw.add_join import AddJoinParameters
from signfold.hw.concat_join import ConcatJoinParameters
from signfold.hw.engine import EngineParameters
from signfold.hw.graph import GraphConfig
from signfold.hw.image import ImageGeometry
from signfold.hw.pixels import PixelParameters
from signfold.hw.planes import PlaneParameters
from signfold.hw.score import ScoreParameters
from signfold.hw.sums import SumFormat
from signfold.hw.threshold import ThresholdParameters
from signfold.hw.threshold_stage import ThresholdStageParameters

__all__ = ["GraphBuilder", "random_graph"]


class GraphBuilder:
    """Collects layers; each method adds one and returns its number. Sums pass between joins, bits into convolutions.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of weights and thresholds.
    side : int
        Rows and columns of the image, of one channel.
    bits : int
        Width of its codes.
    """

    def __init__(self, rng: np.random.Generator, side: int, *, bits: int = 3):
        self._rng = rng
        self._pixels = PixelParameters(side * side, bits, None, positions=side * side)
        self._positions, self._size = side * side, (side, side)
        self._layers: list = []
        self._inputs: list[tuple[int, ...]] = []

    def _add(self, layer, *read):
        self._layers.append(layer)
        self._inputs.append(read)
        return len(self._layers) - 1

    def _source(self, number):
        return self._pixels if number < 0 else self._layers[number]

    def _formats(self, read):
        sources = [self._source(number) for number in read]
        return tuple(
            SumFormat(each.output_bits, each.output_step, each.origin, each.largest_output) for each in sources
        )

    def conv(self, read: int, channels: int, kernel: int, *, cols: int = 1) -> int:
        """Add a convolution of bits, or of the image where `read` is -1, that keeps the size."""
        source = self._source(read)
        pad = None if source.output_bits == 1 else 0
        image = ImageGeometry(*self._size, (kernel, kernel), (1, 1), (kernel // 2,) * 4, pad)
        weights = self._rng.integers(0, 2, (channels, kernel * kernel, source.channels))
        planes = PlaneParameters(source.output_bits, 2)
        cols = min(cols, kernel * kernel * source.channels)
        name = f"l{len(self._layers)}"
        return self._add(EngineParameters(name, weights, None, cols, 1, 1, 1, planes, image), read)

    def signs(self, read: int) -> int:
        """Add thresholds of a bit."""
        source = self._source(read)
        third = source.largest_output // 3
        bounds = self._rng.integers(third, 2 * third + 2, (source.channels, 1))
        unit = ThresholdParameters(f"l{len(self._layers)}_t", source.lanes, source.output_bits, bounds)
        return self._add(ThresholdStageParameters(unit, self._positions), read)

    def add(self, *read: int) -> int:
        """Add sums to sums."""
        channels = self._source(read[0]).channels
        return self._add(AddJoinParameters(1, channels, self._formats(read), self._positions), *read)

    def concat(self, *read: int) -> int:
        """Put channels beside channels."""
        channels = tuple(self._source(number).channels for number in read)
        return self._add(ConcatJoinParameters(1, channels, self._formats(read), self._positions), *read)

    def done(self, read: int, *, classes: int = 2) -> GraphConfig:
        """Return the graph, with a dense layer on top."""
        signs = self.signs(read)
        weights = self._rng.integers(0, 2, (classes, self._positions, self._source(signs).channels))
        last = EngineParameters(f"l{len(self._layers)}", weights, None, 1, 1, 1)
        self._add(last, signs)
        fan_in = weights[0].size
        scores = ScoreParameters(classes, last.output_bits, 2, last.origin, -fan_in, fan_in)
        return GraphConfig(self._pixels, tuple(self._layers), scores, tuple(self._inputs))


def random_graph(seed: int, *, largest: int = 6) -> GraphConfig:
    """Return blocks of residual and dense connections, without queues.

    Parameters
    ----------
    seed : int
        Of all choices.
    largest : int
        Rows and columns of the image, at most; at least 3.
    """
    rng = np.random.default_rng(seed)
    b = GraphBuilder(rng, int(rng.integers(3, largest + 1)))
    channels = int(rng.integers(1, 5))
    value = b.conv(-1, channels, 3, cols=int(rng.integers(1, 3)))
    for _ in range(int(rng.integers(1, 4))):
        kernel, cols = int(rng.choice([1, 3])), int(rng.integers(1, 3))
        signs = b.signs(value)
        match int(rng.integers(3)):
            case 0:
                value = b.add(value, b.conv(signs, channels, kernel, cols=cols))
            case 1:
                # One map of bits, read twice.
                value = b.add(b.conv(signs, channels, 3, cols=cols), b.conv(signs, channels, kernel), value)
            case 2:
                value = b.concat(value, b.conv(signs, 2, kernel, cols=cols))
                channels += 2
    return b.done(value)
