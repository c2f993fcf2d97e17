"""A pass over RTLIL: one module for all equal instances, ports in a fixed order, module names that need no escapes."""

import re
from collections.abc import Collection

__all__ = ["merge_modules"]

_MODULE = re.compile(r"module \\(\S+)")
_CELL = re.compile(r"  cell \\(\S+) (\S+)")
_PORT = re.compile(r"(  wire width \d+ (?:input|output|inout) )\d+( +)(\\\S+)")
#: Ports that come first; the others follow by name.
_LEADING_PORTS = ("\\clk", "\\rst")


def merge_modules(rtlil: str, *, keep: Collection[str] = ()) -> str:
    r"""Merge equal modules of a design and make what is left independent of how it was built.

    Amaranth writes one module an instance. Of modules with the same text, after the same has been done to the modules
    inside them, the first is kept and instantiated in place of the others. Ports are numbered in a fixed order (clock,
    reset, then by name), so that a change inside a module leaves its port list alone. Dots in module names become
    double underscores, so that no module name needs an escape.

    Parameters
    ----------
    rtlil : str
        A design as `amaranth.back.rtlil.convert` writes it, without source locations.
    keep : collection of str
        Last components of the names of modules that stay apart even where they are equal: memories whose contents may
        be replaced later.

    Returns
    -------
    str
        The same design.

    Raises
    ------
    ValueError
        If two module names become one without their dots.
    """
    modules = _split(rtlil)
    merged: dict[str, str] = {}
    kept: dict[str, tuple[list[str], list[str]]] = {}
    names: dict[str, str] = {}
    known: dict[str, str] = {}
    # Parents come before their children in Amaranth's output, and a parent can only be compared once its children are.
    for name in reversed(modules):
        attributes, body = modules[name]
        body = _order_ports([_rename_cell(line, merged) for line in body])
        text = "\n".join(body)
        original = None if name.rpartition(".")[2] in keep or any("\\top 1" in a for a in attributes) else known.get(text)
        if original is None:
            flat = name.replace(".", "__")
            if flat in names:
                raise ValueError(f"Modules {names[flat]!r} and {name!r} must have different names once dots are gone")
            names[flat] = name
            known.setdefault(text, flat)
            kept[flat] = (attributes, body)
            original = flat
        merged[name] = original
    lines = []
    for flat, (attributes, body) in reversed(kept.items()):
        lines += [*attributes, f"module \\{flat}", *body, "end", ""]
    return "\n".join(lines)


def _split(rtlil):
    """Return the modules in order: name -> (attribute lines, body lines)."""
    modules = {}
    attributes, body, name = [], [], None
    for line in rtlil.splitlines():
        if name is None:
            if match := _MODULE.fullmatch(line):
                name = match[1]
            elif line:
                attributes.append(line)
        elif line == "end":
            modules[name] = (attributes, body)
            attributes, body, name = [], [], None
        elif line:
            body.append(line)
    return modules


def _rename_cell(line, merged):
    """Let an instance refer to the module that stands for its own."""
    match = _CELL.fullmatch(line)
    return f"  cell \\{merged[match[1]]} {match[2]}" if match and match[1] in merged else line


def _order_ports(body):
    """Number the ports from 1: the leading ones, then the others by name."""
    ports = [match[3] for line in body if (match := _PORT.fullmatch(line))]
    ports.sort(key=lambda port: (port not in _LEADING_PORTS, port))
    number = {port: index for index, port in enumerate(ports, start=1)}
    return [_PORT.sub(lambda m: f"{m[1]}{number[m[3]]}{m[2]}{m[3]}", line) for line in body]
