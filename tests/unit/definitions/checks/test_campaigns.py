"""Campaigns that are over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streams.definitions.checks.campaigns import check_past_campaigns
from streams.definitions.language.flow import parse_flow

TEXT = """flow: sale
version: 1
status: live
purpose: marketing
trigger: {on: date, at: 2026-03-09 09:00, segment: vip, spread: 4h}
steps: [{send: {message: a}}]
"""
#: The moment in the last time zone in which it comes, and the end of the campaign there.
LAST_MOMENT = datetime(2026, 3, 9, 21, tzinfo=UTC)
END = LAST_MOMENT + timedelta(hours=4, days=1)


@pytest.mark.parametrize(("now", "count"), [(LAST_MOMENT, 0), (END, 0), (END + timedelta(minutes=1), 1)])
def test_a_campaign_that_is_over(tmp_path: Path, now: datetime, count: int) -> None:
    """A campaign that can start for nobody any more is a warning at its moment."""
    folder = tmp_path / "flows" / "care" / "sale"
    folder.mkdir(parents=True)
    (folder / "flow.yaml").write_text(TEXT, encoding="utf-8")
    flow = parse_flow(TEXT, ["a"], "sale", ["vip"])
    assert not isinstance(flow, list)
    problems = check_past_campaigns(tmp_path, [flow], now)
    assert [(problem.id, problem.location.line, problem.location.column) for problem in problems] == [
        ("flow.W013", 5, 25)
    ] * count
