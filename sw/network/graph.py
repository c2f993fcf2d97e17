"""The integer network: a typed graph with its parameters, the contract between training and hardware."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np

from signfold.sw.errors import NetworkError
from signfold.sw.network.container import read_tensors, write_tensors
from signfold.sw.network.format import KEY, MAX_FILE, decode, describe, encode
from signfold.sw.network.golden import GoldenModel
from signfold.sw.network.nodes import NODES, Node
from signfold.sw.network.types import InputType, ValueType, shown

__all__ = ["Evaluation", "Network"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a network says about frames.

    Parameters
    ----------
    scores : numpy.ndarray
        int64 ``[n, classes]``.
    classes : numpy.ndarray
        int64 ``[n]``: class of the highest score, the lowest index among equals.
    """

    scores: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True, eq=False)
class Network:
    """An integer network, checked on construction and unchangeable afterwards.

    Parameters
    ----------
    input : InputType
        Frames taken.
    nodes : tuple of Node
        Operations, each after those it reads. Every node must serve the output.
    output : str
        Name of the node whose sums, ``[channels]`` or ``[channels, 1, 1]``, are the scores.
    metadata : mapping of str to JSON values
        Facts about the network (data set, accuracies); they do not enter `content_hash`.

    Raises
    ------
    NetworkError
        Naming the node and the value that break the contract.
    """

    input: InputType
    nodes: tuple[Node, ...]
    output: str
    metadata: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the whole graph."""
        if not isinstance(self.input, InputType):
            raise NetworkError(f"network: input must be an InputType, not {shown(self.input)}")
        object.__setattr__(self, "nodes", tuple(self.nodes))
        object.__setattr__(self, "metadata", _own_metadata(self.metadata))
        object.__setattr__(self, "_types", MappingProxyType(self._infer()))

    def _infer(self) -> dict[str, ValueType]:
        """Check the graph and return the type of every value."""
        types = {"input": self.input.value}
        names = set()
        for node in self.nodes:
            if not isinstance(node, Node):
                allowed = ", ".join(kind.__name__ for kind in NODES.values())
                raise NetworkError(f"network: nodes must be of {allowed}, not {shown(node)}")
            if node.name in names:
                raise NetworkError(f"node {shown(node.name)}: the name occurs twice")
            names.add(node.name)
        for node in self.nodes:
            for name in node.inputs:
                if name not in types:
                    what = "does not come before it (a cycle?)" if name in names else "does not exist"
                    raise NetworkError(f"node {shown(node.name)}: its input {shown(name)} {what}")
            types[node.name] = node.infer(*(types[name] for name in node.inputs))
        if self.output not in names:
            raise NetworkError(f"network: output {shown(self.output)} is not the name of a node")
        value = types[self.output]
        if value.kind != "sum" or value.shape not in ((value.shape[0],), (value.shape[0], 1, 1)):
            raise NetworkError(
                f"node {shown(self.output)}: the output must be sums, a vector or one position of an image, not "
                f"{value.kind}s of shape {value.shape}"
            )
        used = {self.output}
        for node in reversed(self.nodes):
            if node.name not in used:
                raise NetworkError(f"node {shown(node.name)}: the output {shown(self.output)} does not depend on it")
            used.update(node.inputs)
        return types

    @property
    def types(self) -> Mapping[str, ValueType]:
        """Exact type of every value: node name, and ``"input"``, to `ValueType`."""
        return self._types

    @property
    def classes(self) -> int:
        """Number of scores."""
        return self.types[self.output].elements

    def node(self, name: str) -> Node:
        """Return the node called `name`; KeyError when there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256, in hexadecimal, of the graph and its parameters; names and metadata do not enter."""
        graph, tensors = describe(self.nodes, self.input, self.output)
        digest = hashlib.sha256(b"signfold-network-1\0")
        digest.update(json.dumps(graph, sort_keys=True, separators=(",", ":")).encode())
        for name in sorted(tensors):
            array = np.ascontiguousarray(tensors[name])
            array = array.astype(array.dtype.newbyteorder("<"), copy=False)
            digest.update(f"\0{name} {array.dtype.str} {array.shape}\0".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    @cached_property
    def _golden(self) -> GoldenModel:
        return GoldenModel(self.nodes, dict(self.types))

    def evaluate(self, frames: np.ndarray, *, progress: Callable[[int], object] | None = None) -> Evaluation:
        """Compute scores and classes with the golden model.

        Parameters
        ----------
        frames : numpy.ndarray
            uint8 codes ``[n, *shape]``; any trailing shape with as many elements is read in C order.
        progress : callable, optional
            Called with the number of frames done since the last call.

        Raises
        ------
        TypeError
            `frames` is not a uint8 array.
        ValueError
            `frames` has the wrong shape or holds a code that is too large.
        """
        frames = self._frames(frames)
        scores = np.empty((len(frames), self.classes), np.int64)
        for block, values in self._golden.run(frames, keep={self.output}):
            scores[block] = values[self.output].reshape(-1, self.classes)
            if progress is not None:
                progress(block.stop - block.start)
        return Evaluation(scores, np.argmax(scores, axis=1))

    def trace(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the result of every node.

        Parameters
        ----------
        frames : numpy.ndarray
            As for `evaluate`.

        Returns
        -------
        dict of str to numpy.ndarray
            int64 ``[n, *shape]`` by node name, in the order of the nodes: codes or sums as its type says.
        """
        frames = self._frames(frames)
        results = {node.name: np.empty((len(frames), *self.types[node.name].shape), np.int64) for node in self.nodes}
        for block, values in self._golden.run(frames):
            for name, value in values.items():
                results[name][block] = value
        return results

    def _frames(self, frames: object) -> np.ndarray:
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8:
            what = f"{frames.dtype} array" if isinstance(frames, np.ndarray) else type(frames).__name__
            raise TypeError(f"frames must be a NumPy array of uint8, not {what}")
        if frames.ndim < 2 or frames[:1].size not in (0, self.input.elements) or 0 in frames.shape[1:]:
            raise ValueError(f"frames must have shape [n, {', '.join(map(str, self.input.shape))}], not {frames.shape}")
        if len(frames) == 0 and int(np.prod(frames.shape[1:])) != self.input.elements:
            raise ValueError(f"frames must have shape [n, {', '.join(map(str, self.input.shape))}], not {frames.shape}")
        top = self.types["input"].high
        if frames.size and int(frames.max()) > top:
            frame = int(np.flatnonzero(frames.reshape(len(frames), -1).max(axis=1) > top)[0])
            raise ValueError(f"frames: code {int(frames[frame].max())} of frame {frame} is above {top}")
        return frames.reshape(len(frames), *self.input.shape)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to one safetensors file; the same network gives the same bytes.

        Raises
        ------
        OSError
            The file cannot be written; nothing is left behind.
        """
        header, tensors = encode(self.nodes, self.input, self.output, self.metadata)
        write_tensors(path, tensors, {KEY: header})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Network":
        """Read a network file, checking all of it before use.

        Raises
        ------
        NetworkError
            The file is absent, damaged, of an unknown version, or holds an impossible network. Nothing else is raised,
            whatever the file holds.
        """
        tensors, metadata = read_tensors(path, error=NetworkError, limit=MAX_FILE)
        return cls(**decode(metadata.get(KEY), tensors, shown(os.fspath(path))))


def _own_metadata(metadata: object) -> Mapping[str, object]:
    """Return a copy that a file can hold."""
    if not isinstance(metadata, Mapping) or not all(isinstance(key, str) for key in metadata):
        raise NetworkError(f"network: metadata must map text to JSON values, not {shown(metadata)}")
    try:
        return MappingProxyType(json.loads(json.dumps(dict(metadata), allow_nan=False)))
    except (TypeError, ValueError, RecursionError) as cause:
        raise NetworkError(f"network: metadata {shown(dict(metadata))} is not JSON: {cause}") from None
