"""Cost of shared engines: array, memories, and the loops and tables that tell the layers apart."""

from signfold.hw.array import ArrayParameters
from signfold.hw.ram import RamParameters
from signfold.hw.shared_engine import SharedEngineParameters
from signfold.hw.shared_packer import PackerParameters
from signfold.hw.walk import WalkParameters
from signfold.sw.cost.cells import array_parts
from signfold.sw.cost.feeder import queue_parts
from signfold.sw.cost.memory import ram
from signfold.sw.cost.part import Part, bits_of, table_part
from signfold.sw.cost.units import in_block, rom_part

__all__ = ["LOADING", "SPRAM", "shared_parts", "single_port"]

#: What a host link takes more to pass on chunks of weights.
LOADING = Part("link.loading", features={"one": 1})
#: Width and depth of a large RAM of iCE40 UP.
SPRAM = (16, 16384)


def shared_parts(
    p: SharedEngineParameters, fabric: str, *, contents: bool = True, loaded: bool | None = None
) -> list[Part]:
    """Return the parts of a shared engine.

    Parameters
    ----------
    p : SharedEngineParameters
        The engine.
    fabric : str
        What it is made of.
    contents : bool
        Judge small tables by what they hold; otherwise by their size, which takes less time.
    loaded : bool, optional
        Weights are loaded, whatever the engine says.
    """
    loaded = p.loaded is not None if loaded is None else loaded
    parts = array_parts(p.array)
    parts += [_walk(walk) for walk in (p.issue, p.results, p.writes)]
    for memory in p.memories:
        parts.append(single_port(memory, fabric))
    parts += _weights(p, fabric, contents, loaded)
    parts += _thresholds(p, fabric, contents)
    parts += _packer(p, fabric)
    parts += queue_parts(p.lanes * p.output_bits + 1, p.queue.depth, fabric)
    return [*parts, _rest(p, loaded)]


def single_port(memory: RamParameters, fabric: str) -> Part:
    """Return a memory that is read or written in a cycle, never both."""
    if memory.large and fabric == "ice40":
        width, depth = SPRAM
        banks = -(-memory.depth // depth)
        features = {"one": 1, "chosen": memory.width * (banks - 1)}
        return Part("spram", sprams=-(-memory.width // width) * banks, ffs=bits_of(banks), features=features)
    found = ram(fabric, memory.width, memory.depth)
    if found.kind == "block":
        # A place is never read while it is written, which Yosys sees: nothing comes with the block RAMs.
        return Part("single.block", brams=found.brams, features={"one": 1})
    features = {"one": 1, "luts": found.luts}
    return Part(f"single.{found.kind}", found.ffs, features=features)


def _walk(p: WalkParameters) -> Part:
    """Return nested loops: counters, and values that grow by constants of layer and loop."""
    iterations = sum(bits_of(most) for most in p.most)
    programs = bits_of(len(p.programs))
    levels = [level for level, most in enumerate(p.most) if most > 1]
    # Of constants that a table holds, those that differ from the most frequent one.
    counts = sum(len({program.counts[level] for program in p.programs}) - 1 for level in levels)
    grown = distinct = 0
    for value, width in enumerate(p.widths):
        for level in (*levels, p.levels):
            tables = 1
            if level < p.levels:
                tables = max(len(program.strides[value][level]) if isinstance(program.strides[value][level], tuple)
                             else 1 for program in p.programs)  # fmt: skip
            deltas = {p.delta(k, value, level, i) for k in range(len(p.programs)) for i in range(tables)}
            grown += width if deltas != {0} else 0
            distinct += width * (len(deltas) - 1)
    features = {
        "one": 1,
        "iterations": iterations,
        "levels": len(levels),
        "counts": counts,
        "values": sum(p.widths),
        "grown": grown,
        "distinct": distinct,
    }
    return Part("walk", programs + iterations + sum(p.widths), features=features)


def _weights(p: SharedEngineParameters, fabric: str, contents: bool, loaded: bool) -> list[Part]:
    """Return the tables of weights, or the memories and what fills them."""
    groups = p.array.groups
    width = p.lanes * p.array.cell.weight_width
    depth = sum(layer.engine.feeder.sequencer.addresses for layer in p.layers)
    if loaded:
        memory = single_port(RamParameters(width, depth, p.first.fabric), fabric)
        loader = _loader(width, depth, groups)
        return [*[memory] * groups, loader]
    if contents:
        return [rom_part(rom, fabric) for rom in p.weight_tables]
    return [table_part(fabric, width, depth, in_block(width, depth, p.first.memory), count=groups)]


def _loader(width: int, depth: int, groups: int) -> Part:
    held, address = 8 * max(1, -(-width // 8) - 1), bits_of(depth)
    features = {"one": 1, "value": width, "memories": groups, "address": address * groups}
    # The chunk's number, place and byte; the bytes of a word but the last.
    return Part("loader", 2 + 16 + 6 + held, features=features)


def _thresholds(p: SharedEngineParameters, fabric: str, contents: bool) -> list[Part]:
    """Return the unit of thresholds; its table holds those of all layers."""
    if p.units is None:
        return []
    units = p.units
    lanes, width, bits = units.lanes, units.sum_width, units.bits
    if contents:
        parts = [rom_part(rom, fabric) for rom in units.roms]
    else:
        stored = units.threshold_width
        sizes = [(lanes * stored, units.entries, 1)]
        sizes += [(stored, units.entries << stage, lanes) for stage in range(1, bits)]
        parts = [table_part(fabric, w, d, in_block(w, d), count=n) for w, d, n in sizes]
    index = bits_of(units.entries)
    ffs = lanes * bits + index * bits + sum(lanes * (width + stage) for stage in range(1, bits))
    features = {"one": 1, "lanes": lanes * bits, "compared": lanes * width * bits}
    return [*parts, Part("shared thresholds", ffs, features=features)]


def _packer(p: SharedEngineParameters, fabric: str) -> list[Part]:
    """Return what pools codes and makes words of them."""
    if len(p.layers) == 1:
        return [Part("packer.single", 1 + 6 * p.unit_latency, features={"one": 1})]
    bits = PackerParameters(p).bits
    places, word = p.simd // p.lanes, bits * p.simd
    pooled = any(layer.pool is not None for layer in p.layers)
    ring = bits * p.lanes * p.array.groups if pooled else 0
    features = {"one": 1, "word": word if places > 1 else 0, "beat": bits * p.lanes, "place": bits_of(places)}
    features["pooled"] = bits * p.lanes if pooled else 0
    parts = [Part("packer", word + ring + bits_of(places) + 2 + 6 * p.unit_latency, features=features)]
    if bits > 1:
        parts += queue_parts(word, p.waiting + 2, fabric)
    return parts


def _rest(p: SharedEngineParameters, loaded: bool) -> Part:
    """Return what moves words: roles of the memories, delays of words and addresses, room in the queue."""
    array: ArrayParameters = p.array
    address = bits_of(sum(layer.engine.feeder.sequencer.addresses for layer in p.layers))
    room = p.queue.depth.bit_length()
    padded = any(layer.padded for layer in p.layers)
    coded = padded and any(layer.engine.image is not None and layer.engine.image.pad for layer in p.layers)
    ffs = 5 + room + 3 * p.DELAY + 1 + p.simd + address * (p.DELAY - 1 + array.lead + array.groups - 1)
    ffs += (1 + coded * p.simd) if padded else 0
    ffs += 0 if not loaded else p.DELAY + array.lead + array.groups
    planes = max(layer.engine.planes.activation_bits for layer in p.layers)
    features = {
        "one": 1,
        "room": room,
        "simd": p.simd,
        "padded": p.simd * padded,
        "coded": p.simd * coded,
        "planes": p.simd * (planes - 1),
        "layers": len(p.layers) - 1,
        "addresses": sum(max(1, memory.address_width) for memory in p.memories),
    }
    return Part("shared", ffs, features=features)
