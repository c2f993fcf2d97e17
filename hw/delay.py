"""Delay: a value as it was some cycles ago."""

from amaranth.hdl import Module, Signal, Value

__all__ = ["delayed"]


def delayed(m: Module, value: Value, cycles: int, name: str) -> Value:
    """Return `value` as it was `cycles` cycles ago, unsigned, through registers called after `name`.

    Parameters
    ----------
    m : Module
        Where the registers are placed, in domain `sync`.
    value : Value
        What is delayed.
    cycles : int
        Registers, 0 or more.
    name : str
        Prefix of their names.
    """
    for k in range(cycles):
        held = Signal(len(value), name=f"{name}_d{k}")
        m.d.sync += held.eq(value)
        value = held
    return value
