"""The design of a board, as Verilog: what is simulated with a serial line is what is put on an FPGA."""

from dataclasses import dataclass

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.hosted import HostedAcceleratorParameters
from signfold.hw.verilog import convert
from signfold.sw.errors import PlanError
from signfold.sw.layers import network_layers
from signfold.sw.lower import lower
from signfold.sw.network import Network
from signfold.sw.plan import Plan
from signfold.sw.reload import check_reloadable, named_design, plan_hash

__all__ = ["TOP", "HostedDesign", "generate_hosted", "identity", "reloadable_parameters"]

#: Top module; ports clk, rst, rx, tx.
TOP = "hosted"


@dataclass(frozen=True)
class HostedDesign:
    """Accelerator with a host link.

    Parameters
    ----------
    parameters : HostedAcceleratorParameters
        What it is made of.
    verilog : str
        Its text; the top module is `TOP`.
    """

    parameters: HostedAcceleratorParameters
    verilog: str


def identity(network: Network) -> bytes:
    """Return the bytes by which a device names its network: the first 16 of the content hash."""
    return bytes.fromhex(network.content_hash)[:16]


def generate_hosted(
    network: Network, plan: Plan, divisor: int, *, patchable: str | None = None, reloadable: bool = False
) -> HostedDesign:
    """Convert an accelerator with a host link to Verilog; the same inputs give the same text.

    Parameters
    ----------
    network : Network
        What the accelerator computes.
    plan : Plan
        Arrays, one a layer.
    divisor : int
        Clock cycles a bit of the serial line.
    patchable : str or None
        Family of FPGAs, "ice40" or "ecp5", in whose block RAMs every table goes, also what the device tells of itself:
        nothing but their contents depends on the network then, unless `signfold.sw.structure` says so.
    reloadable : bool
        Let the host replace every table while the device runs; without `patchable`.

    Raises
    ------
    PlanError
        If the plan does not fit the network, the network does not fit the protocol of the link, or `reloadable` is
        asked of weights that no image replaces.
    """
    if reloadable:
        parameters = reloadable_parameters(network, plan, divisor)
    else:
        parameters = _parameters(network, lower(network, plan), divisor, table=patchable is not None)
    return HostedDesign(parameters, _text(network, parameters, patchable))


def reloadable_parameters(network: Network, plan: Plan, divisor: int) -> HostedAcceleratorParameters:
    """Return what a device is made of whose network can be replaced while it runs, its image among it.

    Raises
    ------
    PlanError
        As `generate_hosted` does.
    """
    network_layers(network).check_chain("--reloadable")
    check_reloadable(plan)
    config, plan_bytes = lower(network, plan), plan_hash(plan)
    return named_design(
        lambda build: _parameters(network, config, divisor, table=True, hashes=(plan_bytes, build)),
        lambda parameters: _text(network, parameters, None),
        lambda parameters: parameters.roms,
    )


def _parameters(
    network: Network,
    config: AcceleratorConfig,
    divisor: int,
    *,
    table: bool,
    hashes: tuple[bytes, bytes] | None = None,
) -> HostedAcceleratorParameters:
    try:
        return HostedAcceleratorParameters(config, identity(network), divisor, table=table, hashes=hashes)
    except ValueError as error:
        raise PlanError(f"the serial link cannot carry this network: {error}") from None


def _text(network: Network, parameters: HostedAcceleratorParameters, patchable: str | None) -> str:
    header = ["", f"Network {network.content_hash}, served over a serial line of {parameters.divisor} cycles a bit"]
    banked = parameters.hashes is not None
    return convert(parameters.create(), name=TOP, roms=parameters.roms, header=header, blocks=patchable, banked=banked)
