"""Fetching by the hub's own library, from a hub on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from inference.models.disk import DiskCache
from inference.models.hub import FetchError, HuggingFaceHub
from inference.models.places import snapshots
from inference.models.record import Record


pytest.importorskip("huggingface_hub")

COMMIT = "d" * 40
FILES = {"config.json": b'{"a": 1}', "w.safetensors": bytes(range(256)) * 40, "README.md": b"no"}
HUB_ID = "owner/name"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, *, with_body: bool) -> None:
        path = urlsplit(self.path).path
        files = [
            {"type": "file", "path": name, "rfilename": name, "size": len(data), "oid": "0" * 40}
            for name, data in FILES.items()
        ]
        headers = {}
        if path in (f"/api/models/{HUB_ID}", f"/api/models/{HUB_ID}/revision/main"):
            body, status = json.dumps({"id": HUB_ID, "sha": COMMIT, "siblings": files}).encode(), 200
        elif path == f"/api/models/{HUB_ID}/tree/{COMMIT}":
            body, status = json.dumps(files).encode(), 200
        elif (name := path.removeprefix(f"/{HUB_ID}/resolve/{COMMIT}/")) in FILES:
            body, status = FILES[name], 200
            headers = {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": COMMIT}
        else:
            body, status = b'{"error": "Repository not found"}', 404
            headers = {"X-Error-Code": "RepoNotFound"}
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve a hub of one repository."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # The library reads its variables once, whoever imports it first.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_files_of_a_repository_are_listed_with_their_sizes(endpoint: str) -> None:
    sizes = HuggingFaceHub(endpoint).sizes(HUB_ID)

    assert sizes == {name: len(data) for name, data in FILES.items()}


def test_files_are_fetched_into_the_cache_where_they_are_found(endpoint: str, tmp_path: Path) -> None:
    counted: list[int] = []
    wanted = ["config.json", "w.safetensors"]

    HuggingFaceHub(endpoint).fetch(HUB_ID, wanted, tmp_path, counted.append)

    (snapshot,) = snapshots(tmp_path, HUB_ID)
    assert {path.name: path.read_bytes() for path in snapshot.iterdir()} == {
        name: FILES[name] for name in wanted
    }
    assert max(counted) == sum(len(FILES[name]) for name in wanted)


def test_what_was_fetched_is_known_as_ours_and_can_be_deleted(endpoint: str, tmp_path: Path) -> None:
    files = ["config.json", "w.safetensors"]
    disk = DiskCache(tmp_path / "hub", 0, Record(tmp_path / "downloaded.txt"))
    disk.claim(HUB_ID, files)
    HuggingFaceHub(endpoint).fetch(HUB_ID, files, disk.folder, lambda done: None)

    assert disk.hold(lambda: [HUB_ID]) == 0
    assert disk.hold(list) == sum(len(FILES[name]) for name in files)

    assert snapshots(disk.folder, HUB_ID) == []
    assert (tmp_path / "downloaded.txt").read_text() == ""


def test_a_download_that_is_given_up_ends_with_an_error(endpoint: str, tmp_path: Path) -> None:
    hub = HuggingFaceHub(endpoint)

    with pytest.raises(FetchError, match="it was given up") as told:
        hub.fetch(HUB_ID, ["config.json", "w.safetensors"], tmp_path, lambda done: hub.stop())

    assert isinstance(told.value.__cause__, InterruptedError)


def test_a_repository_that_is_not_there_is_told_in_one_line(endpoint: str, tmp_path: Path) -> None:
    hub = HuggingFaceHub(endpoint)

    with pytest.raises(FetchError, match="RepositoryNotFoundError") as told:
        hub.sizes("owner/other")

    assert "\n" not in str(told.value)
    assert not told.value.is_unreachable
    with pytest.raises(FetchError):
        hub.fetch("owner/other", ["x"], tmp_path, lambda done: None)


def test_a_hub_that_is_not_there_is_told_apart_from_one_that_refuses(endpoint: str) -> None:
    with pytest.raises(FetchError) as told:
        HuggingFaceHub("http://127.0.0.1:9").sizes(HUB_ID)

    assert told.value.is_unreachable
