"""Cost of what sums and codes go through: thresholds, corrections, gearboxes, input and output stages."""

from collections.abc import Callable
from dataclasses import dataclass

from signfold.hw.border import BorderClasses
from signfold.hw.collector import CollectorParameters
from signfold.hw.correction import CorrectionParameters
from signfold.hw.gearbox import NarrowerParameters, WidenerParameters
from signfold.hw.invert import InvertParameters
from signfold.hw.pixels import PixelParameters
from signfold.hw.rom import BLOCK_BITS, RomParameters
from signfold.hw.score import ScoreParameters
from signfold.hw.threshold import ThresholdParameters
from signfold.sw.cost.contents import Fields, fields
from signfold.sw.cost.memory import rom_width
from signfold.sw.cost.part import Part, bits_of, logic_table_part, table_part
from signfold.sw.cost.tables import table_columns

__all__ = [
    "UnitShape",
    "collector_part",
    "gearbox_parts",
    "in_block",
    "kept_columns",
    "part_functions",
    "rom_part",
    "unit_parts",
    "unit_shape",
]


@dataclass(frozen=True)
class UnitShape:
    """Size of a unit at the edge of an array, without its contents.

    Parameters
    ----------
    kind : str
        "threshold", "correction" or "invert".
    lanes : int
        Sums of a beat.
    width : int
        Bits of a sum; of a code for "invert".
    bits : int
        Bits of a code; of an outgoing sum for "correction".
    beats : int
        Beats of a position.
    stored : int
        Bits of a stored value.
    border : BorderClasses or None
        Classes of positions.
    channels : int
        Channels; lanes without one are taken out by synthesis where a beat holds all.
    """

    kind: str
    lanes: int
    width: int
    bits: int
    beats: int
    stored: int
    border: BorderClasses | None = None
    channels: int = 1 << 30

    @property
    def live(self) -> int:
        """Lanes that hold a channel in any beat."""
        return min(self.lanes, self.channels) if self.beats == 1 else self.lanes

    @property
    def depth(self) -> int:
        """Words of the first table."""
        return self.beats * (1 if self.border is None else self.border.count)


def unit_shape(unit: ThresholdParameters | CorrectionParameters | InvertParameters) -> UnitShape:
    """Return the size of a unit."""
    if isinstance(unit, ThresholdParameters):
        return UnitShape(
            "threshold",
            unit.lanes,
            unit.sum_width,
            unit.bits,
            unit.beats,
            unit.threshold_width,
            unit.border,
            unit.channels,
        )
    if isinstance(unit, CorrectionParameters):
        sizes = unit.output_width, unit.beats, unit.correction_width
        return UnitShape("correction", unit.lanes, unit.sum_width, *sizes, unit.border, unit.channels)
    return UnitShape("invert", unit.lanes, unit.bits, unit.bits, unit.beats, 1, None, len(unit.inverted))


def rom_part(rom: RomParameters, fabric: str) -> Part:
    """Return a table with its contents: those in LUTs depend on which functions their columns are."""
    if in_block(rom.width, rom.depth, rom.style):
        return table_part(fabric, rom_width(rom.width, rom.words), rom.depth, True)
    return logic_table_part(fabric, table_columns(rom.width, rom.words).different, rom.depth)


def kept_columns(rom: RomParameters) -> int:
    """Return how many bits of a table's words synthesis keeps: constant ones go, of equal ones in LUTs all but one."""
    if in_block(rom.width, rom.depth, rom.style):
        return rom_width(rom.width, rom.words)
    return len(table_columns(rom.width, rom.words).different)


def in_block(width: int, depth: int, style: str = "auto") -> bool:
    """Return whether a table lies in block RAM."""
    return style == "block" or (style == "auto" and width * depth >= BLOCK_BITS)


def unit_parts(shape: UnitShape, fabric: str, roms: tuple[RomParameters, ...] | None = None) -> list[Part]:
    """Return the parts of a unit; without `roms` its tables are taken for random ones."""
    lanes, width = shape.live, shape.width
    address = bits_of(max(2, shape.depth)) if shape.depth > 1 else 0
    parts = [_beat_address(shape)]
    if roms is not None:
        parts += [rom_part(rom, fabric) for rom in roms]
        told = [fields(rom, shape.stored if rom is not roms[0] else rom.width // shape.lanes) for rom in roms]
    else:
        parts.append(_table(fabric, lanes * shape.stored, shape.depth))
        told = [Fields.random(lanes, min(width, shape.stored), shape.depth)]
        if shape.kind == "threshold":
            for stage in range(1, shape.bits):
                parts.append(_table(fabric, shape.stored, shape.depth << stage, lanes))
                told.append(Fields.random(lanes, width, shape.depth << stage))
    if shape.kind == "threshold":
        stages = shape.bits
        ffs = lanes * stages + stages
        for stage in range(1, stages):
            ffs += lanes * (width + stage) + address
        features = {"one": 1}
        for found in told:
            for name, value in found.compared(width, fabric).items():
                features[name] = features.get(name, 0) + value
    elif shape.kind == "correction":
        ffs = 1 + lanes * shape.bits
        features = {"one": 1, **told[0].added(shape.bits)}
        final = shape.channels - (shape.beats - 1) * shape.lanes
        if shape.beats > 1 and final < shape.lanes:
            features["masked"] = (shape.lanes - final) * shape.bits
    else:
        ffs = 1 + lanes * shape.bits
        features = {"one": 1}
        features |= {name: value * shape.bits for name, value in told[0].flipped().items()}
    parts.append(Part(shape.kind, ffs, features=features))
    return parts


def _table(fabric: str, width: int, depth: int, count: int = 1) -> Part:
    return table_part(fabric, width, depth, in_block(width, depth), count=count)


def _beat_address(shape: UnitShape) -> Part:
    if shape.depth == 1:
        return Part("address")
    current = bits_of(shape.depth)
    if shape.border is None or shape.border.count == 1:
        return Part("address", current, features={"one": 1, "current": current})
    border = shape.border
    beat, number = bits_of(shape.beats), bits_of(border.count)
    places = bits_of(len(border.columns)) + bits_of(len(border.rows))
    features = {
        "one": 1,
        "current": current,
        "beat": beat,
        "number": number,
        "places": places,
        "classes": border.count,
    }
    return Part("address.border", current + beat + number + places, features=features)


def gearbox_parts(p: NarrowerParameters | WidenerParameters, fabric: str, last: bool = True) -> list[Part]:
    """Return the parts of a gearbox."""
    if isinstance(p, WidenerParameters):
        ratio = p.lanes_out // p.lanes_in
        part, held = bits_of(ratio), p.lanes_out * p.bits
        final = p.beats_in - (p.beats_out - 1) * ratio
        features = {"one": 1, "part": part}
        # A frame of one beat that is not full leaves the places at the lower end idle.
        idle = (ratio - final) * p.lanes_in * p.bits
        if p.beats_out == 1:
            held -= idle
        elif final < ratio:
            features["final"] = held - idle
            features["edge"] = idle
        return [Part("widener", held + part + 1 + (last or "final" in features), features=features)]
    ratio = p.lanes_in // p.lanes_out
    left, rest = bits_of(ratio), p.lanes_in * p.bits
    inside = (p.elements - (p.beats_in - 1) * p.lanes_in) * p.bits
    features = {"one": 1, "left": left, "rest": rest, "masked": rest - inside}
    return [Part("narrower", rest + left + 1 + last, features=features)]


def collector_part(p: CollectorParameters, last: bool = True) -> Part:
    """Return a collector; where nobody looks at the ends of frames, only unfilled passes need to be told apart."""
    beat, play = bits_of(p.groups), bits_of(p.passes)
    partial = p.final_beats < p.groups
    # Flags: a pass at work, the ends of both loops, and of the last pass its last beat and whether it goes on.
    flags = (p.groups > 1) + (p.groups > 2) + (p.passes > 2) + 2 * partial
    if not last and not partial:
        flags -= p.passes > 2
        play = 0
    features = {"one": 1, "beat": beat, "play": play}
    if partial:
        features["final"] = beat
    return Part("collector", beat + play + flags, features=features)


def _collector(p: CollectorParameters, fabric: str, last: bool) -> list[Part]:
    return [collector_part(p, last)]


def _pixels(p: PixelParameters, fabric: str, last: bool) -> list[Part]:
    beat = bits_of(p.beats)
    part = bits_of(p.beats // p.positions) if p.positions > 1 and last else 0
    out = p.lanes * p.output_bits
    features = {"one": 1, "beat": beat, "part": part}
    parts = []
    if p.thresholds is None:
        features["passed"] = out
    elif p.rom is not None:
        parts.append(rom_part(p.rom, fabric))
        features |= fields(p.rom, p.bits + 1).compared(p.bits, fabric)
    else:
        value = int(p.thresholds[0, 0])
        features |= Fields((value,) * p.lanes, ()).compared(p.bits, fabric)
        if not 0 < value < 1 << p.bits:
            out = 0
    parts.append(Part("pixels", beat + part + out + 3 + last + (p.rom is not None), features=features))
    return parts


def _scores(p: ScoreParameters, fabric: str, last: bool) -> list[Part]:
    arriving, width = bits_of(p.classes), p.score_width
    # `index` and `arriving`, the score in two registers and the best, `best`, two valid bits, `last`.
    ffs = 2 * arriving + 3 * width + arriving + 3 + (p.rom is not None)
    features = {"one": 1, "arriving": arriving, "score": width, "sum": p.sum_width}
    parts = []
    dsps = 0
    if p.rom is not None:
        parts.append(rom_part(p.rom, fabric))
        if fabric == "ice40":
            # `signfold build` multiplies in logic there.
            features["product"] = p.field_widths[0] * p.sum_width
        else:
            dsps = int(p.classes > 1)
        features["scaled"] = 1
        features["offset"] = width
    if p.classes == 1:
        return [*parts, Part("scores.single", 2 * width + 3, features={"one": 1, "score": width})]
    parts.append(Part("scores", ffs, dsps=dsps, features=features))
    return parts


def part_functions() -> dict[type, Callable]:
    """Return the function that gives the parts of each kind of component."""
    return {
        NarrowerParameters: gearbox_parts,
        WidenerParameters: gearbox_parts,
        CollectorParameters: _collector,
        PixelParameters: _pixels,
        ScoreParameters: _scores,
        RomParameters: lambda p, fabric, last: [rom_part(p, fabric)],
        ThresholdParameters: lambda p, fabric, last: unit_parts(unit_shape(p), fabric, p.roms),
        CorrectionParameters: lambda p, fabric, last: unit_parts(unit_shape(p), fabric, p.roms),
        InvertParameters: lambda p, fabric, last: unit_parts(unit_shape(p), fabric, p.roms),
    }
