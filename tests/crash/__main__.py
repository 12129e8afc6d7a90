"""`make crash`: run the scenarios of the crash campaign, each on its own stack, and compare each with a recomputation.

Prints a table and writes .takk/crash/results.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
import traceback
from pathlib import Path

from confluent_kafka import KafkaException

from streams.tools.local.processes import ProcessFailed
from tests.crash.scenario_run import SEED, Row, ScenarioRun
from tests.crash.scenarios import SCENARIOS, Scenario, environment
from tests.crash.upgrade import checkout
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
    with open_stack(
        folder,
        scenario.brokers,
        workers=scenario.workers,
        mailers=scenario.mailers,
        env=environment(scenario, folder),
        program=checkout(scenario.before, folder / "before") if scenario.before else None,
    ) as stack:
        run = ScenarioRun(stack, row, seconds)
        try:
            scenario.play(run)
            if not scenario.judges_itself:
                run.judge()
        except (AssertionError, ProcessFailed, KafkaException) as error:
            row.problems.append((f"{error}" or f"{type(error).__name__}: see the traceback above")[:2000])
            traceback.print_exc()
    row.seconds = round(time.monotonic() - started, 1)
    return row


def table(rows: list[Row]) -> str:
    """Return the rows as a table of text."""
    lines = [
        f"{'scenario':<30} {'kills':>5} {'sends':>6} {'lost':>5} {'duplicated':>10} {'unknown':>7} {'gap s':>6} {'seconds':>7}  result"
    ]
    for row in rows:
        lines.append(
            f"{row.scenario:<30} {row.kills:>5} {row.sends:>6} {row.lost:>5} {row.duplicated:>10} {row.unknown:>7} "
            f"{row.longest_gap_s:>6.1f} {row.seconds:>7.0f}  {'passed' if row.passed else 'FAILED'}"
        )
        lines += [f"    {problem.splitlines()[0]}" for problem in row.problems]
    return "\n".join(lines)


def write(rows: list[Row], path: Path) -> None:
    """Write the rows as JSON, and keep the rows of scenarios that did not run now."""
    replaced = {row.scenario for row in rows}
    recorded = json.loads(path.read_text()) if path.exists() else []
    # Rows in the format of earlier commits have the key `cell` instead of `scenario`. They are dropped.
    earlier = [row for row in recorded if "scenario" in row and row["scenario"] not in replaced]
    path.write_text(json.dumps(earlier + [row.as_dict() for row in rows], indent=2) + "\n")


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
        print(table(rows[-1:]), file=sys.stderr, flush=True)
        write(rows, CRASH_DIR / "results.json")
    print(table(rows))
    print(f"\nwritten to {CRASH_DIR / 'results.json'}")
    return 0 if all(row.passed for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
