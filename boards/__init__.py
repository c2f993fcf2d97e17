"""Boards: pins, clocking and bitstream builds on amaranth-boards and YoWASP."""
