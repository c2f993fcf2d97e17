"""Walk: nested loops that count through several programs, and values that move with them by constant steps."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.lookup import lookup

__all__ = ["Program", "Walk", "WalkParameters"]

#: What a level adds to a value: so much an iteration, or a table with an entry an iteration.
Stride = int | tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """One set of nested loops.

    Parameters
    ----------
    counts : tuple of int
        Iterations of each level, the innermost first.
    starts : tuple of int
        Each value at the beginning.
    strides : tuple of tuple
        For each value its strides, one a level: value = start + sum of stride * iteration. A tuple in the place of a
        stride is a table of what is added in each iteration.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    counts: tuple[int, ...]
    starts: tuple[int, ...] = ()
    strides: tuple[tuple[Stride, ...], ...] = ()

    def __post_init__(self):
        for count in self.counts:
            check_integer("iterations of a level", count, minimum=1)
        if len(self.starts) != len(self.strides):
            raise ValueError(f"starts must be {len(self.strides)}, as many as strides, not {len(self.starts)}")
        for strides in self.strides:
            if len(strides) != len(self.counts):
                raise ValueError(f"strides must be {len(self.counts)}, one a level, not {len(strides)}")
            for stride, count in zip(strides, self.counts, strict=True):
                if isinstance(stride, tuple) and len(stride) != count:
                    raise ValueError(f"a table of strides must hold {count} entries, not {len(stride)}")

    @property
    def steps(self) -> int:
        """Steps of the whole program."""
        return prod(self.counts)

    def contribution(self, value: int, level: int, iteration: int) -> int:
        """Return what a level adds to a value in an iteration."""
        stride = self.strides[value][level]
        return stride[iteration] if isinstance(stride, tuple) else stride * iteration

    def places(self) -> Iterator[tuple[int, ...]]:
        """Yield the iteration of each level, step by step."""
        for step in range(self.steps):
            place = []
            for count in self.counts:
                place.append(step % count)
                step //= count
            yield tuple(place)

    def at(self, value: int, place: tuple[int, ...]) -> int:
        """Return a value at a place."""
        terms = (self.contribution(value, level, iteration) for level, iteration in enumerate(place))
        return self.starts[value] + sum(terms)


@dataclass(frozen=True)
class WalkParameters:
    """Programs that follow one another, again and again.

    Parameters
    ----------
    programs : tuple of Program
        All with the same number of levels and values.
    widths : tuple of int
        Bits of each value; values are kept modulo 2**width, and never more than that apart.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    programs: tuple[Program, ...]
    widths: tuple[int, ...] = ()

    def __post_init__(self):
        if not self.programs:
            raise ValueError("programs must hold at least one program")
        sizes = {(len(program.counts), len(program.starts)) for program in self.programs}
        if len(sizes) > 1 or next(iter(sizes))[1] != len(self.widths):
            raise ValueError(f"programs must have the same levels, and values as many as widths, {len(self.widths)}")
        for width in self.widths:
            check_integer("width of a value", width, minimum=1)

    @property
    def levels(self) -> int:
        """Levels of each program."""
        return len(self.programs[0].counts)

    @cached_property
    def most(self) -> tuple[int, ...]:
        """Most iterations of each level."""
        return tuple(max(counts) for counts in zip(*(program.counts for program in self.programs), strict=True))

    def delta(self, number: int, value: int, level: int, iteration: int) -> int:
        """Return what a value grows by, modulo 2**width, when a level goes on from an iteration and those inside end.

        Level `levels` is the end of the program.
        """
        program = self.programs[number]
        back = sum(program.contribution(value, inner, program.counts[inner] - 1) for inner in range(level))
        back -= sum(program.contribution(value, inner, 0) for inner in range(level))
        if level == self.levels:
            following = self.programs[(number + 1) % len(self.programs)]
            ahead = following.at(value, (0,) * self.levels) - program.at(value, (0,) * self.levels)
        else:
            iteration = min(iteration, max(0, program.counts[level] - 2))
            ahead = 0
            if program.counts[level] > 1:
                ahead = program.contribution(value, level, iteration + 1) - program.contribution(
                    value, level, iteration
                )
        return (ahead - back) % (1 << self.widths[value])

    def compute(self) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
        """Return program, iteration of each level, and values, for every step of all programs."""
        return [
            (
                number,
                place,
                tuple(program.at(value, place) % (1 << width) for value, width in enumerate(self.widths)),
            )
            for number, program in enumerate(self.programs)
            for place in program.places()
        ]

    def create(self) -> "Walk":
        """Return the gateware."""
        return Walk(self)


class Walk(wiring.Component):
    """Count through programs. Outputs belong to the step that is taken next; no latency.

    Each value is one adder: what it grows by is a constant of the program and of the level that goes on.

    Parameters
    ----------
    parameters : WalkParameters
        Programs.

    Members
    -------
    step : In(1)
        Go on.
    program : Out
        Number of the program.
    iteration_0 .. : Out
        Iteration of each level.
    ends : Out(levels)
        Bit l: levels 0 to l are all in their last iteration.
    next_program : Out
        Number of the program in the next cycle.
    value_0 .. : Out(widths)
        Each value.
    following_0 .. : Out(widths)
        Each value in the next cycle.
    """

    def __init__(self, parameters: WalkParameters):
        self.parameters = p = parameters
        members = {"step": In(1), "program": Out(range(len(p.programs))), "ends": Out(p.levels)}
        members["next_program"] = Out(range(len(p.programs)))
        members |= {f"iteration_{level}": Out(range(most)) for level, most in enumerate(p.most)}
        for n, width in enumerate(p.widths):
            first = p.programs[0].at(n, (0,) * p.levels) % (1 << width)
            members |= {f"value_{n}": Out(width, init=first), f"following_{n}": Out(width, init=first)}
        super().__init__(members)

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        ended = 1
        for level, most in enumerate(p.most):
            count = getattr(self, f"iteration_{level}")
            here, wraps = Signal(name=f"end_{level}"), Signal(name=f"wraps_{level}")
            last = lookup(m, self.program, [program.counts[level] - 1 for program in p.programs], f"last_{level}")
            m.d.comb += [here.eq(count == last), wraps.eq(ended & here), self.ends[level].eq(wraps)]
            if most > 1:
                with m.If(self.step & ended):
                    m.d.sync += count.eq(Mux(here, 0, count + 1))
            ended = wraps
        if len(p.programs) > 1:
            m.d.comb += self.next_program.eq(self.program)
            with m.If(self.step & ended):
                m.d.comb += self.next_program.eq(Mux(self.program == len(p.programs) - 1, 0, self.program + 1))
            m.d.sync += self.program.eq(self.next_program)
        for n in range(len(p.widths)):
            self._place_value(m, n)
        return m

    def _place_value(self, m, n):
        """Place a value's register, its adder and the tables of what it grows by."""
        p = self.parameters
        value, following = getattr(self, f"value_{n}"), getattr(self, f"following_{n}")
        grows = Signal(p.widths[n], name=f"grows_{n}")
        tables = {level: self._grows(m, n, level) for level, most in enumerate(p.most) if most > 1}
        end = lookup(m, self.program, [p.delta(k, n, p.levels, 0) for k in range(len(p.programs))], f"grows_{n}_end")
        m.d.comb += grows.eq(end)
        # The innermost level that goes on, looked for from the outermost inwards: later assignments win.
        for level, table in reversed(tables.items()):
            with m.If(~self.ends[level]):
                m.d.comb += grows.eq(table)
        m.d.comb += following.eq(Mux(self.step, value + grows, value))
        m.d.sync += value.eq(following)

    def _grows(self, m, n, level):
        """Return what a value grows by when a level goes on: a constant of the program, or of the iteration too."""
        p = self.parameters
        numbers = range(len(p.programs))
        if not any(isinstance(program.strides[n][level], tuple) for program in p.programs):
            return lookup(m, self.program, [p.delta(k, n, level, 0) for k in numbers], f"grows_{n}_{level}")
        found = Signal(p.widths[n], name=f"grows_{n}_{level}")
        with m.Switch(self.program):
            for k in numbers:
                with m.Case(k):
                    table = [p.delta(k, n, level, i) for i in range(p.programs[k].counts[level])]
                    m.d.comb += found.eq(
                        lookup(m, getattr(self, f"iteration_{level}"), table, f"grows_{n}_{level}_{k}")
                    )
        return found
