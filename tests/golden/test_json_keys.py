"""The keys that commands print with `--json`. Scripts depend on them, so renamed classes and fields must not change them."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from msgspec import to_builtins

from streams.tools.cli.main import main
from streams.tools.operations.customer_story import Timeline, TimelineEntry
from tests.harness.driver import START


def test_check(tmp_path: Path) -> None:
    """`flows check --json` prints the counts, and the position, problem and remedy of each error."""
    flow = tmp_path / "hello" / "flow.yaml"
    flow.parent.mkdir()
    flow.write_text("flow: hello\n")
    report = json.loads(CliRunner().invoke(main, ["flows", "check", "--json", "--templates", str(tmp_path)]).stdout)
    assert list(report) == ["flows", "older", "segments", "rules", "errors", "warnings", "service", "languages"]
    assert set(report["errors"][0]) >= {"file", "line", "column", "problem", "remedy"}


def test_why() -> None:
    """`why --json` prints the entries of a timeline and the waiting instances."""
    entry = TimelineEntry(at=START, what="sent", flow="f", about="a", text="w", send_id=None, order_id=None)
    timeline = to_builtins(Timeline(customer_id="c1", is_known=True, entries=(entry,), waiting=()))
    assert list(timeline) == ["customer_id", "is_known", "happened", "waiting"]
    assert list(timeline["happened"][0]) == ["at", "what", "flow", "about", "words", "send_id", "order_id"]
