"""Requests to the health server of a process."""

from __future__ import annotations

import urllib.error
import urllib.request

from streams.tools.local.processes import Process


def probe(process: Process, path: str) -> tuple[int, str]:
    """Return the HTTP status and body of a probe; the status is 0 without a response."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{process.port}{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""
