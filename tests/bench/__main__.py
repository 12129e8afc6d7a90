"""`make bench`: run benchmark jobs against an embedded Kafka, print a table, and write .takk/bench/results.json."""

from __future__ import annotations

import argparse
import importlib
import shutil

from streams.tools.local.kafka.broker import EmbeddedKafka
from tests.bench.context import BENCH_DIR, Context, Result, write_results

JOBS = ("core", "engine", "pipeline", "timers", "mailer", "latency", "gateway", "restore", "recovery", "footprint")


def main() -> None:
    """Run the jobs that the command line selects, one after the other, against one broker."""
    options = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    options.add_argument(
        "jobs", nargs="*", default=list(JOBS), metavar="job", help=f"any of {', '.join(JOBS)} (default: all)"
    )
    options.add_argument(
        "--records", type=int, default=1_000_000, help="records of the job engine (default: 1,000,000)"
    )
    options.add_argument("--runs", type=int, default=3, help="runs per runner; the table shows the median (default: 3)")
    options.add_argument("--timers", type=int, default=1_000_000, help="timers of the job timers (default: 1,000,000)")
    args = options.parse_args()
    unknown = set(args.jobs) - set(JOBS)
    if unknown:
        options.error(f"unknown job: {', '.join(sorted(unknown))} (choose from {', '.join(JOBS)})")
    shutil.rmtree(BENCH_DIR / "kafka", ignore_errors=True)
    results: list[Result] = []
    with EmbeddedKafka(BENCH_DIR / "kafka", is_long_running=True) as kafka:
        context = Context(kafka, args.records, args.runs, args.timers)
        for job in args.jobs:
            results += importlib.import_module(f"tests.bench.{job}").run(context)
    write_results(results)


if __name__ == "__main__":
    main()
