"""How long the last results of a shared engine's layer are on their way into memory."""

__all__ = ["LIMIT", "drain"]

#: Most words that may wait to be written.
LIMIT = 64


def drain(parameters, number: int) -> tuple[int, int]:
    """Return the cycles from a layer's last word to the next layer's first, and how many words wait at most.

    A word of codes of one bit is written in the cycle after its last codes came. One of several bits takes a cycle a
    plane, and waits in a queue for those before it.

    Parameters
    ----------
    parameters : SharedEngineParameters
        The engine.
    number : int
        The layer, not the last one.

    Raises
    ------
    ValueError
        If codes come faster than their planes can be written, so that more than `LIMIT` words would wait.
    """
    p, layer = parameters, parameters.layers[number]
    engine, groups = layer.engine, parameters.array.groups
    bits = p.layers[number + 1].engine.planes.activation_bits
    queued = max((other.engine.planes.activation_bits for other in p.layers[1:]), default=1) > 1
    per_word, play = p.simd // p.lanes, engine.array.pass_words
    taps = layer.taps[0] * layer.taps[1]
    # From the last word of a pass to the cycle in which a word of codes is complete that its beat 0 completes.
    latency = p.DELAY + p.array.latency + p.unit_latency + 1
    ends = [
        (passing, beat)
        for passing in range(engine.passes)
        for beat in range(groups)
        if (index := passing * groups + beat) < engine.beats
        and (index % per_word == per_word - 1 or index == engine.beats - 1)
    ]
    positions = layer.output_size[0] * layer.output_size[1]
    if not queued:
        passing, beat = ends[-1]
        return latency + beat + 1, 0
    # Words wait for one another: the whole layer is followed.
    free, waiting, most = 0, [], 1
    for position in range(positions):
        for passing, beat in ends:
            complete = ((position * engine.passes + passing + 1) * taps) * play - 1 + latency + beat
            waiting = [end for end in waiting if end >= complete]
            # Two cycles through the queue.
            free = max(free, complete + 2) + bits
            waiting.append(free - 1)
            most = max(most, len(waiting))
        if most > LIMIT:
            raise ValueError(
                f"layer {number} of a shared engine gives words of {bits} planes faster than they can be written: "
                f"cols / simd must be smaller"
            )
    return free - (layer.cycles - 1), most
