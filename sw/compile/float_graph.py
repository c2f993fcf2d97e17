"""The trained network as a graph: float32 layers that read one another, checked for order and shapes.

Chains whose activations are all codes compile exactly, as `float_network`; everything else comes here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from signfold.sw.compile.checkpoint import StoredModel
from signfold.sw.compile.float_layers import CommonScale, FloatLayer, PixelCodes, PixelThresholds
from signfold.sw.compile.frontend import LayerReader, read_input
from signfold.sw.compile.graph_layers import Clip, Join, Shortcut, Total
from signfold.sw.compile.refusals import KINDS, refuse, refuse_choices
from signfold.sw.errors import CheckpointError, CompileError
from signfold.sw.network import InputType
from signfold.sw.network.types import is_int, shown

__all__ = ["FloatGraph", "Step", "branches", "import_graph"]

#: Kinds of layers that only graphs have.
_KINDS = ("add", "concat", "subsample", "hardtanh", "relu")


@dataclass(frozen=True, eq=False)
class Step:
    """A layer, and what it reads: names of steps, or ``"input"``."""

    layer: FloatLayer
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class FloatGraph:
    """A graph from pictures to scores, its steps in an order in which each reads earlier ones.

    Parameters
    ----------
    input : InputType
        Pictures taken.
    steps : tuple of Step
        The first is `PixelThresholds` or `PixelCodes`; the last gives the scores.

    Raises
    ------
    CompileError
        A layer reads what is not there or does not fit it, or the scores are not one number a class: named.
    """

    input: InputType
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        """Check order and shapes."""
        if not self.steps or not isinstance(self.steps[0].layer, (PixelThresholds, PixelCodes)):
            raise CompileError("model: the first layer must be an 'input_threshold' or 'input_codes'")
        shapes = {"input": self.input.shape}
        for step in self.steps:
            name = step.layer.name
            for source in step.inputs:
                if source not in shapes:
                    raise CompileError(f"layer {shown(name)}: it reads {shown(source)}, which does not come before it")
            shapes[name] = step.layer.shape(*(shapes[source] for source in step.inputs))
        object.__setattr__(self, "shapes", shapes)
        last = self.steps[-1].layer
        shape = shapes[last.name]
        if shape not in ((shape[0],), (shape[0], 1, 1)):
            raise CompileError(f"layer {shown(last.name)}: scores of shape {shape} must be one number a class")

    @property
    def head(self) -> CommonScale | None:
        """The common scale of the scores, which changes no comparison."""
        last = self.steps[-1].layer
        return last if isinstance(last, CommonScale) else None

    @property
    def body(self) -> tuple[Step, ...]:
        """Steps up to the scores."""
        return self.steps if self.head is None else self.steps[:-1]


def branches(model: StoredModel) -> bool:
    """Say whether a model is for `import_graph`: it has shortcuts, or real numbers between layers."""
    entries = model.description.get("layers")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return False
    last = "input"
    for entry in entries:
        inputs = entry.get("inputs")
        # A layer's sums joined with themselves are the chain's own business.
        joined = entry.get("kind") == "concat" and isinstance(inputs, list) and set(map(str, inputs)) == {last}
        if (entry.get("kind") in ("add", "subsample", "relu") or inputs is not None) and not joined:
            return True
        last = str(entry.get("name", entry.get("kind")))
    return False


def import_graph(model: StoredModel) -> FloatGraph:
    """Build the float graph of a stored model.

    Raises
    ------
    CheckpointError, CompileError
        See `frontend.import_model`.
    """
    entries = model.description.get("layers")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CheckpointError(f"model: layers must be a list of objects, not {shown(entries)}")
    reader = _GraphReader(model.tensors)
    for position, entry in enumerate(entries):
        reader.step(position, entry)
    reader.finish()
    return FloatGraph(read_input(model.description.get("input")), tuple(reader.steps))


class _GraphReader(LayerReader):
    """Turns entries into steps, taking each tensor once."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        super().__init__(tensors)
        self.steps: list[Step] = []
        self._channels: dict[str, int] = {}
        self._inputs: list[str] = []

    def step(self, position: int, entry: Mapping[str, object]) -> None:
        """Read one entry."""
        kind = entry.get("kind")
        name, before = self.begin(position, entry)
        inputs = entry.get("inputs", [entry.get("input", before)])
        if not isinstance(inputs, list) or not inputs or not all(isinstance(source, str) for source in inputs):
            raise CheckpointError(f"layer {shown(name)}: inputs must be names of layers, not {shown(inputs)}")
        if (len(inputs) > 1) != (kind in ("add", "concat")):
            raise CheckpointError(f"layer {shown(name)}: {shown(kind)} cannot read {len(inputs)} layers")
        if kind in KINDS and kind not in _KINDS:
            raise refuse(name, kind)
        refuse_choices(name, entry)
        self._inputs = inputs
        layer = self._graph_layer(name, kind, entry)
        self.steps.append(Step(layer, tuple(inputs)))
        joined = [self._channels.get(source, 1) for source in inputs]
        self._channels[name] = getattr(layer, "channels", sum(joined) if isinstance(layer, Join) else joined[0])

    def channels(self) -> int:
        """Return the channels of what the entry being read reads."""
        return self._channels.get(self._inputs[0], 1)

    def _graph_layer(self, name: str, kind: object, entry: Mapping[str, object]) -> FloatLayer:
        match kind:
            case "add":
                return Total(name)
            case "concat":
                return Join(name)
            case "hardtanh":
                return Clip(name, Fraction(-1), Fraction(1))
            case "relu":
                return Clip(name, Fraction(0), None)
            case "subsample":
                stride, channels = entry.get("stride"), entry.get("out")
                if not is_int(stride) or not is_int(channels) or stride < 1 or channels < 1:
                    raise CheckpointError(
                        f"layer {shown(name)}: stride and out must be positive, not {shown((stride, channels))}"
                    )
                return Shortcut(name, stride, channels)
        return self.layer(name, kind, entry)
