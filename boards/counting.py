"""What a netlist takes: the rules behind every LUT figure.

* **xilinx** (`synth_xilinx -family xc7`): each LUT1 .. LUT6 is one, a LUT6_2 is one, a used bit of a CARRY4 whose S
  input has no LUT of its own is one, for it takes the table in front of it. Shift registers (SRL) and distributed
  memories take tables too and are counted as the tables they take. Inverters and MUXF7/8 take none.
* **ecp5** (`synth_ecp5 -nowidelut`): each LUT4 is one, each CCU2C two, each TRELLIS_DPR16X4 four.
* **ice40** (`synth_ice40`): logic cells: each SB_LUT4 is one, and each SB_CARRY that shares no inputs with the LUT
  behind it, as nextpnr packs them.

"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["SYNTHESIS", "TARGETS", "Counts", "count", "lone_flip_flops"]

#: Synthesis command of each target.
SYNTHESIS = {
    "xilinx": "synth_xilinx -family xc7 -flatten -noiopad -top {top}",
    "ecp5": "synth_ecp5 -nowidelut -noiopad -top {top}",
    "ice40": "synth_ice40 -top {top}",
}
TARGETS = tuple(SYNTHESIS)

#: Tables that cells of distributed memory and shift registers take.
_MEMORY_LUTS = (
    {"SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1, "RAM16X1S": 1, "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2}
    | {"RAM16X1D": 2, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1S": 4, "RAM32M": 4, "RAM64M": 4}
    | {"RAM32M16": 8, "RAM64M8": 8, "TRELLIS_DPR16X4": 4}
)
_LUTS = {
    "xilinx": ("LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6", "LUT6_2"),
    "ecp5": ("LUT4",),
    "ice40": ("SB_LUT4",),
}
#: Flip-flops, by the beginning of their names.
_FLIP_FLOPS = {"xilinx": ("FD", "LD"), "ecp5": ("TRELLIS_FF",), "ice40": ("SB_DFF",)}
_MEMORIES = {
    "xilinx": {"bram18": "RAMB18E1", "bram36": "RAMB36E1"},
    "ecp5": {"dp16kd": "DP16KD"},
    "ice40": {"ebr": "SB_RAM40_4K", "spram": "SB_SPRAM256KA"},
}
_MULTIPLIERS = ("DSP48E1", "MULT18X18D", "SB_MAC16")


@dataclass(frozen=True)
class Counts:
    """What a netlist takes.

    Parameters
    ----------
    target : str
        "xilinx", "ecp5" or "ice40".
    luts : int
        Tables after the target's rule; on iCE40 logic cells, but for those of `lone_flip_flops`.
    tables : int
        Of these, LUTs.
    carries : int
        Of these, carry bits (Xilinx, iCE40) without a LUT, or two for each carry cell (ECP5).
    memory_luts : int
        Of these, tables of distributed memory and shift registers.
    ffs : int
        Flip-flops.
    memories : dict
        Block memories by kind.
    multipliers : int
        DSP blocks.
    cells : dict
        Cells of each type.
    """

    target: str
    luts: int
    tables: int
    carries: int
    memory_luts: int
    ffs: int
    memories: dict[str, int]
    multipliers: int
    cells: dict[str, int]

    @property
    def block_rams(self) -> float:
        """Block memories; on Xilinx in halves, as blocks of 36 kbit."""
        if self.target == "xilinx":
            return self.memories["bram36"] + self.memories["bram18"] / 2
        return sum(count for kind, count in self.memories.items() if kind != "spram")


def count(netlist: Mapping[str, Any], target: str, top: str = "accelerator") -> Counts:
    """Count the cells of a flat netlist.

    Parameters
    ----------
    netlist : mapping
        What `write_json` of Yosys writes.
    target : str
        "xilinx", "ecp5" or "ice40".
    top : str
        Module to count.

    Raises
    ------
    ValueError
        If there is no such target, or the netlist is not flat.
    """
    if target not in TARGETS:
        raise ValueError(f"target must be one of {', '.join(TARGETS)}, not {target!r}")
    cells = [cell for cell in netlist["modules"][top]["cells"].values() if not cell["type"].startswith("$scopeinfo")]
    types = Counter(cell["type"] for cell in cells)
    # Yosys keeps primitives as modules of the design, black ones or white ones that say what they do.
    modules = netlist["modules"]
    parts = {
        name for name in types if name in modules and not {"blackbox", "whitebox"} & modules[name]["attributes"].keys()
    }
    if parts:
        raise ValueError(f"netlist must be flat, but holds instances of {min(parts)!r}")
    tables = sum(types[name] for name in _LUTS[target])
    memory = sum(count * _MEMORY_LUTS[name] for name, count in types.items() if name in _MEMORY_LUTS)
    if target == "xilinx":
        carries = _lone_carry_bits(cells, netlist["modules"][top]["ports"])
    elif target == "ecp5":
        carries = 2 * types["CCU2C"]
    else:
        carries = _lone_carry_cells(cells)
    return Counts(
        target=target,
        luts=tables + carries + memory,
        tables=tables,
        carries=carries,
        memory_luts=memory,
        ffs=sum(count for name, count in types.items() if name.startswith(_FLIP_FLOPS[target])),
        memories={
            kind: sum(count for name, count in types.items() if name.startswith(prefix))
            for kind, prefix in _MEMORIES[target].items()
        },
        multipliers=sum(types[name] for name in _MULTIPLIERS),
        cells=dict(sorted(types.items())),
    )


def _lone_carry_bits(cells: Iterable[Mapping[str, Any]], ports: Mapping[str, Any]) -> int:
    """Count the used bits of CARRY4 whose S input has no LUT of its own."""
    read = {bit for port in ports.values() if port["direction"] != "input" for bit in port["bits"]}
    tables = set()
    for cell in cells:
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                read.update(bits)
            elif cell["type"] in _LUTS["xilinx"]:
                tables.update(bits)
    lone, taken = 0, set()
    for cell in cells:
        if cell["type"] != "CARRY4":
            continue
        pins = cell["connections"]
        results = [[*pins["O"][n : n + 1], *pins["CO"][n : n + 1]] for n in range(4)]
        used = [any(isinstance(bit, int) and bit in read for bit in bits) for bits in results]
        for n in range(4):
            select = pins["S"][n]
            if any(used[n:]) and (select not in tables or select in taken):
                lone += 1
            taken.add(select)
    return lone


def _lone_carry_cells(cells: Iterable[Mapping[str, Any]]) -> int:
    """Count the SB_CARRY that nextpnr puts into a logic cell of their own.

    It puts one beside the LUT whose I3 is the carry's CI if the LUT's I1 and I2 are the carry's I0 and I1, where an
    input that is 0 fits anything.
    """
    behind: dict[Any, list[list[Any]]] = {}
    for cell in cells:
        if cell["type"] == "SB_LUT4":
            pins = {port: bits[0] for port, bits in cell["connections"].items()}
            behind.setdefault(pins["I3"], []).append([pins["I1"], pins["I2"]])
    lone = 0
    for cell in cells:
        if cell["type"] != "SB_CARRY":
            continue
        pins = {port: bits[0] for port, bits in cell["connections"].items()}
        near = behind.get(pins["CI"], []) if isinstance(pins["CI"], int) else []
        fitting = [table for table in near if pins["I0"] in (table[0], "0") and pins["I1"] in (table[1], "0")]
        if fitting:
            near.remove(fitting[0])
        else:
            lone += 1
    return lone


def lone_flip_flops(netlist: Mapping[str, Any], top: str = "accelerator") -> int:
    """Return the flip-flops of an iCE40 that share no logic cell with a LUT: one whose output they alone read.

    Parameters
    ----------
    netlist : mapping
        As for `count`.
    top : str
        Module to count.
    """
    cells = netlist["modules"][top]["cells"].values()
    readers = Counter(
        bit
        for cell in cells
        for pin, bits in cell["connections"].items()
        if cell["port_directions"].get(pin) == "input"
        for bit in bits
    )
    tables = {cell["connections"]["O"][0] for cell in cells if cell["type"] == "SB_LUT4"}
    private = {bit for bit in tables if readers[bit] == 1}
    return sum(cell["type"].startswith("SB_DFF") and cell["connections"]["D"][0] not in private for cell in cells)
