"""A pass over RTLIL: equal modules become one, and the text no longer tells how the design was put together."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

__all__ = ["canonical"]

_MODULE = re.compile(r"module \\(\S+)")
_CELL = re.compile(r"  cell \\(\S+) (\S+)")
_CELL_PORT = re.compile(r"    connect (\\\S+) ")
_WIRE = re.compile(r"  wire width \d+ +(?:(input|output|inout) \d+ +)?(?:signed +)?(\S+)")
_PORT_NUMBER = re.compile(r"(  wire width \d+ (?:input|output|inout) )\d+")
_ALIAS = re.compile(r"connect (\\\S+) (.*)")
_IDENTIFIER = re.compile(r"\\\S+")
#: Ports that Amaranth makes for parts of signals; their names hold the number of a net of the whole design.
_NAMELESS_PORT = re.compile(r"\\port\$\d+\$\d+")
#: Ports that come first; the others follow by name.
_LEADING_PORTS = ("\\clk", "\\rst")


@dataclass
class _Module:
    """One module: its lines, and what renaming its ports means for those who instantiate it."""

    attributes: list[str]
    body: list[str]
    port_names: dict[str, str] = field(default_factory=dict)


def canonical(rtlil: str, *, keep_modules: Collection[str] = (), keep_wires: Collection[str] = ()) -> str:
    r"""Bring a design into the form that its own text determines.

    Amaranth writes one module an instance, except of what `signfold.hw.module_library` shares. Here, of modules with
    the same text after the same has been done to the modules inside them, the first is kept and instantiated in place
    of the others. To that end second names of a net go, ports that have no name of their own are counted, and ports
    are ordered (clock, reset, then by name), which also keeps a change in one module out of the text of others. Dots
    in module names become double underscores, so that no module name needs an escape. Instances of what is no module
    of the design, primitives of a fabric, stay as they are.

    Parameters
    ----------
    rtlil : str
        A design as `amaranth.back.rtlil.convert` writes it, without source locations.
    keep_modules : collection of str
        Instance names of modules that stay apart even where they are equal: memories whose contents may be replaced.
    keep_wires : collection of str
        Names that stay in the modules directly inside the top module, even as second names of a net.

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
    kept: dict[str, _Module] = {}
    stands_for: dict[str, str] = {}
    seen: dict[tuple[str, ...], str] = {}
    # Parents come before their children in Amaranth's output, and a parent can only be compared once its children are.
    top = next(iter(modules), "")
    for name in reversed(modules):
        module = modules[name]
        stage = name.count(".") == 1 and name.startswith(f"{top}.")
        wires = {f"\\{wire}" for wire in keep_wires} if stage else set()
        module.body = _reconnect(_drop_aliases(module.body, wires), modules, stands_for)
        _rename_ports(module)
        _claim_names(module, wires)
        module.body = _order_wires(module.body)
        text = tuple(module.body)
        instance = name.rpartition(".")[2]
        if text in seen and instance not in keep_modules:
            stands_for[name] = seen[text]
            continue
        flat = name.replace(".", "__")
        if flat in kept:
            raise ValueError(f"Module {name!r} and another one must have different names once dots are gone")
        if instance not in keep_modules:
            seen[text] = flat
        kept[flat] = module
        stands_for[name] = flat
    lines = []
    for flat, module in reversed(kept.items()):
        lines += [*module.attributes, f"module \\{flat}", *module.body, "end", ""]
    return "\n".join(lines)


def _split(rtlil: str) -> dict[str, _Module]:
    """Return the modules by name, in order."""
    modules: dict[str, _Module] = {}
    attributes: list[str] = []
    current = None
    for line in rtlil.splitlines():
        if current is None:
            if match := _MODULE.fullmatch(line):
                current = modules[match[1]] = _Module(attributes, [])
                attributes = []
            elif line:
                attributes.append(line)
        elif line == "end":
            current = None
        elif line:
            current.body.append(line)
    return modules


def _drop_aliases(body: list[str], keep: Collection[str]) -> list[str]:
    """Remove wires that only name a net which has a name already."""
    uses: dict[str, int] = {}
    for line in body:
        for name in _IDENTIFIER.findall(line):
            uses[name] = uses.get(name, 0) + 1
    ports = {match[2] for line in body if (match := _WIRE.fullmatch(line)) and match[1]}
    aliases = {
        match[1]
        for line in body
        if (match := _ALIAS.fullmatch(line)) and uses[match[1]] == 2 and match[1] not in ports and match[1] not in keep
    }
    lines: list[str] = []
    pending: list[str] = []
    for line in body:
        if line.startswith("  attribute "):
            pending.append(line)
            continue
        match = _WIRE.fullmatch(line) or _ALIAS.fullmatch(line)
        name = match and (match[2] if line.startswith("  wire") else match[1])
        if name not in aliases:
            lines += [*pending, line]
        pending = []
    return lines


def _rename_ports(module: _Module) -> None:
    """Count the nameless ports in order of their use, those that nothing uses last."""
    for line in sorted(module.body, key=lambda line: _WIRE.fullmatch(line) is not None):
        for name in _IDENTIFIER.findall(line):
            if _NAMELESS_PORT.fullmatch(name) and name not in module.port_names:
                module.port_names[name] = f"\\port_{len(module.port_names)}"
    if module.port_names:
        names = module.port_names
        module.body = [_IDENTIFIER.sub(lambda m: names.get(m[0], m[0]), line) for line in module.body]


def _claim_names(module: _Module, names: Collection[str]) -> None:
    """Give ports the names to keep, where a net inside has taken them and the port got a number."""
    ports = {match[2] for line in module.body if (match := _WIRE.fullmatch(line)) and match[1]}
    swapped = {}
    for port in ports:
        base, _, number = port.rpartition("$")
        if number.isdecimal() and base in names and base not in ports:
            swapped |= {port: base, base: port}
    if swapped:
        module.port_names |= swapped
        body = []
        for line in module.body:
            # What an instance calls its port stays.
            match = _CELL_PORT.match(line)
            start = match.end() if match else 0
            body.append(line[:start] + _IDENTIFIER.sub(lambda m: swapped.get(m[0], m[0]), line[start:]))
        module.body = body


def _reconnect(body: list[str], modules: dict[str, _Module], stands_for: dict[str, str]) -> list[str]:
    """Let instances refer to the module that stands for their own, and to its ports by their new names."""
    lines = []
    names: dict[str, str] = {}
    for line in body:
        # What is no module of the design is a primitive of the fabric.
        if (match := _CELL.fullmatch(line)) and match[1] in modules:
            names = modules[match[1]].port_names
            line = f"  cell \\{stands_for[match[1]]} {match[2]}"
        elif line == "  end":
            names = {}
        elif names and (match := _CELL_PORT.match(line)) and match[1] in names:
            line = f"    connect {names[match[1]]} {line[match.end() :]}"
        lines.append(line)
    return lines


def _order_wires(body: list[str]) -> list[str]:
    """Declare the wires first, by name, and number the ports from 1: the leading ones, then the others by name."""
    wires: dict[str, list[str]] = {}
    ports: dict[str, int] = {}
    rest: list[str] = []
    pending: list[str] = []
    for line in body:
        match = _WIRE.fullmatch(line)
        if line.startswith("  attribute "):
            pending.append(line)
            continue
        if match:
            wires[match[2]] = [*pending, line]
            if match[1]:
                ports[match[2]] = 0
        else:
            rest += [*pending, line]
        pending = []
    for index, port in enumerate(sorted(ports, key=lambda port: (port not in _LEADING_PORTS, port)), start=1):
        *attributes, line = wires[port]
        wires[port] = [*attributes, _PORT_NUMBER.sub(lambda m, index=index: f"{m[1]}{index}", line)]
    return [line for name in sorted(wires) for line in wires[name]] + rest
