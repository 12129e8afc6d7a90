"""The keys that commands print with `--json`: scripts of shops read them, whatever classes and fields are called here."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from msgspec import to_builtins

from streams.tools.cli.main import main
from streams.tools.operations.customer_story import Timeline, TimelineEntry
from tests.harness.driver import START


def test_check(tmp_path: Path) -> None:
    """The counts, and where and what a mistake is."""
    flow = tmp_path / "hello" / "flow.yaml"
    flow.parent.mkdir()
    flow.write_text("flow: hello\n")
    found = json.loads(CliRunner().invoke(main, ["flows", "check", "--json", "--templates", str(tmp_path)]).stdout)
    assert list(found) == ["flows", "older", "segments", "rules", "errors", "warnings"]
    assert set(found["errors"][0]) >= {"file", "line", "column", "problem", "remedy"}


def test_why() -> None:
    """What happened to a customer's emails, and what waits."""
    entry = TimelineEntry(at=START, what="sent", flow="f", about="a", text="w", send_id=None, order_id=None)
    timeline = to_builtins(Timeline(customer_id="c1", is_known=True, entries=(entry,), waiting=()))
    assert list(timeline) == ["customer_id", "is_known", "happened", "waiting"]
    assert list(timeline["happened"][0]) == ["at", "what", "flow", "about", "words", "send_id", "order_id"]
