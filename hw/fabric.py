"""Fabrics: what logic cells an FPGA offers, as far as the array's structure depends on it."""

from dataclasses import dataclass

__all__ = ["FABRICS", "Fabric", "find_fabric"]


@dataclass(frozen=True)
class Fabric:
    """A kind of FPGA.

    Parameters
    ----------
    name : str
        Name in plans and at the command line.
    title : str
        Name for people.
    lut_inputs : int
        Inputs of a lookup table; 0 where nothing is assumed.
    encode_columns : int
        Columns from which on an array that works on words as prefix parities is smaller, the encoder counted; 0: never.
    parity_radix : int
        Radix of the encoder: how deep its logic may be.
    table_registers : bool
        Block RAMs are slow and flip-flops idle: weights go through registers behind their tables, where the encoder
        leaves a cycle for it.
    delays : tuple of float or None
        Nanoseconds of a path between two registers of a popcount: at its ends, and for each level. Fitted to nextpnr's
        reports of arrays of 64-bit words, for the slowest device that we build for (iCE40 UP5K, ECP5 speed grade 6).
    counters : bool
        Counters of many inputs are built from named primitives, LUT6_2 and CARRY4, which synthesis would not find.
    gated_chains : bool
        A carry chain's own tables can gate one of the numbers that it adds, which synthesis would not find either.
    multiplier : tuple of int or None
        Widths of the two signed numbers that a multiplier block multiplies; None where no such blocks are assumed.
    """

    name: str
    title: str
    lut_inputs: int = 0
    encode_columns: int = 0
    parity_radix: int = 8
    table_registers: bool = False
    delays: tuple[float, float] | None = None
    counters: bool = False
    gated_chains: bool = False
    multiplier: tuple[int, int] | None = None


#: All fabrics by name. Those of four-input tables leave carry chains to synthesis, which finds them in additions.
FABRICS = {
    fabric.name: fabric
    for fabric in (
        Fabric("plain", "any FPGA, or simulation"),
        Fabric(
            "xilinx",
            "Xilinx 7-series and UltraScale (LUT6, CARRY4)",
            6,
            5,
            counters=True,
            gated_chains=True,
            multiplier=(25, 18),
        ),
        Fabric("ice40", "Lattice iCE40 (LUT4, carry)", 4, 3, delays=(5.0, 5.0)),
        Fabric(
            "ecp5",
            "Lattice ECP5 (LUT4, CCU2C)",
            4,
            3,
            4,
            delays=(1.9, 1.5),
            table_registers=True,
            gated_chains=True,
            multiplier=(18, 18),
        ),
        Fabric("gowin", "Gowin GW1N and GW2A (LUT4, ALU)", 4, 3, multiplier=(18, 18)),
    )
}


def find_fabric(name: str) -> Fabric:
    """Return a fabric by name.

    Raises
    ------
    ValueError
        If there is no such fabric.
    """
    if name not in FABRICS:
        raise ValueError(f"fabric must be one of {', '.join(FABRICS)}, not {name!r}")
    return FABRICS[name]
