"""Imports mutated files in a process of its own: bounded memory, and every file opened for writing is noted.

    python hostile_run.py FOLDER FIRST LAST

FOLDER holds the originals, *.onnx; results go to FOLDER/out. Prints a JSON object of what happened.
"""

import collections
import json
import os
import random
import resource
import sys
import time
import traceback
from pathlib import Path

import onnx

from signfold.sw.errors import SignfoldError
from signfold.sw.qonnx.importer import import_onnx

#: Address space that imports may add to what the interpreter has mapped already.
MEMORY = 3 << 29
EXTREMES = [0, -1, 1, 2, 3, 7, 255, 256, 65536, 1 << 24, (1 << 31) - 1, 1 << 40, (1 << 63) - 1, -(1 << 63)]
OPS = "Add Sub Mul Div Pow Conv MatMul Gemm MaxPool AveragePool Reshape Transpose Flatten Concat Gather Quant IntQuant "
OPS += (
    "BipolarQuant MultiThreshold Relu Clip Sqrt Shape Squeeze Unsqueeze Constant Cast ArgMax TopK Loop If Softmax Abs"
)
DOMAINS = ["", "ai.onnx", "qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas", "evil"]


def noted_writes(allowed):
    """Return a list that fills with what is written, removed, started or connected to outside a folder."""
    seen = []
    events = ("os.rename", "os.remove", "os.mkdir", "os.link", "os.symlink", "os.system", "subprocess.Popen")

    def hook(event, arguments):
        if event == "open":
            path, _, flags = arguments
            writing = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writing and not str(path).startswith(allowed):
                seen.append(f"open {path!r}")
        elif event in events and not all(str(a).startswith(allowed) for a in arguments[:2] if isinstance(a, str)):
            seen.append(f"{event} {arguments!r}")
        elif event.startswith("socket.") or event == "os.system":
            seen.append(event)

    sys.addaudithook(hook)
    return seen


def mutate_bytes(rng, data, other):
    data = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                data[place : place + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[place : place + rng.randint(1, 200)]
            case 2:
                data[place:place] = rng.randbytes(rng.randint(1, 40))
            case 3:
                start = rng.randrange(len(other))
                data[place:place] = other[start : start + rng.randint(1, 400)]
            case _:
                data[place:] = b""
    return bytes(data)


def mutate_model(rng, data):
    """Change a few fields of a model that still parses."""
    model = onnx.ModelProto.FromString(data)
    graph = model.graph
    for _ in range(rng.choice([1, 1, 2, 3])):
        node, tensor = rng.choice(graph.node), rng.choice(graph.initializer)
        names = [name for n in graph.node for name in n.input] + [name for n in graph.node for name in n.output]
        match rng.choice([*range(14), 0, 0, 2, 3, 3, 3, 7, 7, 14, 14, 14]):
            case 0:
                node.op_type = rng.choice(OPS.split())
            case 1:
                node.domain = rng.choice(DOMAINS)
            case 2 if len(node.input):
                node.input[rng.randrange(len(node.input))] = rng.choice([*names, "", "nowhere"])
            case 3 if len(node.attribute):
                attribute = rng.choice(node.attribute)
                attribute.i = rng.choice(EXTREMES)
                attribute.f = rng.choice([0.0, -1.0, float("nan"), float("inf"), 1e38, 1e-45])
                if len(attribute.ints):
                    attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(EXTREMES)
            case 4 if len(node.attribute):
                rng.choice(node.attribute).type = rng.randrange(1, 15)
            case 5:
                if len(tensor.dims):
                    tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(EXTREMES)
                else:
                    tensor.dims.append(rng.choice(EXTREMES))
            case 6:
                tensor.data_type = rng.randrange(24)
            case 7:
                tensor.raw_data = rng.randbytes(len(tensor.raw_data))
            case 14 if len(tensor.raw_data) and not tensor.data_location:
                array = onnx.numpy_helper.to_array(tensor).copy()
                extremes = EXTREMES if array.dtype.kind == "i" else [0.0, -0.0, 1e38, -1e38, 1e-45, 0.5, 1.0, 300.0]
                array.flat[rng.randrange(array.size)] = rng.choice(extremes)
                tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
            case 8:
                tensor.data_location = 1
                entry = tensor.external_data.add()
                entry.key, entry.value = "location", rng.choice(["/etc/passwd", "../secret", "weights.bin"])
            case 9:
                dims = graph.input[0].type.tensor_type.shape.dim
                dims[rng.randrange(len(dims))].dim_value = rng.choice(EXTREMES)
            case 10:
                graph.node.add().CopyFrom(node)
            case 11:
                del graph.node[rng.randrange(len(graph.node))]
            case 12:
                graph.output[0].name = rng.choice(names)
            case _:
                node.output[0] = rng.choice(["", "../../x", "\0", "input", *names])
        if not len(graph.node) or not len(graph.initializer):
            break
    return model.SerializeToString()


def main(folder, first, last):
    folder = Path(folder)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    originals = [path.read_bytes() for path in sorted(folder.glob("*.onnx"))]
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    seen = noted_writes(str(out))
    counts, slowest = collections.Counter(), 0.0
    for seed in range(first, last):
        rng = random.Random(seed)
        data = rng.choice(originals)
        try:
            changed = mutate_model(rng, data) if rng.random() < 0.8 else None
        except (TypeError, ValueError):
            changed = None  # an earlier change spoiled the tensor
        changed = mutate_bytes(rng, data, rng.choice(originals)) if changed is None else changed
        path = out / "mutated.onnx"
        path.write_bytes(changed)
        start = time.monotonic()
        try:
            import_onnx(path).network.save(out / "net.safetensors")
            counts["imported"] += 1
        except SignfoldError as error:
            counts["refused"] += 1
            assert len(str(error)) < 2000, f"seed {seed}: a message of {len(str(error))} characters"
        except BaseException:
            print(f"seed {seed}", file=sys.stderr)
            traceback.print_exc()
            counts["escaped"] += 1
        slowest = max(slowest, time.monotonic() - start)
    # Not `ru_maxrss`, which begins with what the process that started this one had.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    kilobytes = int(peak.split()[1])
    print(json.dumps({**counts, "writes": seen, "slowest": round(slowest, 2), "kilobytes": kilobytes}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
