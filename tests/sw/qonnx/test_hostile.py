"""Files that nobody has to trust: only our error, short, naming what is wrong; memory bounded; nothing written."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from signfold.sw import zoo
from signfold.sw.errors import CompileError
from signfold.sw.qonnx.importer import import_onnx
from signfold.sw.qonnx.read import MAX_FILE, MAX_OPERATIONS
from signfold.sw.qonnx.wire import MAX_FIELDS
from signfold.sw.qonnx.write import export_onnx

RUN = Path(__file__).parent / "hostile_run.py"


def mutated(chain, folder, first, last):
    for seed in range(6):
        chain(np.random.default_rng(seed), dyadic=bool(seed % 2)).save(folder / f"chain{seed}.onnx")
    for form in ("quant", "multithreshold"):
        export_onnx(zoo.load("digits"), folder / f"{form}.onnx", form)
    command = [sys.executable, str(RUN), str(folder), str(first), str(last)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert "escaped" not in result, done.stderr[-3000:]
    assert result["writes"] == []
    assert result["refused"] > 10 * (last - first) // 20 and result["imported"] > 0
    assert {path.name for path in folder.iterdir() if path.suffix != ".onnx"} == {"out"}
    # Besides what the interpreter and its packages take.
    assert result["kilobytes"] < 1 << 20
    return result


def test_mutated_files(chain, tmp_path):
    mutated(chain, tmp_path, 0, 200)


@pytest.mark.sweep
def test_a_thousand_mutated_files(chain, tmp_path):
    print(mutated(chain, tmp_path, 1000, 2000))


def refused(path, words):
    with pytest.raises(CompileError) as caught:
        import_onnx(path)
    assert words in str(caught.value) and len(str(caught.value)) < 1000, str(caught.value)


def test_no_onnx_file(tmp_path):
    path = tmp_path / "net.onnx"
    refused(path, "cannot read")
    refused(tmp_path, "is not a file")
    for content, words in ((b"", "0 inputs"), (b"\xff" * 50, "not an ONNX"), (b"hello there, no model", "not an ONNX")):
        path.write_bytes(content)
        refused(path, words)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net.onnx", "x" * 1000)
    refused(path, "not an ONNX")
    with open(path, "wb") as file:
        file.truncate(MAX_FILE + 1)
    refused(path, "longer than")


def test_many_empty_nodes_are_refused_before_parsing(tmp_path):
    # Two bytes each, a hundred or more once parsed.
    nodes = b"\x0a\x00" * (MAX_FIELDS + 1)
    size = len(nodes)
    varint = bytes(
        (size >> shift & 127) | (128 if size >> shift + 7 else 0) for shift in range(0, 35, 7) if size >> shift
    )
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\x3a" + varint + nodes)
    refused(path, "fields")


def test_nested_graphs(tmp_path):
    inner = b""
    for _ in range(500):
        for tag in (b"\x32", b"\x2a", b"\x0a"):  # attribute's graph, node's attribute, graph's node
            size = len(inner)
            length = bytes(
                (size >> s & 127) | (128 if size >> s + 7 else 0) for s in range(0, 28, 7) if size >> s or not s
            )
            inner = tag + length + inner
    path = tmp_path / "net.onnx"
    size = len(inner)
    length = bytes((size >> s & 127) | (128 if size >> s + 7 else 0) for s in range(0, 28, 7) if size >> s)
    path.write_bytes(b"\x3a" + length + inner)
    refused(path, "not an ONNX file")


def dense(builder, **options):
    graph = builder((1, 4), **options)
    graph.add("BipolarQuant", np.array(1.0))
    return graph


def finish(graph, path, weights=((1, 1), (1, -1), (1, 1), (-1, 1))):
    graph.add("MatMul", np.array(weights))
    return graph.save(path / "net.onnx")


def changed(path, change):
    model = onnx.ModelProto.FromString(path.read_bytes())
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def test_data_outside_the_file(builder, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(np.ones(8, np.float32).tobytes())

    def move(model):
        tensor = model.graph.initializer[1]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "secret"

    refused(changed(finish(dense(builder), tmp_path), move), "outside the file")


def test_sizes_are_checked_before_arrays_are_made(builder, tmp_path):
    def claim(*dims):
        def change(model):
            del model.graph.initializer[1].dims[:]
            model.graph.initializer[1].dims.extend(dims)

        return change

    for dims in ((1 << 40, 1 << 40), (-1, 2), (1 << 24, 2), (1,) * 9):
        refused(changed(finish(dense(builder), tmp_path), claim(*dims)), "shape")
    refused(changed(finish(dense(builder), tmp_path), claim(1 << 23, 2)), "bytes")

    def input_of(*dims):
        def change(model):
            for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, dims, strict=True):
                dim.dim_value = size

        return change

    for dims in ((1, 1 << 62), (1, -5), (1 << 20, 1 << 20)):
        refused(changed(finish(dense(builder), tmp_path), input_of(*dims)), "input")


def test_functions_subgraphs_and_sparse_tensors(builder, tmp_path):
    def function(model):
        model.functions.add().name = "f"

    def sparse(model):
        model.graph.sparse_initializer.add()

    def subgraph(model):
        attribute = model.graph.node[0].attribute.add()
        attribute.name, attribute.type = "body", onnx.AttributeProto.GRAPH
        attribute.g.name = "g"

    for change, words in ((function, "functions"), (sparse, "sparse"), (subgraph, "graphs")):
        refused(changed(finish(dense(builder), tmp_path), change), words)


def test_numbers_that_grow(builder, tmp_path):
    graph = builder((1, 4))
    for _ in range(600):
        graph.add("Mul", np.array(1.1))
    graph.add("BipolarQuant", np.array(1.0))
    refused(finish(graph, tmp_path), "bits")
    graph = builder((1, 4))
    name = graph.constant(1.1)
    for _ in range(40):
        last = graph.last
        name, graph.last = graph.add("Mul", name, source=name), last
    graph.add("Add", name)
    graph.add("BipolarQuant", np.array(1.0))
    refused(finish(graph, tmp_path), "bits")


def test_too_many_nodes(builder, tmp_path):
    graph = builder((1, 4))
    for _ in range(MAX_OPERATIONS):
        graph.add("Identity")
    refused(finish(graph, tmp_path), "nodes")


def test_constants_that_grow(builder, tmp_path):
    graph = dense(builder)
    wide = graph.of_constant("Add", np.arange(1100.0).reshape(1, -1), np.arange(1100.0).reshape(-1, 1) * 5000)
    graph.add("Add", wide)
    refused(finish(graph, tmp_path), "different numbers")
    graph = builder((1, 4))
    graph.add("Reshape", graph.constant([1, 1 << 60], np.int64))
    refused(finish(graph, tmp_path), "does not hold")


def test_windows_that_grow(builder, tmp_path):
    for attributes in (
        {"kernel_shape": [65535, 65535], "pads": [65534] * 4, "strides": [65535, 65535]},
        {"kernel_shape": [1 << 40, 1], "strides": [1, 1]},
        {"kernel_shape": [2, 2], "strides": [0, 1]},
        {"kernel_shape": [2, 2], "pads": [-1, 0, 0, 0]},
        {"kernel_shape": [2]},
    ):
        graph = builder((1, 1, 4, 4))
        graph.add("MaxPool", **attributes)
        graph.add("Flatten", axis=1)
        refused(finish(graph, tmp_path, np.ones((4, 2))), "node 'MaxPool")


def test_loops_and_names(builder, tmp_path):
    def loop(model):
        model.graph.node[0].input[0] = model.graph.node[1].output[0]

    refused(changed(finish(dense(builder), tmp_path), loop), "comes from nowhere")

    def names(model):
        model.graph.node[0].name = "../../etc/passwd\0" + "x" * 60000

    imported = import_onnx(changed(finish(dense(builder), tmp_path), names))
    imported.network.save(tmp_path / "out.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "out.safetensors"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_must_be_finite(builder, value, tmp_path):
    graph = dense(builder)
    graph.add("Add", np.array(value))
    refused(finish(graph, tmp_path), "finite")
