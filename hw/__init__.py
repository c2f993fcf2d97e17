"""Gateware and its configuration: Amaranth and integers, no torch and no I/O."""
