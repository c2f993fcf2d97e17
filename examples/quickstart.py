"""From pictures to checked Verilog with the Python API: what the `signfold` commands do, in one file."""

from pathlib import Path

from signfold.sim.commands import simulate
from signfold.sw.compile import compile_run
from signfold.sw.data import load
from signfold.sw.default_plan import default_plan
from signfold.sw.generate import generate
from signfold.sw.train.loop import train
from signfold.sw.train.options import TrainingOptions

out = Path("build/quickstart")
digits = load("digits")
options = TrainingOptions(dataset="digits", topology="32,32", epochs=40, batch=64, lr=0.02)
train(options, digits, out / "run")
network = compile_run(out / "run").network
network.save(out / "digits.safetensors")

images, labels = digits.split("test")
golden = network.evaluate(images.reshape(len(images), -1))
plan = default_plan(network, target_cycles=128)
accelerator = generate(network, plan, out / "accelerator")
report = simulate(accelerator, images)  # raises MismatchError if one score of one image differs
print(f"golden model {(golden.classes == labels).mean():.4f}, Verilog {(report.classes == labels).mean():.4f}")
print(f"latency {report.latency} cycles, interval {report.interval} cycles, {accelerator.verilog}")
