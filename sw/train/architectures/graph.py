"""A layer list written entry by entry, as a graph: an entry says what it reads where that is not the one before."""

from collections.abc import Sequence
from math import prod
from typing import Any

from signfold.sw.train.describe import pixels_entry
from signfold.sw.train.style import Style

__all__ = ["Graph"]


class Graph:
    """The list as far as it is written, and the shape of every entry's result.

    Methods that add an entry return its name; `source` is the entry that it reads, without it the one before.

    Parameters
    ----------
    shape : sequence of int
        Shape of a picture: height and width, or channels before them.
    bits : int
        Width of a pixel's code.
    style : Style
        Weights and activations of the layers that are binary in the paper.
    """

    def __init__(self, shape: Sequence[int], bits: int, style: Style) -> None:
        self.frame = (1, *shape) if len(shape) == 2 else tuple(shape)
        self.style = style
        entry = pixels_entry(style, self.frame[0])
        if style.norm_fraction is not None and entry["kind"] == "input_codes":
            # Pixels whose sums float32 holds exactly.
            entry = {"kind": "input_codes", "name": entry["name"], "divisor": 1 << bits}
        self.layers: list[dict[str, Any]] = [entry]
        self._last = entry.get("name", entry["kind"])
        self._shapes = {self._last: self.frame}
        # What a pad that is a code may be; real values have none.
        self._high = {self._last: (1 << bits) - 1 if style.thresholds is None else 1}

    @property
    def last(self) -> str:
        """Name of the newest entry."""
        return self._last

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an entry's result, channels first."""
        return self._shapes[name]

    def conv(
        self,
        name: str,
        channels: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        weights: str | None = None,
        source: str | None = None,
    ) -> str:
        """Add a convolution; `weights` as in `style.WEIGHTS`, without them the style's hidden ones."""
        source = source or self._last
        incoming, high = self._shapes[source][0], self._high.get(source)
        pads: dict[str, Any] = {"zero": "zero", "low": {"code": 0}, "high": {"code": high}}
        pad = pads[self.style.pad] if padding and high is not None else "zero"
        entry = {"in": incoming, "out": channels} | self._window(kernel, stride, padding) | {"pad": pad, "groups": 1}
        if self.style.k_map and weights is None:
            # Such a convolution takes the sign itself, as it wants the magnitudes too.
            read = next(each for each in self.layers if each.get("name") == source)
            if read["kind"] != "batchnorm_sign":
                raise ValueError(f"k_map is True, allowed where {name} reads a norm's signs, not {source}")
            read["kind"] = "batchnorm"
            entry["k_map"] = True
        entry |= self.style.weight_entry(weights or self.style.weights)
        return self._add("conv", name, entry, source, (channels, *self._slide(name, source, kernel, stride, padding)))

    def dense(self, name: str, channels: int, *, weights: str | None = None, source: str | None = None) -> str:
        """Add a dense layer."""
        source = source or self._last
        entry = {"in": prod(self._shapes[source]), "out": channels}
        entry |= self.style.weight_entry(weights or self.style.weights)
        return self._add("dense", name, entry, source, (channels,))

    def norm(self, name: str, kind: str = "batchnorm", source: str | None = None) -> str:
        """Add a batch normalization, real values after it."""
        source = source or self._last
        return self._add(kind, name, self.style.norm_entry(kind, name), source, self._shapes[source])

    def activation(self, name: str, *, norm: bool = False, source: str | None = None) -> str:
        """Add the style's activation, with a batch normalization before it or alone."""
        source = source or self._last
        kind, choices = self.style.activation_entry()
        if norm:
            kind = f"batchnorm_{kind}"
            choices = self.style.norm_entry(kind, name) | choices
        self._add(kind, name, choices, source, self._shapes[source])
        if not kind.endswith(("relu", "bases")):
            self._high[name] = self.style.highest_code
        return name

    def real(self, kind: str, name: str, source: str | None = None) -> str:
        """Add a function of real numbers: relu, hardtanh or prelu."""
        source = source or self._last
        return self._add(kind, name, {}, source, self._shapes[source])

    def pool(self, kind: str, name: str, kernel: int, stride: int, padding: int = 0, source: str | None = None) -> str:
        """Add a maxpool or avgpool."""
        source = source or self._last
        sizes = self._slide(name, source, kernel, stride, padding)
        channels = self._shapes[source][0]
        if kind == "maxpool" and source in self._high:
            self._high[name] = self._high[source]
        return self._add(kind, name, self._window(kernel, stride, padding), source, (channels, *sizes))

    def mean(self, name: str) -> str:
        """Add the mean over all positions."""
        channels, height, width = self._shapes[self._last]
        window = {"kernel": [height, width], "stride": [height, width], "padding": [0] * 4}
        return self._add("avgpool", name, window, self._last, (channels, 1, 1))

    def subsample(self, name: str, channels: int, stride: int, source: str) -> str:
        """Add a shortcut without weights: every so-manyth position, zero channels after those there are."""
        _, height, width = self._shapes[source]
        sizes = (-(-height // stride), -(-width // stride))
        return self._add("subsample", name, {"stride": stride, "out": channels}, source, (channels, *sizes))

    def add(self, name: str, *inputs: str) -> str:
        """Add up the results of entries of one shape."""
        return self._join("add", name, inputs, self._shapes[inputs[0]])

    def concat(self, name: str, *inputs: str) -> str:
        """Put the channels of entries behind one another."""
        channels = sum(self._shapes[source][0] for source in inputs)
        return self._join("concat", name, inputs, (channels, *self._shapes[inputs[0]][1:]))

    def head(self, classes: int) -> tuple[tuple[int, ...], list[dict[str, Any]]]:
        """Add the dense classifier and the style's head; return the shape of a frame and the list."""
        self.dense("classifier", classes, weights=self.style.last_weights)
        if self.style.head == "batchnorm":
            self.norm("scores")
        else:
            self._add("scale", "scale", {}, self._last, (classes,))
        return self.frame, self.layers

    def _join(self, kind: str, name: str, inputs: Sequence[str], shape: tuple[int, ...]) -> str:
        self.layers.append({"kind": kind, "name": name, "inputs": list(inputs)})
        self._shapes[name], self._last = shape, name
        return name

    def _add(self, kind: str, name: str, entry: dict[str, Any], source: str, shape: tuple[int, ...]) -> str:
        reads = {} if source == self._last else {"input": source}
        self.layers.append({"kind": kind, "name": name} | reads | entry)
        self._shapes[name], self._last = shape, name
        return name

    @staticmethod
    def _window(kernel: int, stride: int, padding: int) -> dict[str, Any]:
        return {"kernel": [kernel] * 2, "stride": [stride] * 2, "padding": [padding] * 4}

    def _slide(self, name: str, source: str, kernel: int, stride: int, padding: int) -> list[int]:
        sizes = [(size + 2 * padding - kernel) // stride + 1 for size in self._shapes[source][1:]]
        if min(sizes) < 1:
            raise ValueError(
                f"architecture does not fit: {name} has a window of {kernel}x{kernel} and padding {padding}, but a "
                f"picture of {'x'.join(map(str, self._shapes[source][1:]))} comes in"
            )
        return sizes
