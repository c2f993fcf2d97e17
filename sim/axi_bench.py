"""cocotb bench of an AXI wrapper: cocotbext-axi drives and takes, under random pauses of every channel.

Run by `signfold.sim.runner` inside the simulator; the job is found through the environment variable `SIGNFOLD_JOB`.
"""

import os
import random
from itertools import count
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, SimTimeoutError, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from signfold.hw.axi_control import ADDRESSES
from signfold.sim.axi_job import AxiJob, AxiResult
from signfold.sim.bench import JOB_VARIABLE
from signfold.sim.stalls import stalls

__all__ = ["axi"]

_PERIOD = 10
_RESET_CYCLES = 4
#: Channels that the wrapper offers on: what stands there must stay until it is taken.
_OFFERS = {
    "m_axis": ("m_axis_tvalid", "m_axis_tready", ("m_axis_tdata", "m_axis_tlast")),
    "r": ("s_axi_rvalid", "s_axi_rready", ("s_axi_rdata", "s_axi_rresp")),
    "b": ("s_axi_bvalid", "s_axi_bready", ("s_axi_bresp",)),
}


@cocotb.test()
async def axi(dut: Any) -> None:
    """Do the steps of the job and write down what came out; whether that is right is for the caller to say."""
    folder = Path(os.environ[JOB_VARIABLE])
    bench = _Bench(dut, AxiJob.load(folder))
    try:
        await bench.run()
    finally:
        bench.result.save(folder)


class _Bench:
    def __init__(self, dut: Any, job: AxiJob):
        self.dut, self.job, self.result = dut, job, AxiResult()
        #: Cycle, TDATA and TLAST of every transfer.
        self.moved: dict[str, list[list[int]]] = {"s_axis": [], "m_axis": []}

    async def run(self) -> None:
        """Reset, and do all steps."""
        dut, job = self.dut, self.job
        dut.aresetn.value = 0
        Clock(dut.aclk, _PERIOD, "ns").start()
        ends = (dut.aclk, dut.aresetn)
        # One word a beat, however many bytes it has.
        options = {"reset_active_level": False, "byte_lanes": 1}
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), *ends, **options)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), *ends, **options)
        self.bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), *ends, reset_active_level=False)
        driven = [self.source, self.bus.read_if.ar_channel, self.bus.write_if.aw_channel, self.bus.write_if.w_channel]
        taken = [self.sink, self.bus.read_if.r_channel, self.bus.write_if.b_channel]
        if job.weights:
            weights = AxiStreamBus.from_prefix(dut, "s_axis_weights")
            self.weights = AxiStreamSource(weights, *ends, **options)
            driven.append(self.weights)
        self.channels = ((job.stall_in, driven), (job.stall_out, taken))
        self._pace()
        for _ in range(_RESET_CYCLES):
            await RisingEdge(dut.aclk)
        dut.aresetn.value = 1
        await RisingEdge(dut.aclk)
        watches = [cocotb.start_soon(self._watch(name, *signals)) for name, signals in _OFFERS.items()]
        watches += [cocotb.start_soon(self._collect(name, beats)) for name, beats in self.moved.items()]
        for number, step in enumerate(job.steps):
            do = getattr(self, f"_{step['do']}")
            arguments = {name: value for name, value in step.items() if name != "do"}
            try:
                answer = await with_timeout(do(**arguments), job.limit * _PERIOD, "ns")
            except SimTimeoutError:
                self.result.failure = self.result.failure or f"step {number}, {step['do']}, took {job.limit} cycles"
            if self.result.failure:
                break
            self.result.answers.append(answer)
        for watch in watches:
            watch.cancel()

    async def _watch(self, name: str, valid: str, ready: str, payload: tuple[str, ...]) -> None:
        """Note an offer that is taken back or changes."""
        dut, held = self.dut, None
        while True:
            await RisingEdge(dut.aclk)
            offer = [str(getattr(dut, signal).value) for signal in payload] if dut[valid].value == 1 else None
            if held is not None and offer != held:
                self.result.failure = f"{name}: {held} was not taken and became {offer}"
                return
            held = None if dut[ready].value == 1 else offer

    def _pace(self) -> None:
        """Let every channel pause at random."""
        # Without pauses the generators would still cost an event a cycle.
        for stall, channels in self.channels:
            for number, channel in enumerate(channels if stall else ()):
                channel.set_pause_generator(stalls(stall, random.Random(f"{self.job.seed}/{stall}/{number}")))

    async def _stream(self, packets: list[list[int]], expected: int) -> dict[str, Any]:
        self._forget()
        for packet in packets:
            await self.source.send(AxiStreamFrame(packet))
        taken = [await self.sink.recv() for _ in range(expected)]
        await self.source.wait()
        cycles = {name: [cycle for cycle, *_ in beats] for name, beats in self.moved.items()}
        return {"packets": [[int(word) for word in frame.tdata] for frame in taken], "cycles": cycles}

    def _forget(self) -> None:
        for beats in self.moved.values():
            beats.clear()

    async def _cut(self, packet: list[int], at: int, taken: int) -> dict[str, Any]:
        """Stop source and sink where the reset is to come: no packet is whole for either of them."""
        source, sink = self.source, self.sink
        self._forget()
        await source.send(AxiStreamFrame(packet))
        while len(self.moved["s_axis"]) < at or len(self.moved["m_axis"]) < taken:
            await RisingEdge(self.dut.aclk)
        for end in (source, sink):
            end.clear_pause_generator()
            end.pause = True
        await self.bus.write(ADDRESSES["CONTROL"], b"\1\0\0\0")
        for end in (source, sink):
            end.pause = False
        self._pace()
        await source.wait()
        while not (await self.bus.read_dword(ADDRESSES["STATUS"])) & 1:
            pass
        while not sink.empty():
            sink.recv_nowait()
        return {"beats": [beat for _, *beat in self.moved["m_axis"]]}

    async def _collect(self, name: str, beats: list[list[int]]) -> None:
        """Write down cycle, TDATA and TLAST of every transfer of a stream."""
        dut = self.dut
        signals = [dut[f"{name}_{signal}"] for signal in ("tvalid", "tready", "tdata", "tlast")]
        for cycle in count():
            await RisingEdge(dut.aclk)
            valid, ready, data, last = (signal.value for signal in signals)
            if valid == 1 and ready == 1:
                beats.append([cycle, int(data), int(last)])

    async def _load(self, packets: list[list[int]]) -> dict[str, Any]:
        for packet in packets:
            await self.weights.send(AxiStreamFrame(packet))
        await self.weights.wait()
        return {}

    async def _read(self, addresses: list[int]) -> dict[str, Any]:
        answers = [await self.bus.read(address, 4) for address in addresses]
        return {
            "data": [int.from_bytes(answer.data, "little") for answer in answers],
            "resp": [int(answer.resp) for answer in answers],
        }

    async def _write(self, address: int, data: list[int]) -> dict[str, Any]:
        return {"resp": int((await self.bus.write(address, bytes(data))).resp)}
