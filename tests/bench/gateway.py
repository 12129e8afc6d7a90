"""Job `gateway`: clicks and pixels per second of one gateway, and the latency at half of that rate.

The peer is a bare aiohttp handler that produces the same record and opens no token.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from streams.mail.tokens import LinkKeys, Use
from streams.tools.local.kafka.ports import free_port
from streams.tools.local.processes import Process
from tests.bench.context import BENCH_DIR, Context, Result, median
from tests.bench.pipeline import worker_env
from tests.bench.runners.bare_gateway import TARGET
from tests.harness.stack import wait_until

REQUESTS = 30_000
CONNECTIONS = 64
#: Seconds of the load at half of the rate.
STEADY_S = 8
LATENCY = re.compile(r"LATENCY ([\d.]+) ([\d.]+)")
USES: dict[str, Use] = {"click": "c", "pixel": "o"}


def run(context: Context) -> list[Result]:
    """Measure the gateway and the bare handler in turn, `context.runs` times each."""
    context.reset_topics()
    results = []
    for name, use in USES.items():
        rates: dict[str, list[float]] = {"takk": [], "aiohttp": []}
        p99s, memory = [], []
        for number in range(context.runs):
            with _gateway(context) as (port, process):
                rate, _ = _load(context, port, _sealed(use, f"{name}{number}", REQUESTS), 0)
                count = int(rate / 2 * STEADY_S)
                _, p99 = _load(context, port, _sealed(use, f"{name}{number}-steady", count), rate / 2)
                memory.append(process.metrics().get("process_resident_memory_bytes", 0.0))
            rates["takk"].append(rate)
            p99s.append(p99)
            with _bare(context) as port:
                paths = [f"/{use}/c{n % 5000}.{name}{number}-{n}" for n in range(REQUESTS)]
                rates["aiohttp"].append(_load(context, port, paths, 0)[0])
            context.log(
                f"gateway {name} {number + 1}/{context.runs}: {rates['takk'][-1]:,.0f}/s, p99 {p99s[-1] * 1000:.1f} ms, "
                f"aiohttp {rates['aiohttp'][-1]:,.0f}/s"
            )
        ours, peer = median(rates["takk"]), median(rates["aiohttp"])
        figures = {
            "p99_ms_at_half": round(statistics.median(p99s) * 1000, 1),
            "rss_mb": round(statistics.median(memory) / 2**20),
        }
        job = f"gateway {name}"
        results += [
            Result(job, "takk", ours, "acknowledged", REQUESTS, rates["takk"], figures),
            Result(job, "aiohttp", peer, "acknowledged", REQUESTS, rates["aiohttp"], {"takk_times": round(ours / peer, 2)}),
        ]  # fmt: skip
    return results


def _sealed(use: Use, name: str, count: int) -> list[str]:
    """Return the paths of links of different emails."""
    keys, now = LinkKeys("shop", b"5d6ad4a0c4b1f2e79a3c8d5e"), datetime.now(UTC)
    target = TARGET if use == "c" else ""
    return [f"/{use}/{keys.seal(use, f'c{n % 5000}', f'{name}-{n}', target, now)}" for n in range(count)]


@contextmanager
def _gateway(context: Context) -> Iterator[tuple[int, Process]]:
    run_id = context.new_run_id("gateway")
    process = Process("gateway", worker_env(context, run_id), BENCH_DIR / f"{run_id}.log")
    process.start()
    try:
        process.await_ready()
        wait_until(lambda: process.metrics().get("takk_gateway_spooling") == 0, "the gateway is direct")
        yield int(process.settings["TAKK_GATEWAY_PORT"]), process
    finally:
        process.stop()


@contextmanager
def _bare(context: Context) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.runners.bare_gateway", context.kafka.bootstrap, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "ready"
        try:
            yield port
        finally:
            child.kill()


def _load(context: Context, port: int, paths: list[str], rate: float) -> tuple[float, float]:
    """Send requests, and return how many were answered per second, and the 99th percentile of the latency in seconds."""
    file = context.state / "paths.txt"
    file.write_text("\n".join(paths))
    command = [sys.executable, "-m", "tests.bench.runners.http_load", str(port), str(file), str(CONNECTIONS), str(rate)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    found = LATENCY.search(done.stdout)
    if found is None:
        raise RuntimeError(f"the load failed:\n{(done.stdout + done.stderr)[-2000:]}")
    seconds = float(done.stdout.split()[3])
    return len(paths) / seconds, float(found[2])
