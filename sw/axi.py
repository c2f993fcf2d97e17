"""The AXI wrapper of a generated accelerator: its Verilog, and what programs on the other side have to know."""

from typing import Any

from amaranth.lib.wiring import In

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.axi_control import REGISTERS
from signfold.hw.axi_top import AxiAcceleratorParameters
from signfold.hw.verilog import convert
from signfold.sw.errors import PlanError
from signfold.sw.network import Network

__all__ = ["AXI_TOP", "AXI_VERILOG", "axi_description", "axi_parameters", "axi_verilog"]

#: Top module of the wrapper, which instantiates the accelerator's.
AXI_TOP = "accelerator_axi"
AXI_VERILOG = f"{AXI_TOP}.v"


def axi_parameters(network: Network, config: AcceleratorConfig, *, design: str) -> AxiAcceleratorParameters:
    """Return the wrapper of an accelerator.

    Parameters
    ----------
    network : Network
        What the accelerator computes.
    config : AcceleratorConfig
        What it was lowered to.
    design : str
        The accelerator's module.

    Raises
    ------
    PlanError
        If the accelerator does not fit the registers of the wrapper.
    """
    try:
        return AxiAcceleratorParameters(config, bytes.fromhex(network.content_hash), design)
    except ValueError as error:
        raise PlanError(f"the AXI wrapper cannot carry this network: {error}") from None


def axi_verilog(network: Network, parameters: AxiAcceleratorParameters) -> str:
    """Return the wrapper's text; the same inputs give the same text."""
    header = ["", f"Network {network.content_hash}, module {parameters.design} behind AXI4-Stream and AXI4-Lite"]
    return convert(parameters.create(), name=AXI_TOP, header=header)


def axi_description(parameters: AxiAcceleratorParameters) -> dict[str, Any]:
    """Return what the sidecar tells of a wrapper: ports, layouts of TDATA, registers and what they hold at rest."""
    p, frames, results = parameters, parameters.frames, parameters.results
    idle = p.control.compute(idle=True, frames=0, results=0, short=0, long=0)
    codes = [
        {"name": f"codes[{lane}]", "lsb": lane * p.frames.bits, "width": p.frames.bits}
        for lane in range(p.frames.lanes)
    ]
    streams: dict[str, Any] = {
        "s_axis": {"bytes": frames.size, "beats": frames.beats, "fields": codes},
        "m_axis": {
            "bytes": results.size,
            "beats": results.classes,
            "fields": [
                {"name": "score", "lsb": 0, "width": results.field, "signed": True},
                {"name": "best", "lsb": results.field, "width": results.field},
            ],
        },
    }
    if p.weights is not None:
        fields = [{"name": "byte", "lsb": 0, "width": 8}]
        streams["s_axis_weights"] = {"bytes": 1, "beats": p.weights.beats, "fields": fields}
    return {
        "top": AXI_TOP,
        "file": AXI_VERILOG,
        "latency": p.latency,
        "ports": [
            {"name": name, "direction": "input" if member.flow is In else "output", "width": member.shape}
            for name, member in p.members.items()
        ],
        "streams": streams,
        "registers": [
            {"name": name, "address": 4 * k, "reset": value, "meaning": meaning}
            for k, ((name, meaning), value) in enumerate(zip(REGISTERS, idle, strict=True))
        ],
    }
