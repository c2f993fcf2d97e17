"""Module library: a component that occurs many times is converted once and instantiated by name."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Elaboratable, Instance, ResetSignal, Value
from amaranth.lib.wiring import In

__all__ = ["ModuleLibrary", "shared"]

_PORT = re.compile(r"  wire width \d+ (?:input|output) \d+ +\\(\S+)")


def shared(elaborate: Callable[[Any, Any], Elaboratable]) -> Callable[[Any, Any], Elaboratable]:
    """Decorate the `elaborate` of a component that often occurs: where a design is converted, it becomes an instance.

    Amaranth elaborates every instance of a component and writes one module for each, which takes most of the time of
    converting a large array. With a `ModuleLibrary` as platform, a component decorated so is converted the first time
    that one of its class and parameters comes up, and is an instance of that module whenever one does. With any other
    platform, in the simulator above all, `elaborate` is called as ever: both ways it describes what the module does,
    for the module is a function of the component's `parameters` alone, and tests compare the text of designs that are
    converted with and without sharing.

    The component holds its parameters, an object that can be hashed, as `parameters`, has clock domain `sync` or none,
    and contains no ROM whose contents may be replaced.
    """

    @wraps(elaborate)
    def elaborate_once(self, platform):
        if (place := getattr(platform, "place", None)) is not None:
            return place(self, elaborate)
        return elaborate(self, platform)

    return elaborate_once


class ModuleLibrary:
    """The platform of conversions: the modules that the instances of a design share.

    Parameters
    ----------
    top : str
        Prefix of the modules' names.
    reuse : bool
        Convert each distinct component once. Otherwise each instance gets a module of its own, which takes as long as
        it sounds and must not change the design: `signfold.hw.canonical` merges them.
    """

    def __init__(self, top: str, *, reuse: bool = True):
        self._top, self._reuse = top, reuse
        self._names: dict[tuple[type, Any], str] = {}
        self._ports: dict[tuple[type, Any], list[str]] = {}
        self._texts: list[str] = []
        self._open: Elaboratable | None = None

    def convert(self, component: Elaboratable) -> str:
        """Return a design as RTLIL: the component called `top`, and every module after those that instantiate it."""
        self._names, self._ports, self._texts = {}, {}, []
        self._convert(component, self._top)
        return "\n".join(reversed(self._texts))

    @property
    def modules(self) -> dict[str, Any]:
        """Parameters of each shared module by its name."""
        return {name: parameters for (_, parameters), name in self._names.items()}

    def place(
        self, component: Any, elaborate: Callable[[Any, Any], Elaboratable], restart: Value | None = None
    ) -> Elaboratable:
        """Return what stands for a component in the design that contains it: an instance of its module.

        With `restart`, that resets the module too.
        """
        if component is self._open:
            return elaborate(component, self)
        key = type(component), component.parameters
        name = self._name(key)
        if key not in self._ports or not self._reuse:
            if key in self._ports:
                name += f"_{len(self._texts)}"
            self._ports[key] = self._convert(type(component)(component.parameters), name)
        ports: list[tuple[str, str, Value]] = []
        for path, member, value in component.signature.flatten(component):
            ports.append(("i" if member.flow is In else "o", "__".join(map(str, path)), Value.cast(value)))
        reset = ResetSignal() if restart is None else ResetSignal() | restart
        ports += [("i", "clk", ClockSignal()), ("i", "rst", reset)]
        # Modules without registers have no clock.
        return Instance(name, *(port for port in ports if port[1] in self._ports[key]))

    def _name(self, key: tuple[type, Any]) -> str:
        """Return the name of a module: that of its class, with a number where parameters differ."""
        if key not in self._names:
            kind = key[0].__name__.lower()
            count = sum(name.rpartition("__")[2].rstrip("0123456789") == f"{kind}_" for name in self._names.values())
            self._names[key] = f"{self._top}__{kind}_{count}"
        return self._names[key]

    def _convert(self, component: Elaboratable, name: str) -> list[str]:
        """Add a module, after those inside it, and return its ports."""
        outer, self._open = self._open, component
        try:
            text = rtlil.convert(component, name=name, platform=self, emit_src=False)
        finally:
            self._open = outer
        _, _, body = text.partition(f"module \\{name}\n")
        ports = [match[1] for line in body[: body.index("\nend\n")].splitlines() if (match := _PORT.fullmatch(line))]
        if outer is not None:
            text = text.replace("attribute \\top 1\n", "", 1)
        self._texts.append(text)
        return ports
