"""Bus to tables of two banks: one bank is read, the other one is written, and one bit says which is which."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, Signal, Value, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory

from signfold.hw.rom import Rom, RomParameters

__all__ = ["BankedTable", "ReloadBus", "write_layout"]

#: Tables that one register of the bus serves.
_HOP = 4


def write_layout(tables: Sequence[RomParameters]) -> data.StructLayout:
    """Layout of a write: byte `data` goes to byte `lane` of the word at `address` of a `table`, where `write` is 1."""
    return data.StructLayout(
        {
            "write": 1,
            "table": range(max(2, len(tables))),
            "address": unsigned(max(table.address_width for table in tables)),
            "lane": range(max(2, *(-(-table.width // 8) for table in tables))),
            "data": unsigned(8),
        }
    )


@dataclass(frozen=True)
class BankedTable:
    """Memory that holds a table twice: bank 0 from address 0 on, bank 1 from the next power of two on.

    Parameters
    ----------
    table : RomParameters
        The table; its words are bank 0 at power-on.
    """

    table: RomParameters

    @property
    def lanes(self) -> int:
        """Bytes of a word, which are written one by one."""
        return -(-self.table.width // 8)

    @property
    def width(self) -> int:
        """Bits of a word as stored: whole bytes, unless it is one byte alone."""
        return self.table.width if self.lanes == 1 else 8 * self.lanes

    @property
    def depth(self) -> int:
        """Words of both banks, with the gap between them."""
        return (1 << self.table.address_width) + self.table.depth


class ReloadBus:
    """Carries writes and the bank in force to the tables, at most four to a register: no net grows with the design.

    A write or a change of bank reaches the last table `latency` cycles after it is put on the bus.

    Parameters
    ----------
    tables : sequence of RomParameters
        The tables, in order.
    """

    def __init__(self, tables: Sequence[RomParameters]):
        self.tables = tuple(tables)
        self._numbers = {table.name: number for number, table in enumerate(self.tables)}
        layout = data.StructLayout({"bank": 1, "writes": write_layout(self.tables)})
        # A reset changes no bank: the network in force stays.
        self._hops = [Signal(layout, name=f"reload_{k}", reset_less=True) for k in range(self.latency)]

    @property
    def latency(self) -> int:
        """Cycles to the last table."""
        return -(-len(self.tables) // _HOP)

    def drive(self, m: Module, bank: Value, writes: Value) -> None:
        """Put the bank in force and the writes on the bus."""
        m.d.sync += [self._hops[0].bank.eq(bank), self._hops[0].writes.eq(writes)]
        for before, after in zip(self._hops, self._hops[1:], strict=False):
            m.d.sync += after.eq(before)

    def table(self, rom: Rom) -> Elaboratable:
        """Return what stands for a ROM: the same port, on a memory of two banks."""
        number = self._numbers.get(rom.parameters.name)
        if number is None:
            raise ValueError(f"ROM {rom.parameters.name!r} must be one of the tables on the bus")
        banked, hop = BankedTable(rom.parameters), self._hops[number // _HOP]
        m = Module()
        # Two ports and contents at power-on: block RAM has both in every family.
        memory = Memory(
            shape=unsigned(banked.width), depth=banked.depth, init=rom.parameters.words, attrs={"ram_style": "block"}
        )
        m.submodules.memory = memory
        read = memory.read_port()
        write = memory.write_port(granularity=8 if banked.lanes > 1 else None)
        here = hop.writes.write & (hop.writes.table == number)
        m.d.comb += [
            read.addr.eq(Cat(rom.address, hop.bank)),
            rom.data.eq(read.data),
            write.addr.eq(Cat(hop.writes.address[: rom.parameters.address_width], ~hop.bank)),
            write.data.eq(hop.writes.data.replicate(banked.lanes)),
            *(write.en[lane].eq(here & (hop.writes.lane == lane)) for lane in range(banked.lanes)),
        ]
        return m

    def platform(self, outer: Any, restart: Value | None = None) -> "_Platform":
        """Return the platform with which components are elaborated whose ROMs are tables of this bus.

        Parameters
        ----------
        outer : object
            Platform of the design.
        restart : Value, optional
            Resets the components, beside the reset of their domain.
        """
        return _Platform(self, outer, restart)


class _Platform:
    """Platform that lets a `Rom` be a table of a bus; see `signfold.hw.rom` and `signfold.hw.module_library`."""

    def __init__(self, bus: ReloadBus, outer: Any, restart: Value | None):
        self._bus, self._outer, self._restart = bus, outer, restart

    def table(self, rom: Rom) -> Elaboratable:
        return self._bus.table(rom)

    def place(self, component: Any, elaborate: Callable[[Any, Any], Elaboratable]) -> Elaboratable:
        """Share a module as the outer platform does; inside it there is no table."""
        place = getattr(self._outer, "place", None)
        return elaborate(component, self._outer) if place is None else place(component, elaborate, self._restart)
