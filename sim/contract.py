"""The stream contract as one specification for every component, and its proof with a model checker.

For each output stream: an offer is not taken back (`<stream>_valid_kept`), its payload stays until it is taken
(`<stream>_payload_kept`), and an offer comes within a bound of cycles of cooperation, whether the component is being
asked (`ready`) or not (`<stream>_offers`): so `valid` neither waits for `ready` nor for ever. For each input stream: an
offer is taken within a bound of cycles of cooperation (`<stream>_takes`). A cycle of cooperation is one in which every
other input offers, every other output is taken, and `Environment.helps` says so. The reset may come in any cycle.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring

from signfold.sim.formal import check, combinational_sources, specification_text

__all__ = ["METHODS", "Proof", "StreamContract", "bounded_packets", "prove", "streams"]

#: How progress is shown: for every number of cycles, or for the first `depth` cycles after reset.
METHODS = ("induction", "bounded")

HALVES = ("hold", "progress")

#: Adds assumptions on a component's inputs to a module; may return a value that is 1 in cycles that count as
#: cooperation.
Environment = Callable[[Module, wiring.Component], Value | None]


def streams(component: wiring.Component) -> dict[str, tuple[object, bool]]:
    """Return the stream members of a component: name -> (interface, whether it is an output).

    Raises
    ------
    TypeError
        If a stream stands in an array or in another interface.
    """
    found = {}
    for name, member in component.signature.members.items():
        if member.is_port or not isinstance(member.signature, stream.Signature):
            continue
        if member.dimensions:
            raise TypeError(f"stream {name!r} of {type(component).__name__} must stand alone, not in an array")
        found[name] = (getattr(component, name), member.flow is wiring.Out)
    return found


def bounded_packets(m: Module, interface: object, longest: int) -> None:
    """Assume that every packet on an input stream ends (`last`) with beat `longest` at the latest."""
    beat = Signal(range(longest))
    with m.If(interface.valid & interface.ready):
        m.d.sync += beat.eq(beat + 1)
        with m.If(interface.payload.last):
            m.d.sync += beat.eq(0)
    with m.If(interface.valid & (beat == longest - 1)):
        m.d.comb += Assume(interface.payload.last)


class StreamContract(Elaboratable):
    """A component, its assumed environment, and one half of the contract's properties.

    In halves because offers that stand are mostly a matter of registers, which induction proves in a few steps, data
    included, while progress may need to start from reset and many cycles, but no data.

    Parameters
    ----------
    component : wiring.Component
        Component with any number of stream members in domain `sync`.
    offers : mapping of str to int or None
        Output stream -> cycles of cooperation until it offers; None where that cannot be promised.
    takes : mapping of str to int or None
        Input stream -> cycles of cooperation until it takes an offer; None where that cannot be promised.
    half : str
        `hold` claims that offers stand; `progress` claims that offers come and are taken, and covers transfers.
    environment : callable, optional
        Further assumptions, see `Environment`.

    Raises
    ------
    ValueError
        If a stream is left out of `offers` or `takes`, or one is named that does not exist.
    """

    def __init__(
        self, component, *, offers: Mapping, takes: Mapping, half: str, environment: Environment | None = None
    ):
        self.component = component
        self.streams = streams(component)
        self.offers, self.takes, self.half, self.environment = dict(offers), dict(takes), half, environment
        outputs = {name for name, (_, is_output) in self.streams.items() if is_output}
        for role, given, expected in (
            ("offers", set(offers), outputs),
            ("takes", set(takes), set(self.streams) - outputs),
        ):
            if given != expected:
                raise ValueError(f"{role} must name the streams {sorted(expected)}, not {sorted(given)}")

    @property
    def ports(self) -> list[Value]:
        """What the environment chooses: inputs of the component's streams and its plain inputs."""
        free = []
        for name, member in self.component.signature.members.items():
            interface = getattr(self.component, name)
            if name in self.streams:
                free += [interface.ready] if self.streams[name][1] else [interface.valid, interface.payload]
            elif member.is_port and member.flow is wiring.In:
                free.append(interface)
        return [Value.cast(value) for value in free if isinstance(Value.cast(value), Signal)]

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = self.component
        helps = None if self.environment is None else self.environment(m, self.component)
        for name, (interface, is_output) in self.streams.items():
            if not is_output:
                self._elaborate_hold(m, name, interface, Assume)
            elif self.half == "hold":
                self._elaborate_hold(m, name, interface, Assert)
            if self.half == "progress":
                self._elaborate_transfers(m, name, interface, is_output)
                self._elaborate_progress(m, name, interface, is_output, 1 if helps is None else helps)
        return m

    def _elaborate_hold(self, m, name, interface, claim):
        """Claim of outputs, and assume of inputs, that offers stand until they are taken."""
        payload = Value.cast(interface.payload)
        waiting = Signal(name=f"{name}_waiting")
        held = Signal(payload.shape(), name=f"{name}_held")
        m.d.sync += [waiting.eq(interface.valid & ~interface.ready), held.eq(payload)]
        m.d.comb += [
            claim(~waiting | interface.valid, f"{name}_valid_kept"),
            claim(~waiting | (payload == held), f"{name}_payload_kept"),
        ]

    def _elaborate_transfers(self, m, name, interface, is_output):
        """Cover two transfers and, at outputs, one that had to wait."""
        transfers = Signal(2, name=f"{name}_transfers")
        waited = Signal(name=f"{name}_waited")
        transfer = interface.valid & interface.ready
        m.d.sync += [transfers.eq(transfers + (transfer & (transfers != 3))), waited.eq(interface.valid & ~transfer)]
        m.d.comb += Cover(transfers == 2, f"{name}_transfers_twice")
        if is_output:
            m.d.comb += Cover(waited & transfer, f"{name}_transfers_after_waiting")

    def _elaborate_progress(self, m, name, interface, is_output, helps):
        """Claim that the stream is not stuck for longer than its bound while everything else cooperates."""
        bound = (self.offers if is_output else self.takes)[name]
        if bound is None:
            return
        cooperation = Signal(name=f"{name}_cooperation")
        others = helps
        for other, (peer, peer_is_output) in self.streams.items():
            if other != name:
                others &= peer.ready if peer_is_output else peer.valid
        m.d.comb += cooperation.eq(others)
        stuck = ~interface.valid if is_output else interface.valid & ~interface.ready
        # Cycles before this one, at most `bound`.
        cycles = Signal(range(bound + 1), name=f"{name}_stuck_cycles")
        lasting = Signal(range(bound + 1), name=f"{name}_cooperation_cycles")
        m.d.sync += [
            cycles.eq(Mux(stuck & cooperation, cycles + (cycles != bound), 0)),
            lasting.eq(Mux(cooperation, lasting + (lasting != bound), 0)),
        ]
        m.d.comb += [
            Assert(~(stuck & cooperation & (cycles == bound)), f"{name}_{'offers' if is_output else 'takes'}"),
            Cover(lasting == bound, f"{name}_meets_cooperation"),
        ]


@dataclass(frozen=True)
class Proof:
    """Outcome of `prove`.

    Attributes
    ----------
    status : str
        `proved`, for every number of cycles; `bounded`, where a half is shown for the first cycles after reset only;
        `refuted`; or `unknown`.
    depth : int
        Length of the induction of progress, or cycles that it was checked for.
    failed : tuple of str
        Names of the properties that do not hold, such as `o_payload_kept`.
    trace : pathlib.Path or None
        Waveform of a counterexample.
    seconds : float
        Time taken.
    """

    status: str
    depth: int
    failed: tuple[str, ...]
    trace: Path | None
    seconds: float


def prove(
    component: wiring.Component,
    *,
    offers: Mapping[str, int | None],
    takes: Mapping[str, int | None],
    folder: Path,
    environment: Environment | None = None,
    method: str = "induction",
    depth: int = 20,
    hold_method: str = "induction",
    hold_depth: int = 4,
    cover_depth: int | None = None,
    timeout: int = 300,
) -> Proof:
    """Prove the stream contract of a component.

    Beside the properties of `StreamContract` this shows that no combinational path leads from a `ready` to a `valid`
    (`<stream>_ready_reaches_a_valid`), and that the properties are not empty: within `cover_depth` cycles each stream
    can transfer twice, an output after waiting, and cooperation can last (`<stream>_transfers_…`,
    `<stream>_meets_cooperation`).

    Parameters
    ----------
    component : wiring.Component
        Component to prove.
    offers, takes, environment
        See `StreamContract`.
    folder : pathlib.Path
        Where logs and waveforms go.
    method, hold_method : str
        How progress is shown, and that offers stand: one of `METHODS`.
    depth, hold_depth : int
        Length of the induction, or cycles to check.
    cover_depth : int, optional
        Cycles within which the streams must be able to transfer; `depth` if not given. 0 leaves this part out, for
        components whose first transfer is too far away; their properties may then be empty.
    timeout : int
        Seconds for each run of the model checker.

    Returns
    -------
    Proof
        Outcome.

    Raises
    ------
    ToolError
        If a tool is missing or fails: neither a proof nor a refutation.
    """
    for name, given in (("method", method), ("hold_method", hold_method)):
        if given not in METHODS:
            raise ValueError(f"{name} must be one of {METHODS}, not {given!r}")
    modes = {"induction": "prove", "bounded": "bmc"}
    begin = time.monotonic()

    def proof(status, failed=(), trace=None):
        return Proof(status, depth, tuple(failed), trace, time.monotonic() - begin)

    text = {}
    for half in HALVES:
        contract = StreamContract(component, offers=offers, takes=takes, half=half, environment=environment)
        text[half] = specification_text(contract, contract.ports)
    reached = _ready_paths(component, contract.streams, folder / "paths")
    if reached:
        return proof("refuted", reached)
    runs = []
    if offers:
        runs.append(("hold", modes[hold_method], hold_depth))
    if any(bound is not None for bound in (*offers.values(), *takes.values())):
        runs.append(("progress", modes[method], depth))
    if cover_depth != 0:
        runs.append(("progress", "cover", cover_depth or depth))
    unknown = False
    for half, mode, length in runs:
        verdict = check(text[half], mode=mode, depth=length, folder=folder / f"{half}_{mode}", timeout=timeout)
        if verdict.status == "fail":
            return proof("refuted", verdict.failed, verdict.trace)
        unknown |= verdict.status == "unknown"
    bounded = any(mode == "bmc" for _, mode, _ in runs)
    return proof("unknown" if unknown else "bounded" if bounded else "proved")


def _ready_paths(component, members, folder) -> list[str]:
    """Return the failed properties `<stream>_ready_reaches_a_valid`."""
    outputs = [name for name, (interface, is_output) in members.items() if is_output]
    signals = {name: (members[name][0].valid, members[name][0].ready) for name in outputs}
    plain = [name for name, pair in signals.items() if all(isinstance(Value.cast(value), Signal) for value in pair)]
    text = rtlil.convert(component, platform="formal")
    sources = combinational_sources(
        text, "top", [f"{name}__valid" for name in plain], [f"{name}__ready" for name in plain], folder
    )
    return [f"{name.removesuffix('__ready')}_ready_reaches_a_valid" for name in sources]
