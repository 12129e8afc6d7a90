"""A load of HTTP requests over kept connections: as fast as the server answers, or at a steady rate.

Arguments: port, file with the paths (one a line), connections, requests per second (0: as many as possible), and for POST requests the file
with the body and its headers. Prints the RESULT line and a line with the latencies, `LATENCY p50 p99`, in seconds from when a request was due.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path

import uvloop

from tests.bench.runners.result import print_result

HEADERS = "Host: bench\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"


async def connection(port: int, requests: list[bytes], dues: list[float], latencies: list[float]) -> None:
    """Send requests one after the other, each not before it is due; with a due time of 0 at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request, due in zip(requests, dues, strict=True):
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        began = due or time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head[9:12] in (b"200", b"202", b"302"), head
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if length:
            await reader.readexactly(length)
        latencies.append(time.perf_counter() - began)
    writer.close()


async def run(port: int, requests: list[bytes], connections: int, rate: float) -> None:
    """Send all requests, and print the results."""
    latencies: list[float] = []
    start = time.perf_counter() + 0.2
    dues = [start + number / rate if rate else 0.0 for number in range(len(requests))]
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(connections):
            mine = slice(number, None, connections)
            group.create_task(connection(port, requests[mine], dues[mine], latencies))
    print_result("http", len(latencies), time.perf_counter() - began)
    cuts = statistics.quantiles(latencies, n=100)
    print(f"LATENCY {cuts[49]:.5f} {cuts[98]:.5f}", flush=True)


def main() -> None:
    """Read the arguments."""
    port, paths, connections, rate, *body = sys.argv[1:]
    tail = Path(body[0]).read_bytes() if body else b"\r\n"
    method = "POST" if body else "GET"
    requests = [f"{method} {path} HTTP/1.1\r\n{HEADERS}".encode() + tail for path in Path(paths).read_text().split()]
    uvloop.run(run(int(port), requests, int(connections), float(rate)))


if __name__ == "__main__":
    main()
