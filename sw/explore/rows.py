"""The table of a study: a row a combination, as CSV."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

from signfold.sw.errors import StudyError
from signfold.sw.explore.pareto import front
from signfold.sw.explore.progress import Failure
from signfold.sw.explore.store import Store, Stored
from signfold.sw.explore.tasks import Combination
from signfold.sw.files import write_whole

__all__ = ["Row", "make_rows", "read_rows", "write_rows"]


@dataclass(frozen=True)
class Row:
    """A combination and what became of it; what is not known is None.

    Parameters
    ----------
    recipe, topology, plan, device : str
        Names.
    seed, routing_seed : int
        Seeds of training, and of place and route.
    status : str
        "ok"; "refused": a step said no, and always will; "failed": one broke, and is tried again; "open": not done yet.
    stage : str
        The last step that was taken, or that said no or broke.
    reason : str
        Why it said no or broke.
    validation_float, validation_integer, test_float, test_integer : float
        Accuracy of the trained and of the compiled network.
    epoch : int
        The epoch that validation chose.
    interval_cycles, latency_cycles : int
        Of the accelerator, exact.
    clock_mhz, fmax_mhz : float
        Clock that was planned for; clock that the routed design reaches.
    timing_met : bool
        Whether the one is within the other.
    frames_per_second : float
        At `fmax_mhz` where it is known, else at `clock_mhz`.
    luts, ffs, brams : int
        Logic (logic cells on iCE40), flip-flops, block RAMs (halves of 36 kbit on Xilinx), as the last step knows them.
    fits : bool
        Whether that is within the device; None for a fabric.
    front : bool
        Whether no other row of the device is as good or better in validation accuracy, frames a second and logic.
    network, plan_file : str
        Files, relative to the study's folder.
    """

    recipe: str
    topology: str
    seed: int
    plan: str
    device: str
    routing_seed: int | None = None
    status: str = "open"
    stage: str = ""
    reason: str = ""
    validation_float: float | None = None
    validation_integer: float | None = None
    test_float: float | None = None
    test_integer: float | None = None
    epoch: int | None = None
    interval_cycles: int | None = None
    latency_cycles: int | None = None
    clock_mhz: float | None = None
    fmax_mhz: float | None = None
    timing_met: bool | None = None
    frames_per_second: float | None = None
    luts: int | None = None
    ffs: int | None = None
    brams: int | None = None
    fits: bool | None = None
    front: bool = False
    network: str = ""
    plan_file: str = ""

    @property
    def complete(self) -> bool:
        """Whether it can be compared with others: it has an accuracy and a design that fits."""
        return self.status == "ok" and self.fits is not False

    @property
    def label(self) -> str:
        """What it is, in few words."""
        text = f"{self.recipe} {self.topology} s{self.seed}, {self.plan}"
        return text if self.routing_seed is None else f"{text}, r{self.routing_seed}"

    def goals(self) -> tuple[float, float, float]:
        """Return what is to be large: validation accuracy, frames a second, and less logic."""
        return self.validation_integer, self.frames_per_second, -self.luts


def make_rows(combinations: Iterable[Combination], ends: Mapping[str, Stored | Failure], store: Store) -> list[Row]:
    """Return the rows of a study, as far as it is.

    Parameters
    ----------
    combinations : iterable of Combination
        The study.
    ends : mapping of str to Stored or Failure
        What became of each step so far.
    store : Store
        Its folder.
    """
    rows = [_row(combination, ends, store) for combination in combinations]
    for device in {row.device for row in rows}:
        numbers = [k for k, row in enumerate(rows) if row.device == device and row.complete]
        for best in front([rows[k].goals() for k in numbers]):
            rows[numbers[best]] = replace(rows[numbers[best]], front=True)
    return rows


def _row(combination: Combination, ends: Mapping[str, Stored | Failure], store: Store) -> Row:
    device = combination.device
    row = Row(
        combination.recipe, combination.topology, combination.seed, combination.plan, device.name,
        combination.routing_seed, clock_mhz=device.clock_mhz,
    )  # fmt: skip
    if combination.refused is not None:
        return replace(row, status="refused", stage="train", reason=combination.refused)
    known: dict[str, Any] = {}
    for task in combination.tasks:
        end = ends.get(task.key)
        if end is None:
            return _finished(row, known, device)
        known["stage"] = task.kind
        if isinstance(end, Failure):
            return _finished(row, known | {"status": "failed", "reason": end.reason}, device)
        if end.refused is not None:
            return _finished(row, known | {"status": "refused", "reason": end.refused}, device)
        known |= {name: value for name, value in end.result.items() if name in _NAMES}
        if task.kind in ("compile", "plan"):
            column = {"compile": "network", "plan": "plan_file"}[task.kind]
            known[column] = (end.folder / end.names[0]).relative_to(store.folder).as_posix()
    return _finished(row, known | {"status": "ok"}, device)


def _finished(row: Row, known: Mapping[str, Any], device: Any) -> Row:
    """Return the row with what follows from what is known."""
    row = replace(row, **known)
    clock = row.fmax_mhz or row.clock_mhz
    if row.interval_cycles is not None:
        row = replace(row, frames_per_second=clock * 1e6 / row.interval_cycles)
    if row.status == "refused" and row.stage == "route":
        return replace(row, fits=False)
    if row.luts is not None and device.logic is not None:
        # Where the tools have placed it, it fits.
        row = replace(row, fits=row.stage == "route" or (row.luts <= device.logic and row.brams <= device.brams))
    return row


_NAMES = {each.name for each in fields(Row)}
#: Type of each column; with another one, None, where it may be empty.
_TYPES = {each.name: get_args(each.type) or (each.type,) for each in fields(Row)}
_READ = {str: str, int: int, float: float, bool: lambda text: {"yes": True, "no": False}[text]}


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as CSV, all or nothing; what is not known is empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_TYPES)
    for row in rows:
        writer.writerow([_written(value) for value in asdict(row).values()])
    write_whole(path, text.getvalue().encode())


def _written(value: Any) -> str:
    if value is None:
        return ""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def read_rows(path: Path) -> list[Row]:
    """Read what `write_rows` wrote.

    Raises
    ------
    StudyError
        If it cannot be read.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            read = list(csv.reader(file))
        if not read or read[0] != list(_TYPES):
            raise ValueError("its columns are others")
        return [Row(**{n: _value(n, text) for n, text in zip(_TYPES, line, strict=True)}) for line in read[1:]]
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(f"table {str(path)!r} cannot be read: {error}") from None


def _value(name: str, text: str) -> Any:
    kind, *empty = _TYPES[name]
    return None if text == "" and empty else _READ[kind](text)
