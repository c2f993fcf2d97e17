"""The IDX reader: what is written is read back, and anything else is refused by name."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signfold.sw.data.idx import find_idx, parse_idx, read_idx
from signfold.sw.errors import DataError


def encode(values: np.ndarray) -> bytes:
    """Write an array as IDX, independent of the reader."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


arrays = st.lists(st.integers(0, 5), min_size=1, max_size=3).flatmap(
    lambda shape: st.binary(min_size=int(np.prod(shape)), max_size=int(np.prod(shape))).map(
        lambda data: np.frombuffer(data, np.uint8).reshape(shape)
    )
)


@given(arrays)
def test_reads_what_was_written(values: np.ndarray) -> None:
    found = parse_idx(encode(values), "name")
    assert found.dtype == np.uint8 and found.shape == values.shape
    assert np.array_equal(found, values)


@given(arrays, st.data())
def test_refuses_every_other_length(values: np.ndarray, data: st.DataObject) -> None:
    contents = encode(values)
    shorter = contents[: data.draw(st.integers(0, len(contents) - 1))]
    with pytest.raises(DataError, match="the-file"):
        parse_idx(shorter, "the-file")
    with pytest.raises(DataError, match="the-file: too long"):
        parse_idx(contents + b"\0", "the-file")


@pytest.mark.parametrize("magic", ["00010803", "01000803", "00000903", "00000D03", "00000800", "1f8b0800"])
def test_refuses_other_magic_numbers(magic: str) -> None:
    with pytest.raises(DataError, match="magic number"):
        parse_idx(bytes.fromhex(magic) + bytes(16), "file")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_reads_plain_and_compressed_alike(tmp_path, suffix: str) -> None:
    values = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    contents = encode(values)
    path = tmp_path / f"pictures{suffix}"
    path.write_bytes(gzip.compress(contents) if suffix else contents)
    assert find_idx(tmp_path, "pictures") == path
    assert find_idx(tmp_path, "labels") is None
    # The checksum is that of the uncompressed contents, however they were compressed.
    assert np.array_equal(read_idx(path, shape=(3, 4, 5), sha256=hashlib.sha256(contents).hexdigest()), values)


def test_refuses_damaged_compressed_files(tmp_path) -> None:
    compressed = gzip.compress(encode(np.arange(200, dtype=np.uint8)))
    path = tmp_path / "pictures.gz"
    for length in range(len(compressed)):
        path.write_bytes(compressed[:length])
        with pytest.raises(DataError, match="pictures.gz"):
            read_idx(path)
    for place in (0, 1, 15, len(compressed) // 2, len(compressed) - 6):
        damaged = bytearray(compressed)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="pictures.gz"):
            read_idx(path, sha256=hashlib.sha256(encode(np.arange(200, dtype=np.uint8))).hexdigest())


def test_refuses_other_shape_and_other_contents(tmp_path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(encode(np.zeros(7, np.uint8)))
    with pytest.raises(DataError, match=r"labels: shape \(7,\), expected \(8,\)"):
        read_idx(path, shape=(8,))
    with pytest.raises(DataError, match="labels: corrupt"):
        read_idx(path, sha256=hashlib.sha256(encode(np.ones(7, np.uint8))).hexdigest())


def test_names_a_file_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(DataError, match="absent"):
        read_idx(tmp_path / "absent")
    with pytest.raises(DataError, match="absent.gz"):
        read_idx(tmp_path / "absent.gz")


def test_limits_what_a_small_file_can_become(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("signfold.sw.data.idx.MAXIMUM_BYTES", 1000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(encode(np.zeros(5000, np.uint8))))
    with pytest.raises(DataError, match="more than 1000 bytes"):
        read_idx(path)
