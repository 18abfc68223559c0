"""A hub for tests: its cache on disk, and a server on loopback that speaks enough of its API."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cached(cache: Path, repository: str, *, remove: bool = False) -> Path:
    """Return the folder that the cache has for `repository`, made if need be."""
    base = cache / f"models--{repository.replace('/', '--')}"
    folder = base / "snapshots" / COMMIT
    if remove:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    (base / "refs").mkdir(exist_ok=True)
    (base / "refs" / "main").write_text(COMMIT)
    return folder


def ct2_weights(values: bytes = bytes(range(64))) -> bytes:
    """Return a file laid out as CTranslate2's `model.bin`, with one variable and one alias."""

    def text(said: str) -> bytes:
        return struct.pack("<H", len(said) + 1) + said.encode() + b"\0"

    parts = [struct.pack("<I", 6), text("WhisperSpec"), struct.pack("<II", 3, 1), text("a/weight")]
    parts += [struct.pack("<BIBI", 1, len(values), 1, len(values)), values]
    parts += [struct.pack("<I", 1), text("b/weight"), text("a/weight")]
    return b"".join(parts)


class LoopbackHub:
    """Serves the files of repositories as the hub does; can break off in the middle of one.

    Args:
        repositories: repository → file name → content.
    """

    def __init__(self, repositories: Mapping[str, Mapping[str, bytes]]) -> None:
        self.repositories = repositories
        self.breaks: dict[str, list[int]] = {}
        """File → after how many bytes each next request for it breaks off."""
        self.asked: list[tuple[str, str, int]] = []
        """Method, file and first byte of each request for a file."""
        self.url = ""


@contextmanager
def serving(hub: LoopbackHub) -> Iterator[LoopbackHub]:
    """Run the server while the block runs."""

    class Handler(_Handler):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: LoopbackHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        info = re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/[^/]+|/tree/[^/]+)?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
        if info and info[1] in self.served.repositories:
            self._describe(info[1], tree=bool(info[2]) and info[2].startswith("/tree"))
        elif file and file[2] in self.served.repositories.get(file[1], {}):
            self._give(file[2], self.served.repositories[file[1]][file[2]])
        else:
            self._answer(404, {"X-Error-Code": "RepoNotFound"}, b"{}")

    do_HEAD = do_GET

    def _describe(self, repository: str, *, tree: bool) -> None:
        files = self.served.repositories[repository]
        if tree:
            listing: Any = [
                {"type": "file", "path": name, "size": len(content), "oid": _etag(content)}
                for name, content in files.items()
            ]
        else:
            siblings = [{"rfilename": name} for name in files]
            listing = {"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings}
            listing |= {"private": False, "tags": [], "downloads": 0}
        self._answer(200, {"Content-Type": "application/json"}, json.dumps(listing).encode())

    def _give(self, name: str, content: bytes) -> None:
        begin = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(begin[1]) if begin else 0
        self.served.asked.append((self.command, name, first))
        headers = {"ETag": f'"{_etag(content)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if begin:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        stops = self.served.breaks.get(name)
        stop = stops.pop(0) if stops and self.command == "GET" else None
        self._answer(206 if begin else 200, headers, content[first:], stop)

    def _answer(
        self, status: int, headers: Mapping[str, str], body: bytes, stop: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body if stop is None else body[:stop])
        if stop is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
