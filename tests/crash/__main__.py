"""`make crash`: run the scenarios of the crash campaign, each on its own stack, and compare each with a recomputation.

Prints a table and writes .takk/crash/results.json. With `--write`, the table of all results so far goes into the README.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
import traceback
from pathlib import Path
from subprocess import CalledProcessError

from confluent_kafka import KafkaException

from streams.tools.local.kafka.jars import KafkaStartError
from streams.tools.local.processes import ProcessFailed
from tests.crash.earlier_program import checkout
from tests.crash.results import README, Row, merge, table, with_table
from tests.crash.scenario_run import SEED, ScenarioRun
from tests.crash.scenarios import SCENARIOS, Scenario, environment
from tests.harness.stack import open_stack

CRASH_DIR = Path(".takk/crash")


def play(scenario: Scenario, seed: int, seconds: float, folder: Path) -> Row:
    """Run one scenario with its files in `folder`, and return its row. A failure becomes a problem of the row.

    Args:
        seed: of all randomness.
        seconds: length of the scenario with random kills.
    """
    row = Row(scenario.name, scenario.acceptance, seed)
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder = folder.resolve()  # an earlier program runs in its own working directory
    try:
        with open_stack(
            folder,
            scenario.brokers,
            workers=scenario.workers,
            mailers=scenario.mailers,
            gateways=scenario.gateways,
            day_s=scenario.day_s,
            env=environment(scenario, folder),
            broker=scenario.broker,
            program=checkout(scenario.before, folder / "before") if scenario.before else None,
        ) as stack:
            run = ScenarioRun(stack, row, seconds, scenario.in_doubt_per_kill, has_actions=scenario.has_shop_actions)
            scenario.play(run)
            if not scenario.judges_itself:
                run.judge()
    except (AssertionError, ProcessFailed, KafkaException, KafkaStartError, CalledProcessError, OSError) as error:
        row.problems.append((f"{error}" or f"{type(error).__name__}: see the traceback above")[:2000])
        traceback.print_exc()
    row.seconds = round(time.monotonic() - started, 1)
    return row


def main() -> int:
    """Run the scenarios that the command line selects, and return the exit code: 1 if one failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash",
        description="Run crash scenarios against real processes and compare the results with a recomputation.",
    )
    parser.add_argument("scenarios", nargs="*", help="words from scenario names (default: all scenarios)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"seed of all randomness (default: {SEED})")
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="length of the scenario 'random kill -9' (default: 600)"
    )
    parser.add_argument("--write", action="store_true", help="write the table of all results so far into the README")
    options = parser.parse_args()
    words = options.scenarios or [""]
    selected = [scenario for scenario in SCENARIOS if any(word in scenario.name for word in words)]
    if not selected:
        names = "\n".join(f"  {scenario.name}" for scenario in SCENARIOS)
        parser.error(f"no scenario name contains any of {', '.join(map(repr, words))}. The scenarios are:\n{names}")
    print(f"seed {options.seed}", file=sys.stderr)
    rows = []
    for number, scenario in enumerate(selected):
        rows.append(play(scenario, options.seed, options.seconds, CRASH_DIR / f"stack-{number}"))
        print(table(rows[-1:]), *rows[-1].problems, sep="\n", file=sys.stderr, flush=True)
        merged = merge(rows, CRASH_DIR / "results.json", [scenario.name for scenario in SCENARIOS])
        if options.write:
            README.write_text(with_table(README.read_text(encoding="utf-8"), merged), encoding="utf-8")
    print(table(rows))
    for row in rows:
        print(*(f"{row.scenario}: {problem}" for problem in row.problems), sep="\n")
    print(f"\nwritten to {CRASH_DIR / 'results.json'}")
    return 0 if all(row.passed for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
