"""The trained network as the compiler sees it: a chain of float32 layers, checked for order and shapes."""

from dataclasses import dataclass
from functools import cached_property

from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.float_layers import (
    AveragePooling,
    CommonScale,
    FloatLayer,
    MaxPooling,
    PixelCodes,
    PixelThresholds,
)
from signfold.sw.compile.linear_layers import LinearLayer
from signfold.sw.errors import CompileError
from signfold.sw.network import InputType
from signfold.sw.network.types import shown

__all__ = ["FloatNetwork"]


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """A chain from pictures to scores.

    It begins with `PixelThresholds` or `PixelCodes`. Dense layers and convolutions read codes (of pixels or of an
    activation) or their means (`AveragePooling` of codes) and give sums; a `BatchNorm` with an activation makes codes
    of sums or means; pools may stand anywhere between. It ends with sums, one a class, or with a `CommonScale` or a
    `BatchNorm` without activation of such sums.

    Parameters
    ----------
    input : InputType
        Pictures taken.
    layers : tuple of FloatLayer
        First to last.

    Raises
    ------
    CompileError
        A layer is out of place, or shapes do not fit, naming the layer, what it reads and what is allowed there.
    """

    input: InputType
    layers: tuple[FloatLayer, ...]

    def __post_init__(self) -> None:
        """Check order and shapes."""
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers or not isinstance(self.layers[0], (PixelThresholds, PixelCodes)):
            raise CompileError("model: the first layer must be an 'input_threshold' or 'input_codes'")
        value = "pixels"
        for layer in self.layers:
            value = _follow(layer, value)
        last, shape = self.layers[-1], self.shapes[-1]
        if value not in ("sums", "scores"):
            raise CompileError(
                f"layer {shown(last.name)}: the last layer gives {value}; a 'dense' layer or 'conv' must come last, or "
                f"last before an 'avgpool', 'scale' or 'batchnorm'"
            )
        if shape not in ((shape[0],), (shape[0], 1, 1)):
            raise CompileError(
                f"layer {shown(last.name)}: scores of shape {shape} must be one number a class; an 'avgpool' of kernel "
                f"{list(shape[1:])} before the head makes them so"
            )

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each layer's result, channels first."""
        shape, shapes = self.input.shape, []
        for layer in self.layers:
            shape = layer.shape(shape)
            shapes.append(shape)
        return tuple(shapes)

    @property
    def head(self) -> CommonScale | BatchNorm | None:
        """What follows the last sums; None: they are the scores."""
        last = self.layers[-1]
        scores = isinstance(last, CommonScale) or (isinstance(last, BatchNorm) and last.activation is None)
        return last if scores else None

    @cached_property
    def body(self) -> tuple[FloatLayer, ...]:
        """Layers up to the last sums."""
        return self.layers if self.head is None else self.layers[:-1]

    @property
    def hidden(self) -> tuple[tuple[LinearLayer | None, BatchNorm], ...]:
        """Each batch normalization with an activation, after the dense layer or convolution that it normalizes.

        None in place of the latter: it normalizes means of codes.
        """
        pairs = []
        linear = None
        for layer in self.body:
            if isinstance(layer, LinearLayer):
                linear = layer
            elif isinstance(layer, BatchNorm):
                pairs.append((linear, layer))
                linear = None
        return tuple(pairs)

    @property
    def widths(self) -> tuple[int, ...]:
        """Pixels, then channels of the dense layers and convolutions; the last are the classes."""
        return (self.input.elements, *(layer.channels for layer in self.body if isinstance(layer, LinearLayer)))


def _follow(layer: FloatLayer, value: str) -> str:
    """Return what `layer` makes of pixels, codes, means or sums."""
    match layer:
        case PixelThresholds() | PixelCodes():
            allowed = {"pixels": "codes"}
        case LinearLayer():
            allowed = {"codes": "sums", "means": "sums"}
        case MaxPooling():
            allowed = {"codes": "codes", "means": "means", "sums": "sums"}
        case AveragePooling():
            allowed = {"codes": "means", "means": "means", "sums": "sums"}
        case BatchNorm(activation=None) | CommonScale():
            allowed = {"sums": "scores"}
        case BatchNorm():
            allowed = {"means": "codes", "sums": "codes"}
        case _:
            raise TypeError(f"no place for {type(layer).__name__}")
    if value not in allowed:
        raise CompileError(
            f"layer {shown(layer.name)}: {shown(layer.kind)} reads {' or '.join(allowed)}, but {value} come in"
            + ("; a 'batchnorm_sign' or 'batchnorm_quant' makes codes of sums" if value == "sums" else "")
        )
    return allowed[value]
