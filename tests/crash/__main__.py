"""`make crash`: the campaign. Every scenario in a stack of its own, judged record by record; a table, and .takk/crash/results.json."""

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
    """Run one scenario; whatever goes wrong is a problem in its row."""
    row = Row(scenario.name, scenario.acceptance, seed)
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder = folder.resolve()  # an earlier program runs in a folder of its own
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
            row.problems.append((f"{error}" or f"{type(error).__name__}: see the stack of calls above")[:2000])
            traceback.print_exc()
    row.seconds = round(time.monotonic() - started, 1)
    return row


def table(rows: list[Row]) -> str:
    """The rows for people."""
    lines = [
        f"{'scenario':<26} {'runs':>4} {'kills':>5} {'sends':>6} {'lost':>5} {'doubled':>7} {'unknown':>7} {'stop s':>6} {'seconds':>7}  result"
    ]
    for row in rows:
        lines.append(
            f"{row.scenario:<26} {row.runs:>4} {row.kills:>5} {row.sends:>6} {row.lost:>5} {row.duplicated:>7} {row.unknown:>7} "
            f"{row.longest_stop_s:>6.1f} {row.seconds:>7.0f}  {'good' if row.is_good else 'BAD'}"
        )
        lines += [f"    {problem.splitlines()[0]}" for problem in row.problems]
    return "\n".join(lines)


def write(rows: list[Row], path: Path) -> None:
    """Write the rows; those of scenarios that were not played now stay as they are."""
    played = {row.scenario for row in rows}
    # Rows in the format of earlier commits have the key `cell` instead of `scenario`. They are dropped.
    recorded = json.loads(path.read_text()) if path.exists() else []
    earlier = [row for row in recorded if "scenario" in row and row["scenario"] not in played]
    path.write_text(json.dumps(earlier + [row.as_dict() for row in rows], indent=2) + "\n")


def main() -> int:
    """Run the scenarios; exit code 1 if one is not good."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash", description="Kill everything, and compare with a recomputation."
    )
    parser.add_argument("scenarios", nargs="*", help="words from the names of the scenarios to run; all by default")
    parser.add_argument("--seed", type=int, default=SEED, help="whatever is random comes from it")
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the scenario with random kills")
    options = parser.parse_args()
    chosen = [
        scenario
        for scenario in SCENARIOS
        if not options.scenarios or any(word in scenario.name for word in options.scenarios)
    ]
    if not chosen:
        parser.error(
            f"no scenario has one of these words in its name; there are: {', '.join(scenario.name for scenario in SCENARIOS)}"
        )
    print(f"seed {options.seed}", file=sys.stderr)
    rows = []
    for number, scenario in enumerate(chosen):
        rows.append(play(scenario, options.seed, options.seconds, CRASH_DIR / f"stack-{number}"))
        print(table(rows[-1:]), file=sys.stderr, flush=True)
        write(rows, CRASH_DIR / "results.json")
    print(table(rows))
    print(f"\nin {CRASH_DIR / 'results.json'}")
    return 0 if all(row.is_good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
