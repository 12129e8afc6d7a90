"""Job `gateway`: clicks, pixels, orders and webhooks per second of one gateway, and the latency at half of that rate.

The peer is a bare aiohttp handler that produces the same record. It opens no token, and checks no key and no field. The first measured server
would pay for the broker's start, whose code is compiled while it runs, so each load is sent to the peer once before. Each server
then answers some requests before its time is measured.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from streams.gateway.api.keys import create_key, file_line
from streams.mail.tokens import LinkKeys, Use
from streams.tools.local.kafka.ports import free_port
from streams.tools.local.processes import Process
from tests.bench.context import BENCH_DIR, Context, Result, median
from tests.bench.pipeline import worker_env
from tests.bench.runners.bare_gateway import TARGET
from tests.bench.runners.webhook import PATH, SIGNATURE, body, signature_of
from tests.harness.stack import wait_until

CONNECTIONS = 64
#: Requests that a server answers before it is measured.
FIRST_REQUESTS = 2_000
#: Seconds of the load at half of the rate.
STEADY_S = 8
LATENCY = re.compile(r"LATENCY ([\d.]+) ([\d.]+)")
ROOT = Path(__file__).parents[2]
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """A kind of requests.

    Attributes:
        name: of the row.
        requests: how many are sent as fast as possible.
        paths: returns the paths of so many requests of a run to the gateway.
        peer_paths: the same for the bare handler.
        tail: the headers and the body of a POST request; empty for GET.
    """

    name: str
    requests: int
    paths: Callable[[str, int], list[str]]
    peer_paths: Callable[[str, int], list[str]]
    tail: bytes = b""


def run(context: Context) -> list[Result]:
    """Measure the gateway and the bare handler in turn, `context.runs` times each."""
    context.reset_topics()
    key, entry = create_key(["orders"])
    keys_file = context.state / "api-keys.yaml"
    keys_file.write_text(file_line(entry) + "\n")
    results = []
    for load in _loads(key):
        rates: dict[str, list[float]] = {"takk": [], "aiohttp": []}
        cpu: dict[str, list[float]] = {"takk": [], "aiohttp": []}
        p99s, memory = [], []
        with _bare(context) as (port, _):
            _send(context, port, load, load.peer_paths(f"{load.name}-first", load.requests), 0)
        for number in range(context.runs):
            run_name = f"{load.name}{number}"
            with _gateway(context, keys_file) as (port, process):
                rate, cpu_us = _full_speed(context, port, process.pid, load, run_name, load.paths)
                count = int(rate / 2 * STEADY_S)
                _, p99 = _send(context, port, load, load.paths(f"{run_name}-steady", count), rate / 2)
                memory.append(process.metrics().get("process_resident_memory_bytes", 0.0))
            rates["takk"].append(rate)
            cpu["takk"].append(cpu_us)
            p99s.append(p99)
            with _bare(context) as (port, pid):
                rate, cpu_us = _full_speed(context, port, pid, load, run_name, load.peer_paths)
            rates["aiohttp"].append(rate)
            cpu["aiohttp"].append(cpu_us)
            context.log(
                f"gateway {load.name} {number + 1}/{context.runs}: {rates['takk'][-1]:,.0f}/s, {cpu['takk'][-1]:.0f} µs, "
                f"p99 {p99s[-1] * 1000:.1f} ms; aiohttp {rates['aiohttp'][-1]:,.0f}/s, {cpu['aiohttp'][-1]:.0f} µs"
            )
        ours, peer = median(rates["takk"]), median(rates["aiohttp"])
        figures = {
            "cpu_us": round(statistics.median(cpu["takk"])),
            "p99_ms_at_half": round(statistics.median(p99s) * 1000, 1),
            "rss_mb": round(statistics.median(memory) / 2**20),
        }
        peer_figures = {"cpu_us": round(statistics.median(cpu["aiohttp"])), "takk_times": round(ours / peer, 2)}
        job = f"gateway {load.name}"
        results += [
            Result(job, "takk", ours, "acknowledged", load.requests, rates["takk"], figures),
            Result(job, "aiohttp", peer, "acknowledged", load.requests, rates["aiohttp"], peer_figures),
        ]
    return results


def _loads(key: str) -> list[Load]:
    raw = body()
    head = f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n"
    by_key = f"{head}Authorization: Bearer {key}\r\n\r\n".encode() + raw
    signed = f"{head}{SIGNATURE}: {signature_of(raw)}\r\n\r\n".encode() + raw
    return [
        Load("click", 30_000, lambda name, count: _sealed("c", name, count), lambda name, count: _open("c", name, count)),
        Load("pixel", 30_000, lambda name, count: _sealed("o", name, count), lambda name, count: _open("o", name, count)),
        Load("order", 6_000, lambda _, count: ["/v1/orders"] * count, lambda _, count: ["/v1/orders"] * count, by_key),
        Load("webhook", 6_000, lambda _, count: [PATH] * count, lambda _, count: [PATH] * count, signed),
    ]  # fmt: skip


def _sealed(use: Use, name: str, count: int) -> list[str]:
    """Return the paths of links of different emails."""
    keys, now = LinkKeys("shop", b"5d6ad4a0c4b1f2e79a3c8d5e"), datetime.now(UTC)
    target = TARGET if use == "c" else ""
    return [f"/{use}/{keys.seal(use, f'c{n % 5000}', f'{name}-{n}', target, now)}" for n in range(count)]


def _open(use: Use, name: str, count: int) -> list[str]:
    """Return the paths of the same links for the bare handler."""
    return [f"/{use}/c{n % 5000}.{name}-{n}" for n in range(count)]


@contextmanager
def _gateway(context: Context, keys_file: Path) -> Iterator[tuple[int, Process]]:
    run_id = context.new_run_id("gateway")
    settings = {
        **worker_env(context, run_id),
        "TAKK_GATEWAY_API_KEYS_FILE": str(keys_file),
        "TAKK_GATEWAY_API_REQUESTS_PER_MINUTE": "1000000",
        "PYTHONPATH": f"{ROOT / 'tests' / 'bench' / 'hook'}{os.pathsep}{ROOT}",
    }
    process = Process("gateway", settings, BENCH_DIR / f"{run_id}.log")
    process.start()
    try:
        process.await_ready()
        wait_until(lambda: process.metrics().get("takk_gateway_spooling") == 0, "the gateway is direct")
        yield int(process.settings["TAKK_GATEWAY_PORT"]), process
    finally:
        process.stop()


@contextmanager
def _bare(context: Context) -> Iterator[tuple[int, int]]:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.runners.bare_gateway", context.kafka.bootstrap, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "ready"
        try:
            yield port, child.pid
        finally:
            child.kill()


def _full_speed(
    context: Context, port: int, pid: int, load: Load, run_name: str, paths: Callable[[str, int], list[str]]
) -> tuple[float, float]:
    """Send a load as fast as a server answers. Return how many requests it answered per second, and its µs of CPU for each of them."""
    _send(context, port, load, paths(f"{run_name}-first", min(FIRST_REQUESTS, load.requests)), 0)
    before = _cpu_s(pid)
    rate, _ = _send(context, port, load, paths(run_name, load.requests), 0)
    return rate, (_cpu_s(pid) - before) / load.requests * 1e6


def _cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process so far. Its name has no blanks."""
    fields = Path(f"/proc/{pid}/stat").read_text().split()
    return (int(fields[13]) + int(fields[14])) / TICKS_PER_S


def _send(context: Context, port: int, load: Load, paths: list[str], rate: float) -> tuple[float, float]:
    """Send requests, and return how many were answered per second, and the 99th percentile of the latency in seconds."""
    file, tail = context.state / "paths.txt", context.state / "tail.bin"
    file.write_text("\n".join(paths))
    tail.write_bytes(load.tail)
    command = [sys.executable, "-m", "tests.bench.runners.http_load", str(port), str(file), str(CONNECTIONS), str(rate)]
    command += [str(tail)] if load.tail else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    found = LATENCY.search(done.stdout)
    if found is None:
        raise RuntimeError(f"the load failed:\n{(done.stdout + done.stderr)[-2000:]}")
    seconds = float(done.stdout.split()[3])
    return len(paths) / seconds, float(found[2])
