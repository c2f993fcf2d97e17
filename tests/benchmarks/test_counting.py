"""What the benchmarks count: the rules, on netlists small enough to count by hand."""

import counting
import pytest

OUTPUTS = {"O", "CO", "Q", "Z"}


def netlist(cells, outputs=(), **modules):
    """What Yosys writes for a module with the cells, each a type and its connections."""
    described = {
        f"c{k}": {
            "type": kind,
            "connections": {port: list(bits) for port, bits in pins.items()},
            "port_directions": {port: "output" if port in OUTPUTS else "input" for port in pins},
        }
        for k, (kind, pins) in enumerate(cells)
    }
    ports = {"y": {"direction": "output", "bits": list(outputs)}}
    return {"modules": {"accelerator": {"cells": described, "ports": ports}, **modules}}


def carry4(select, sums, carries="xxxx"):
    return ("CARRY4", {"S": select, "DI": [0, 0, 0, 0], "CI": [0], "CYINIT": ["0"], "O": sums, "CO": carries})


def test_luts_of_each_size_and_pairs_are_one():
    cells = [(f"LUT{n}", {"I0": [1], "O": [10 + n]}) for n in range(1, 7)]
    cells += [("LUT6_2", {"I0": [1], "O5": [2], "O6": [3]}), ("INV", {"I": [1], "O": [4]}), ("MUXF7", {"O": [5]})]
    cells += [("FDRE", {"D": [1], "Q": [6]}), ("RAMB18E1", {}), ("RAMB36E1", {})]
    counts = counting.count(netlist(cells), "xilinx")
    assert (counts.luts, counts.tables, counts.carries, counts.ffs) == (7, 7, 0, 1)
    assert counts.block_rams == 1.5


def test_carry_bits_without_a_table_of_their_own_are_one():
    # Bit 0 has a LUT, bit 1 a register, bit 2 a constant, bit 3 is not used.
    cells = [("LUT2", {"I0": [1], "O": [20]}), carry4([20, 21, "0", 22], [30, 31, 32, 33])]
    assert counting.count(netlist(cells, outputs=[30, 31, 32]), "xilinx").luts == 1 + 2
    # Bits below the carry out are used.
    cells = [carry4([20, 21, 22, 23], [30, 31, 32, 33], [40, 41, 42, 43])]
    assert counting.count(netlist(cells, outputs=[42]), "xilinx").luts == 3


def test_one_table_serves_one_carry_bit():
    cells = [("LUT2", {"I0": [1], "O": [20]}), carry4([20, 20, "x", "x"], [30, 31, 32, 33])]
    assert counting.count(netlist(cells, outputs=[30, 31]), "xilinx").luts == 2


def test_memories_in_tables_take_tables():
    cells = [("SRL16E", {"D": [1], "Q": [2]}), ("RAM32M", {}), ("LUT6", {"O": [3]})]
    counts = counting.count(netlist(cells), "xilinx")
    assert (counts.luts, counts.memory_luts, counts.ffs) == (6, 5, 0)


def test_ecp5_carry_cells_are_two():
    cells = [("LUT4", {"Z": [1]}), ("CCU2C", {}), ("CCU2C", {}), ("TRELLIS_FF", {"Q": [2]}), ("DP16KD", {})]
    counts = counting.count(netlist(cells), "ecp5")
    assert (counts.luts, counts.tables, counts.carries, counts.ffs, counts.block_rams) == (5, 1, 4, 1, 1)


def test_ice40_carries_share_a_cell_with_the_lut_behind_them():
    table = ("SB_LUT4", {"I0": ["0"], "I1": [1], "I2": [2], "I3": [3], "O": [4]})
    carry = ("SB_CARRY", {"I0": [1], "I1": [2], "CI": [3], "CO": [5]})
    assert counting.count(netlist([table, carry]), "ice40").luts == 1
    # A second carry finds no LUT left, one with other inputs none that fits, one with a 0 fits.
    assert counting.count(netlist([table, carry, carry]), "ice40").luts == 2
    other = ("SB_CARRY", {"I0": [1], "I1": [7], "CI": [3], "CO": [5]})
    assert counting.count(netlist([table, other]), "ice40").luts == 2
    half = ("SB_CARRY", {"I0": [1], "I1": ["0"], "CI": [3], "CO": [5]})
    assert counting.count(netlist([table, half]), "ice40").luts == 1
    first = ("SB_CARRY", {"I0": [1], "I1": [2], "CI": ["0"], "CO": [3]})
    assert counting.count(netlist([table, first]), "ice40").luts == 2


def test_only_flat_netlists_are_counted():
    cells = [("cell", {}), ("LUT6", {})]
    part, primitive = {"attributes": {}, "cells": {}}, {"attributes": {"blackbox": "1"}, "cells": {}}
    with pytest.raises(ValueError, match="^netlist must be flat, but holds instances of 'cell'$"):
        counting.count(netlist(cells, cell=part, LUT6=primitive), "xilinx")
    with pytest.raises(ValueError, match="^target must be one of xilinx, ecp5, ice40, not 'gowin'$"):
        counting.count(netlist([]), "gowin")


def test_flip_flops_of_an_ice40_that_have_a_cell_of_their_own():
    # Bit 10 goes from a LUT to a register alone, bit 11 elsewhere too, bit 12 comes from a pin.
    cells = [("SB_LUT4", {"I0": [1], "O": [10]}), ("SB_LUT4", {"I0": [11], "O": [11]})]
    cells += [
        ("SB_DFF", {"D": [10], "Q": [20]}),
        ("SB_DFFE", {"D": [11], "Q": [21]}),
        ("SB_DFFSR", {"D": [12], "Q": [22]}),
    ]
    assert counting.lone_flip_flops(netlist(cells)) == 2
