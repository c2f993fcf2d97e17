"""Simulation: cocotb benches, the native Verilator harness, netlist checks, a simulated host link."""
