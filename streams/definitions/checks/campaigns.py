"""Campaigns whose moment is past, so that they start for nobody."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from streams.core.rules.flow import Flow
from streams.core.rules.trigger_names import CAMPAIGN
from streams.definitions.checks.layout import FLOW
from streams.definitions.language.positions import positions_in
from streams.definitions.problems import Problem, problem_at
from streams.mail.rendering.template_folders import flow_folders

#: The last time zone in which a moment of the calendar comes, in hours behind UTC.
_WEST = timedelta(hours=12)


def check_past_campaigns(root: Path, flows: Iterable[Flow], now: datetime) -> list[Problem]:
    """Return a warning for each campaign that is past in every time zone.

    Args:
        root: the templates folder.
        flows: the newest version of each flow.
        now: the present time, UTC.
    """
    found = []
    for flow in flows:
        at, spread = flow.trigger.at, flow.trigger.spread
        if flow.trigger.on == CAMPAIGN and at is not None:
            over_at = at.replace(tzinfo=UTC) + _WEST + spread + flow.oldest_event
            if over_at < now:
                message = f"the campaign of {at:%Y-%m-%d %H:%M} is over: it starts for no further customer"
                problem = problem_at("trigger.at", "flow.W013", message, "write a later `at`, or delete the flow")
                path = flow_folders(root)[flow.name] / FLOW
                found.append(problem.in_file(path, positions_in(path.read_text(encoding="utf-8"))))
    return found
