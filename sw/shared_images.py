"""The map's entries of a shared engine, whose tables hold the words of several layers one after another."""

from typing import Any

from signfold.hw.image import border_classes
from signfold.hw.shared_engine import SharedEngineParameters
from signfold.sw.image_entry import image_entry

__all__ = ["describe_shared"]


def describe_shared(number: int, stage: SharedEngineParameters) -> list[dict[str, Any]]:
    """Describe the images of a shared engine: an entry a layer and table, with the `start` of the layer's words.

    Parameters
    ----------
    number : int
        Number of the first layer.
    stage : SharedEngineParameters
        The engine.
    """
    entries = []
    for k, layer in enumerate(stage.layers):
        engine, planes = layer.engine, layer.engine.planes
        geometry = {"start": stage.weight_bases[k], "loaded": stage.loaded is not None, "cols": engine.cols}
        geometry |= {"hop": engine.hop, "simd": engine.simd, "words": engine.words, "passes": engine.passes}
        geometry |= {"taps": engine.taps, "inputs": engine.inputs, "planes": planes.weight_planes}
        geometry |= {"levels": planes.weight_levels, "space": False, "parities": engine.array.encoded}
        for group, table in enumerate(stage.weight_tables):
            entries.append(
                image_entry(table, "weights", number, {"channels": engine.channels, "group": group, **geometry})
            )
        if engine.thresholds is not None:
            entries += _thresholds(number, stage, k)
        number += 1 if layer.pool is None else 2
    return entries


def _thresholds(number: int, stage: SharedEngineParameters, k: int) -> list[dict[str, Any]]:
    """Describe the thresholds of a layer."""
    layer, unit, engine = stage.layers[k], stage.units, stage.layers[k].engine
    border, origins = layer.border
    reference = 0
    classes = {"classes": 1, "row_classes": [0], "column_classes": [0]}
    if border is not None and border.count > 1:
        # The class with the most taps inside the image tells thresholds best: its sums have the widest range.
        reference = int(border_classes(engine.feeder.storage)[1].sum(axis=1).argmax())
        rows = [row * border.column_classes for row in border.rows]
        classes = {"classes": border.count, "row_classes": rows, "column_classes": list(border.columns)}
    origins = origins[reference]
    origin = int(origins[0]) if (origins == origins[0]).all() else origins.tolist()
    geometry = {"row": 0, "start": stage.threshold_bases[k], "channels": engine.channels, "lanes": unit.lanes}
    geometry |= {"beats": engine.beats, "field_bits": unit.threshold_width, "bits": unit.bits}
    meaning = {"step": engine.step, "origin": origin, "reference_class": reference}
    first, *further = unit.roms
    entries = [image_entry(first, "thresholds", number, geometry | meaning | classes)]
    for index, rom in enumerate(further):
        place = {"stage": 1 + index // unit.lanes, "lane": index % unit.lanes}
        entries.append(
            image_entry(rom, "further_thresholds", number, geometry | place | {"classes": classes["classes"]})
        )
    return entries
