"""Campaigns and backfills on a real broker: whatever kills the worker during a walk, each customer of the segment starts once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from streams.tools.local.kafka.committed import read_all
from streams.tools.local.oracle_walks import walk_timers
from streams.wire import topics
from tests.harness import records
from tests.harness.patient_templates import patient_templates
from tests.harness.stack import Stack, open_stack

CUSTOMERS = 240
#: Every third customer is in the segment.
MEMBERS = {f"customer-{number}" for number in range(0, CUSTOMERS, 3)}
FLOW = """flow: {name}
version: 1
status: live
purpose: marketing
trigger: {{{trigger}}}
steps:
  - send: {{message: invite}}
"""
#: Each kills the worker at another point of a slice: before its transaction, in it, after its commit, and after it is on disk.
FAILPOINTS = ("walks.visited@2", "flows.marker_produced@3", "flows.marker_committed@2", "flows.marker_stored@4")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack without a campaign, in which a day lasts a day, and walks are slow."""
    templates = patient_templates(tmp_path / "templates")
    with (templates / "segments.yaml").open("a", encoding="utf-8") as segments:
        segments.write("members: customer.attributes.member == 'yes'\n")
    (templates / "rules.yaml").write_text("{}\n")
    env = {"TAKK_TEMPLATES_DIR": str(templates), "TAKK_WALK_RATE": "20"}
    with open_stack(tmp_path, day_s=86_400.0, env=env) as stack:
        yield stack


def add_flows(templates: Path) -> None:
    """Add a campaign whose moment has just come, and a flow with a backfill."""
    at = datetime.now(ZoneInfo("Europe/Copenhagen")) - timedelta(minutes=1)
    triggers = {
        "sale": f"on: date, at: {at:%Y-%m-%d %H:%M}, clock: shop, segment: members",
        "welcome": "on: segment.entered, segment: members, backfill: true",
    }
    other = templates / "flows" / "loyalty" / "photo-contest"
    for name, trigger in triggers.items():
        folder = templates / "flows" / "loyalty" / name
        (folder / "copy").mkdir(parents=True)
        for file in ("invite.html.j2", "invite.txt.j2", "copy/en.yaml", "copy/da.yaml"):
            (folder / file).write_bytes((other / file).read_bytes())
        (folder / "flow.yaml").write_text(FLOW.format(name=name, trigger=trigger))


@pytest.mark.campaign
def test_a_worker_is_killed_during_a_campaign(stack: Stack) -> None:
    """The worker is killed at four points of the walks: each customer of the segment starts each flow once, and no other customer does."""
    now = datetime.now(UTC)
    for number in range(CUSTOMERS):
        name = f"customer-{number}"
        profile = records.profile(
            customer_id=name,
            email=f"{name}@example.org",
            country="DK",
            marketing_consent=True,
            occurred_at=now,
            attributes={"member": "yes" if name in MEMBERS else "no"},
        )
        stack.enqueue(topics.CUSTOMERS, name.encode(), profile)
    stack.wait_until_idle()
    for process in stack.processes:
        process.kill()
    templates = stack.settings.templates_dir
    stack.other_templates.append(shutil.copytree(templates, templates.with_name("earlier-templates")))
    add_flows(templates)
    stack.kill_worker_at(FAILPOINTS)
    stack.start()
    sent = 'takk_walk_left{partition="%d"}'
    wanted = {sent % number: 0.0 for number in range(stack.settings.partitions)}
    stack.wait_until(lambda: wanted.items() <= stack.worker.series().items(), "no walk is left")
    stack.wait_until_idle()
    verdict = stack.judge()
    assert verdict.problems == []
    assert (verdict.lost, verdict.duplicates) == ([], [])
    timers = walk_timers(read_all(stack.settings.kafka(), [topics.DELAYS]), stack.codec)
    expected = sorted((flow, customer) for flow in ("sale", "welcome") for customer in MEMBERS)
    # A customer whom the campaign reaches first enters the segment by it, before the backfill reaches them.
    assert {customer for flow, _, customer in timers if flow == "sale"} == MEMBERS
    assert "welcome" in {flow for flow, _, _ in timers}
    assert sorted((mail["flow"], mail["customer_id"]) for mail in stack.records(topics.COMMANDS)) == expected
