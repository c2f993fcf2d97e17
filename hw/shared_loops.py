"""The loops of a shared engine, over all its layers: where words come from, where results go."""

from typing import Any

from signfold.hw.walk import Program, WalkParameters

__all__ = ["issue_loops", "result_loops", "write_loops"]


def issue_loops(engine: Any) -> WalkParameters:
    """Return the loops that issue words.

    Values are the addresses of activations and weights; row and column too where some layer has padding.

    Parameters
    ----------
    engine : SharedEngineParameters
        The engine.
    """
    programs = [layer.issue(base, 0) for layer, base in zip(engine.layers, engine.weight_bases, strict=True)]
    address = max(memory.address_width for memory in engine.memories)
    # Of the tables no more than their depth is asked: making them takes long.
    depth = engine.weight_bases[-1] + engine.layers[-1].engine.feeder.sequencer.addresses
    weights = max(1, (depth - 1).bit_length())
    return _walk(programs, (address, weights), any(layer.padded for layer in engine.layers))


def result_loops(engine: Any) -> WalkParameters:
    """Return the loops that take results.

    Values are the address of thresholds; row and column of the sums too where that is not all.

    Parameters
    ----------
    engine : SharedEngineParameters
        The engine.
    """
    programs = [layer.result(base) for layer, base in zip(engine.layers, engine.threshold_bases, strict=True)]
    # Past a position's last beat the address goes on for the rest of the group.
    entry = (0 if engine.units is None else engine.units.entries + engine.array.groups).bit_length()
    return _walk(programs, (max(1, entry),), engine.bordered)


def write_loops(engine: Any) -> WalkParameters:
    """Return the loops that write each layer's input: planes of a word, words.

    Parameters
    ----------
    engine : SharedEngineParameters
        The engine.
    """
    programs = tuple(
        Program((layer.engine.planes.activation_bits, layer.plane_words), (0,), ((layer.plane_words, 1),))
        for layer in engine.layers
    )
    return WalkParameters(programs, (max(memory.address_width for memory in engine.memories),))


def _walk(programs: list[Program], widths: tuple[int, ...], places: bool) -> WalkParameters:
    """Return the walk with the values of `widths`, and with row and column after them where these are wanted."""
    kept = len(widths)
    if not places:
        programs = [Program(one.counts, one.starts[:kept], one.strides[:kept]) for one in programs]
        return WalkParameters(tuple(programs), widths)
    sides = [
        max(one.at(value, tuple(count - 1 for count in one.counts)) for one in programs).bit_length()
        for value in (kept, kept + 1)
    ]
    return WalkParameters(tuple(programs), (*widths, *(max(1, side) for side in sides)))
