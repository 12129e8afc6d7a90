"""A small schema registry over HTTP, in a thread: enough of Confluent's API to register and read schemas, and to be out of order."""

from __future__ import annotations

import base64
import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit


class RegistryServer:
    """A registry on a free port of this machine. Use it as a context manager.

    Attributes:
        status: answered to every request instead of 200, if it is not 200.
        body: answered to every request instead of JSON, if it is not None.
        requests: method and path of each request so far, without the query.
        logins: the `user:password` of each request, or None.
    """

    def __init__(self) -> None:
        self.status = 200
        self.body: bytes | None = None
        self.forbidden: set[str] = set()
        self.requests: list[str] = []
        self.logins: list[str | None] = []
        self._schemas: list[str] = []
        self._subjects: dict[str, list[int]] = defaultdict(list)
        self._deleted: set[tuple[str, int]] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The address of the registry."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> RegistryServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, subject: str, schema: Any) -> int:
        """Register a schema, without any check, and return its id."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        if text not in self._schemas:
            self._schemas.append(text)
        number = self._schemas.index(text) + 1
        if number not in self._subjects[subject]:
            self._subjects[subject].append(number)
        return number

    def delete(self, subject: str, number: int) -> None:
        """Delete a version softly: it is only listed with `deleted=true`."""
        self._deleted.add((subject, number))

    def answer(self, method: str, path: str, query: str, body: bytes) -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        with_deleted = "deleted=true" in query.lower()
        subject = parts[1] if len(parts) > 1 else ""
        if subject in self.forbidden:
            return 403, {"error_code": 40301, "message": "forbidden"}
        if method == "POST" and parts[2:] == ["versions"]:
            return 200, {"id": self.add(subject, json.loads(body)["schema"])}
        if parts == ["subjects"]:
            return 200, list(self._subjects)
        versions = [n for n in self._subjects.get(subject, []) if with_deleted or (subject, n) not in self._deleted]
        if parts[2:] == ["versions"]:
            if not versions:
                return 404, {"error_code": 40401, "message": "subject not found"}
            return 200, [self._subjects[subject].index(number) + 1 for number in versions]
        if len(parts) == 4 and int(parts[3]) <= len(self._subjects.get(subject, [])):
            number = self._subjects[subject][int(parts[3]) - 1]
            found = {"subject": subject, "version": int(parts[3]), "id": number, "schema": self._schemas[number - 1]}
            return 200, found
        return 404, {"error_code": 40403, "message": "not found"}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = urlsplit(self.path)
                registry.requests.append(f"{self.command} {url.path}")
                login = self.headers.get("Authorization", "").removeprefix("Basic ")
                registry.logins.append(base64.b64decode(login).decode() if login else None)
                status, answer = (
                    registry.status,
                    json.dumps({"error_code": registry.status, "message": "out of order"}).encode(),
                )
                if registry.body is not None:
                    answer = registry.body
                elif status == 200:
                    status, found = registry.answer(self.command, url.path, url.query, body)
                    answer = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = _do

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing."""

        return Handler
