"""Groups of layers on one array, while a network is lowered."""

from dataclasses import replace

from signfold.hw.engine import EngineParameters
from signfold.hw.image import ImageGeometry
from signfold.hw.shared_engine import SharedEngineParameters
from signfold.hw.shared_layer import SharedLayer
from signfold.hw.stage import Stage
from signfold.sw.layers import Layer
from signfold.sw.network import MaxPool
from signfold.sw.plan import LayerPlan, Plan

__all__ = ["SharedGroup"]


class SharedGroup:
    """Gathers the layers that a plan puts on one array, one group after another.

    Parameters
    ----------
    plan : Plan
        The plan.
    """

    def __init__(self, plan: Plan):
        self._plan = plan
        self._layers: list[SharedLayer] = []
        self._choice: LayerPlan | None = None
        self._chunks = 0

    @property
    def open(self) -> bool:
        """Whether a group has layers and waits for more."""
        return bool(self._layers)

    def choice(self, planned: int, own: LayerPlan) -> LayerPlan:
        """Return the array of a layer with weights: its own, or that of the group's first layer.

        Raises
        ------
        ValueError
            If the layer before it has no array to share.
        """
        if own.shares and self._choice.style != "array":
            raise ValueError(f"shares must be false, because layer {planned - 1} is {self._choice.style}")
        if not own.shares:
            self._choice = own
        return self._choice

    def continues(self, planned: int) -> bool:
        """Whether the layer with weights after this one shares its array."""
        return planned + 1 < len(self._plan.layers) and self._plan.layers[planned + 1].shares

    def begins(self, planned: int) -> bool:
        """Whether a layer needs the shared engine's memories: because others follow, or for weights that are loaded."""
        return self.continues(planned) or (self._choice.memory == "loaded" and self._choice.style == "array")

    def add(self, stage: Stage) -> None:
        """Add a layer.

        Raises
        ------
        ValueError
            If it has no place on a shared array.
        """
        if not isinstance(stage, EngineParameters):
            raise ValueError(
                "a depthwise convolution cannot share an array: give it, and the layer after it, their own"
            )
        if stage.planes.multiplies:
            raise ValueError("style must be array where the layer after it shares it, not 'multiplier'")
        self._layers.append(SharedLayer(stage))

    def pool(self, layer: Layer, image: ImageGeometry | None) -> tuple[int, int]:
        """Add a pooling after the last layer, and return its output's height and width.

        Raises
        ------
        ValueError
            If it is not the one max pooling of codes that a shared engine knows.
        """
        last = self._layers[-1]
        hint = "so the layer after it must have an array of its own, without shares"
        if not isinstance(layer.node, MaxPool) or image is None:
            raise ValueError(f"{layer.node.op} has no place between layers that share an array, {hint}")
        if layer.inverted is not None:
            raise ValueError(f"codes that are complemented have no place between layers that share an array, {hint}")
        if last.pool is not None:
            raise ValueError(f"only one pooling has a place between layers that share an array, {hint}")
        self._layers[-1] = replace(last, pool=image)
        return self._layers[-1].output_size

    def close(self) -> SharedEngineParameters:
        """Return the engine of all layers since the last one, and begin anew."""
        layers, self._layers = tuple(self._layers), []
        loaded = self._chunks if self._choice.memory == "loaded" else None
        engine = SharedEngineParameters(layers[0].engine.name, layers, loaded)
        self._chunks += 0 if loaded is None else engine.loader.chunks
        return engine
