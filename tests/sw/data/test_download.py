"""Downloads against a server on this machine: whole, broken off, continued, corrupt, absent."""

import gzip
import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.sw.cli.app import app
from signfold.sw.data.archive import download_archive
from signfold.sw.data.catalogue import ARCHIVES, CATALOGUE, ArchiveSource, IdxFile, IdxSource
from signfold.sw.data.download import download
from signfold.sw.errors import DataError


class Server(ThreadingHTTPServer):
    """Serves `contents` by path; `cut` ends a path's transfer after so many bytes, `ranges` allows continuing."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.contents: dict[str, bytes] = {}
        self.cut: dict[str, int] = {}
        self.ranges = True
        self.requests: list[tuple[str, str | None]] = []

    @property
    def address(self) -> str:
        """Base address."""
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    """Answers GET with an optional byte range."""

    server: Server

    def do_GET(self) -> None:
        """Answer one request."""
        name, wanted = self.path.lstrip("/"), self.headers.get("Range")
        self.server.requests.append((name, wanted))
        contents = self.server.contents.get(name)
        if contents is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if start >= len(contents):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(contents) - start))
        self.end_headers()
        self.wfile.write(contents[start : start + self.server.cut.pop(name, len(contents))])

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server for one test."""
    with Server() as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def source(server: Server) -> IdxSource:
    """Describe a small data set that the server holds."""
    names = ("train-images", "train-labels", "test-images", "test-labels")
    files = []
    for index, name in enumerate(names):
        values = np.random.default_rng(index).integers(0, 256, 5000 + index, dtype=np.uint8)
        contents = struct.pack(">HBBI", 0, 8, 1, len(values)) + values.tobytes()
        server.contents[f"{name}.gz"] = gzip.compress(contents)
        files.append(IdxFile(name, values.shape, hashlib.sha256(contents).hexdigest()))
    return IdxSource("small", "a small set", (server.address,), *files)


def test_fetches_whole_files_once(server: Server, source: IdxSource, tmp_path) -> None:
    reports: list[tuple[str, int, int | None]] = []
    paths = download(source, tmp_path, on_bytes=lambda *report: reports.append(report))
    assert [path.name for path in paths] == [f"{file.name}.gz" for file in source.files]
    for path in paths:
        assert path.read_bytes() == server.contents[path.name]
        size = len(server.contents[path.name])
        assert (path.name.removesuffix(".gz"), size, size) in reports
    assert sorted(entry.name for entry in (tmp_path / "small").iterdir()) == sorted(path.name for path in paths)
    asked = len(server.requests)
    assert download(source, tmp_path) == paths
    assert len(server.requests) == asked


@pytest.mark.parametrize("ranges", [True, False])
def test_continues_a_broken_transfer(server: Server, source: IdxSource, tmp_path, ranges: bool) -> None:
    server.cut["train-images.gz"] = 1000
    server.ranges = ranges
    with pytest.raises(DataError, match="train-images.gz"):
        download(source, tmp_path)
    assert not (tmp_path / "small" / "train-images.gz").exists()
    download(source, tmp_path)
    assert server.requests[1] == ("train-images.gz", "bytes=1000-")
    assert (tmp_path / "small" / "train-images.gz").read_bytes() == server.contents["train-images.gz"]


def test_begins_anew_after_the_remains_of_another_file(server: Server, source: IdxSource, tmp_path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "part-train-images.gz").write_bytes(b"something else")
    (tmp_path / "small" / "part-test-images.gz").write_bytes(bytes(100_000))
    for path in download(source, tmp_path):
        assert path.read_bytes() == server.contents[path.name]


def test_refuses_corrupt_files_and_takes_the_next_mirror(server: Server, source: IdxSource, tmp_path) -> None:
    right = server.contents["train-images.gz"]
    server.contents["bad/train-images.gz"] = gzip.compress(b"\0\0\x08\x01\0\0\0\x01x")
    with pytest.raises(DataError, match="bad/train-images.gz.*shape"):
        download(source, tmp_path, mirrors=[server.address + "bad"])
    assert list((tmp_path / "small").iterdir()) == []
    paths = download(source, tmp_path, mirrors=[server.address + "bad", server.address])
    assert paths[0].read_bytes() == right


def test_replaces_a_damaged_file(server: Server, source: IdxSource, tmp_path) -> None:
    (path, *_) = download(source, tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    download(source, tmp_path)
    assert path.read_bytes() == server.contents[path.name]


def test_names_every_mirror_that_failed(server: Server, source: IdxSource, tmp_path) -> None:
    with pytest.raises(DataError) as caught:
        download(source, tmp_path, mirrors=[server.address + "none", "http://127.0.0.1:1/"])
    assert "404" in str(caught.value) and "127.0.0.1:1" in str(caught.value)
    with pytest.raises(DataError, match="mirror is 'file:///etc'"):
        download(source, tmp_path, mirrors=["file:///etc"])


def test_command_fetches_and_reports(server: Server, source: IdxSource, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(CATALOGUE, "small", source)
    answer = CliRunner().invoke(app, ["data", "download", "small", "--data-dir", str(tmp_path), "--json"])
    assert answer.exit_code == 0, answer.output
    result = json.loads(answer.stdout)
    assert [file.rsplit("/", 1)[1] for file in result["files"]] == [f"{file.name}.gz" for file in source.files]


def packed(folder: str, files: dict[str, bytes]) -> bytes:
    """Pack files into a compressed archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, contents in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(contents)
            tar.addfile(entry, io.BytesIO(contents))
    return stream.getvalue()


@pytest.fixture
def archive(server: Server) -> ArchiveSource:
    """Describe an archive that the server holds."""
    files = {f"{name}.bin": np.random.default_rng(len(name)).bytes(4000) for name in ("one", "three")}
    server.contents["small.tar.gz"] = packed("small-bin", files | {"../../outside": b"x", "readme.html": b"y"})
    sums = {name: hashlib.sha256(contents).hexdigest() for name, contents in files.items()}
    return ArchiveSource("small", "a small set", (server.address,), "small.tar.gz", "small-bin", sums)


def test_unpacks_the_known_files_of_an_archive_once(server: Server, archive: ArchiveSource, tmp_path) -> None:
    server.cut["small.tar.gz"] = 3000
    with pytest.raises(DataError, match="small.tar.gz"):
        download_archive(archive, tmp_path)
    paths = download_archive(archive, tmp_path)
    assert server.requests[1] == ("small.tar.gz", "bytes=3000-")
    assert [path.name for path in paths] == ["one.bin", "three.bin"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["one.bin", "small-bin", "three.bin"]
    asked = len(server.requests)
    assert download_archive(archive, tmp_path) == paths and len(server.requests) == asked
    paths[0].write_bytes(b"damaged")
    download_archive(archive, tmp_path)
    assert hashlib.sha256(paths[0].read_bytes()).hexdigest() == archive.files["one.bin"]


def test_archives_with_other_contents_are_refused(server: Server, archive: ArchiveSource, tmp_path) -> None:
    right = server.contents["small.tar.gz"]
    for wrong, message in (
        (packed("small-bin", {"one.bin": b"1", "three.bin": b"3"}), "one.bin inside is corrupt"),
        (packed("other", {"one.bin": b"1"}), "not the archive of small"),
        (b"no archive at all" * 100, "not a valid archive"),
        (right[:2000], "not a valid archive"),
    ):
        server.contents["small.tar.gz"] = wrong
        with pytest.raises(DataError, match=message):
            download_archive(archive, tmp_path)
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    # What an earlier attempt left does not spoil the next one.
    (tmp_path / "small-bin" / "part-small.tar.gz").write_bytes(b"something else")
    server.contents["small.tar.gz"] = right
    assert all(path.is_file() for path in download_archive(archive, tmp_path))


def test_command_fetches_archives(server: Server, archive: ArchiveSource, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(ARCHIVES, "cifar10", archive)
    answer = CliRunner().invoke(app, ["data", "download", "cifar10", "--data-dir", str(tmp_path), "--json"])
    assert answer.exit_code == 0, answer.output
    assert [file.rsplit("/", 1)[1] for file in json.loads(answer.stdout)["files"]] == ["one.bin", "three.bin"]
