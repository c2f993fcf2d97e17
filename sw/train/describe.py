"""A topology and its options laid out as the layer list that a checkpoint stores. Free of torch."""

from collections.abc import Sequence
from math import prod
from typing import Any

from signfold.sw.train.style import Style
from signfold.sw.train.topologies import Conv, GlobalPool, Pool, Step

__all__ = ["describe", "pixels_entry"]


def describe(
    shape: Sequence[int], bits: int, steps: Sequence[Step], classes: int, style: Style
) -> tuple[tuple[int, ...], list[dict[str, Any]]]:
    """Describe a network as a checkpoint stores it.

    Parameters
    ----------
    shape : sequence of int
        Shape of a picture: height and width, or channels before them.
    bits : int
        Width of a pixel's code.
    steps : sequence of Step
        What `topologies.parse_topology` gives.
    classes : int
        Outputs.
    style : Style
        The rest.

    Returns
    -------
    tuple of tuple and list of dict
        Shape of a frame, (elements,) or (channels, height, width), and one entry a layer: `kind`, `name` where it has
        tensors, and its parameters.

    Raises
    ------
    ValueError
        A window does not fit into its picture, or the pixel thresholds do not fit.
    """
    if style.norm_fraction is not None:
        raise ValueError(
            f"norm_fraction is {style.norm_fraction!r}, allowed with a chain: none, for its codes are exact"
        )
    builder = _Builder(shape, bits, steps, style)
    for index, step in enumerate(steps):
        if isinstance(step, Pool):
            continue  # taken along by the convolution before it
        if isinstance(step, GlobalPool):
            return builder.frame, builder.finish_by_mean(classes)
        builder.hidden(step, steps[index + 1] if index + 1 < len(steps) else None)
    return builder.frame, builder.finish(classes)


def pixels_entry(style: Style, channels: int) -> dict[str, Any]:
    """Describe what the first layer reads.

    Parameters
    ----------
    style : Style
        Its thresholds.
    channels : int
        Channels of a picture, or elements of a flat one.

    Raises
    ------
    ValueError
        There are thresholds for another number of pixels.
    """
    if style.thresholds is None:
        return {"kind": "input_codes", "name": "pixels", "mean": [0.5], "std": [0.5]}
    if len(style.thresholds) not in (1, channels):
        raise ValueError(
            f"threshold is one for each of {len(style.thresholds)} pixels, allowed before a convolution: an integer "
            f"for all pixels"
        )
    return {"kind": "input_threshold", "thresholds": list(style.thresholds)}


class _Builder:
    """The list as far as it is written, and the shape at its end."""

    def __init__(self, shape: Sequence[int], bits: int, steps: Sequence[Step], style: Style) -> None:
        self._style, self._bits = style, bits
        if isinstance(steps[0], Conv):
            self.frame = (1, *shape) if len(shape) == 2 else tuple(shape)
        else:
            self.frame = (prod(shape),)
        self._shape = self.frame
        self._index = 0
        self._high = (1 << bits) - 1 if style.thresholds is None else 1
        self._layers = [pixels_entry(style, self._shape[0])]

    def hidden(self, step: Step, following: Step | None) -> None:
        """Add a layer with its pool, normalization and activation."""
        if isinstance(step, Conv):
            self._conv(step)
        else:
            self._dense(step.channels)
        pool = following if isinstance(following, Pool) else None
        # A mean of codes is no code: means are always taken before the activation.
        before = pool is not None and (self._style.pool == "before" or pool.kind == "avgpool")
        if before:
            self._pool(pool)
        self._norm()
        if pool is not None and not before:
            self._pool(pool)
        self._index += 1

    def finish(self, classes: int) -> list[dict[str, Any]]:
        """Add the dense classifier and the head."""
        self._dense(classes, last=True)
        return self._head()

    def finish_by_mean(self, classes: int) -> list[dict[str, Any]]:
        """Add the convolution to the classes, the mean over all positions, and the head."""
        self._conv(Conv(classes, 1, 1, 0), last=True)
        height, width = self._shape[1:]
        window = {"kernel": [height, width], "stride": [height, width], "padding": [0, 0, 0, 0]}
        self._layers.append({"kind": "avgpool", "name": f"pool{self._index}", **window})
        return self._head()

    def _head(self) -> list[dict[str, Any]]:
        if self._style.head == "batchnorm":
            self._layers.append(self._style.norm_entry("batchnorm", f"norm{self._index}"))
        else:
            self._layers.append({"kind": "scale", "name": "scale"})
        return self._layers

    def _weigh(self, entry: dict[str, Any], last: bool) -> None:
        """Add a layer with weights."""
        style = self._style
        if style.k_map and self._index and not last:
            # Such a layer takes the sign itself, as it wants the magnitudes too.
            norm = next(each for each in reversed(self._layers) if each["kind"].startswith("batchnorm"))
            norm["kind"] = "batchnorm"
            entry |= {"k_map": True}
        weights = style.last_weights if last else style.weights if self._index else style.first_weights
        self._layers.append(entry | style.weight_entry(weights))

    def _dense(self, channels: int, last: bool = False) -> None:
        entry = {"kind": "dense", "name": f"dense{self._index}", "in": prod(self._shape), "out": channels}
        self._weigh(entry, last)
        self._shape = (channels,)

    def _conv(self, step: Conv, last: bool = False) -> None:
        name, incoming = f"conv{self._index}", self._shape[0]
        entry = {"kind": "conv", "name": name, "in": incoming, "out": step.channels or incoming}
        pads: dict[str, Any] = {"zero": "zero", "low": {"code": 0}, "high": {"code": self._high}}
        entry |= self._window(name, step) | {"pad": pads[self._style.pad] if step.padding else "zero"}
        entry |= {"groups": 1 if step.channels is not None else incoming}
        self._weigh(entry, last)
        self._shape = (entry["out"], *self._shape[1:])

    def _pool(self, step: Pool) -> None:
        name = f"pool{self._index}"
        self._layers.append({"kind": step.kind, "name": name} | self._window(name, step))

    def _norm(self) -> None:
        style = self._style
        if style.activation == "decoupled":
            # Each sum feeds a pair of bits, which normalize it for themselves.
            name = self._layers[-1]["name"]
            self._layers.append({"kind": "concat", "name": f"pair{self._index}", "inputs": [name, name]})
            self._shape = (2 * self._shape[0], *self._shape[1:])
        kind, choices = style.activation_entry()
        if style.norm == "none":
            self._layers.append({"kind": kind, "name": f"{kind}{self._index}"} | choices)
        else:
            self._layers.append(style.norm_entry(f"batchnorm_{kind}", f"norm{self._index}") | choices)
        self._high = style.highest_code

    def _window(self, name: str, step: Conv | Pool) -> dict[str, Any]:
        """Move a window over the picture: its entries in the list, and the shape that it leaves."""
        sizes = [(size + 2 * step.padding - step.kernel) // step.stride + 1 for size in self._shape[1:]]
        if min(sizes) < 1:
            raise ValueError(
                f"topology does not fit: {name} has a window of {step.kernel}x{step.kernel} and padding "
                f"{step.padding}, but a picture of {self._shape[1]}x{self._shape[2]} comes in"
            )
        self._shape = (self._shape[0], *sizes)
        return {
            "kernel": [step.kernel] * 2,
            "stride": [step.stride] * 2,
            "padding": [step.padding] * 4,
        }
