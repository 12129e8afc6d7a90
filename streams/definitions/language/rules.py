"""Reads rules.yaml and segments.yaml into the shop's sending rules and segments, or reports every problem."""

from __future__ import annotations

import re
from datetime import time, timedelta
from pathlib import Path
from typing import get_args

import yaml

from streams.core.rules.consent_policy import Purpose, is_transactional
from streams.core.rules.flow import Condition
from streams.core.rules.sending_rules import NO_RULES, Cap, HistoryState, QuietHours, SendingRules
from streams.definitions.language.scopes import SEGMENT_SCOPE
from streams.definitions.language.yaml_reader import Reader, empty, read_yaml
from streams.definitions.problems import Problem

#: Emails that all caps together may count. They must fit into a customer's remembered sends (Limits.sends), beside transactional ones.
MOST_TOGETHER = 30
MOST = 20
_MIDNIGHT = time()


def parse_rules(text: str) -> SendingRules | list[Problem]:
    """Return the rules in rules.yaml, or all problems in it. An empty file has no rules."""
    return read_yaml(text, _RulesReader(), _RulesReader.rules)


def parse_segments(text: str) -> dict[str, Condition] | list[Problem]:
    """Return the conditions in segments.yaml by name of the segment, or all problems in it."""
    return read_yaml(text, _RulesReader(), _RulesReader.segments)


def segment_names(path: Path) -> list[str]:
    """Return the names of the segments in segments.yaml, whatever else is wrong in it; none if it is missing or unreadable.

    Flows that use a segment whose condition is invalid have no error of their own.
    """
    try:
        return re.findall(r"""^ *["']?([a-z][a-z0-9-]*)["']? *:""", path.read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return []


class _RulesReader(Reader):
    def segments(self, root: yaml.Node | None) -> dict[str, Condition]:
        """Return a mapping of names to conditions."""
        if root is None:
            return {}
        if not isinstance(root, yaml.MappingNode):
            self.error("yaml.E005", root, "expected a mapping", "write name: condition")
            return {}
        segments: dict[str, Condition] = {}
        for key, value in root.value:
            name = self.name(key, "segment")
            if name in segments:
                self.duplicate(key, name)
            condition = self.condition(value, SEGMENT_SCOPE)
            if condition is not None:
                segments[name] = condition
        return segments

    def rules(self, root: yaml.Node | None) -> SendingRules:
        """Return all rules."""
        values = self.mapping(
            root or empty("rules.yaml"), ("caps", "quiet_hours", "holdout", "calm", "outside", "history")
        )
        calm = self.mapping(values["calm"], ("while_late", "after_refund", "while_running")) if "calm" in values else {}
        caps = tuple([self.cap(item) for item in self.items(values["caps"], "caps")]) if "caps" in values else ()
        counted = sum(cap.most for cap in caps)
        if counted > MOST_TOGETHER:
            message = f"the caps together count {counted} emails"
            self.error("rules.E001", values["caps"], message, f"reduce them to {MOST_TOGETHER} at most")
        return SendingRules(
            caps=caps,
            quiet=self.quiet(values["quiet_hours"]) if "quiet_hours" in values else None,
            holdout=self.percent(values["holdout"]) if "holdout" in values else 0,
            pause_if_late=self.boolean(calm["while_late"]) if "while_late" in calm else NO_RULES.pause_if_late,
            pause_after_refund=self.duration(calm["after_refund"]) if "after_refund" in calm else timedelta(),
            pause_series=self.series(calm, "while_running"),
            external_series=self.series(values, "outside"),
            history=self.choice(values["history"], get_args(HistoryState), "history")
            if "history" in values
            else NO_RULES.history,  # type: ignore[arg-type]  # choice gives one of the literals
        )

    def series(self, values: dict[str, yaml.Node], key: str) -> tuple[str, ...]:
        """Return the names of other systems' series."""
        return tuple([self.name(item, "series") for item in self.items(values[key], "series")]) if key in values else ()

    def cap(self, node: yaml.Node) -> Cap:
        """Return one cap."""
        values = self.mapping(node, ("most", "per", "of"), ("most", "per"))
        known = [purpose for purpose in get_args(Purpose) if not is_transactional(purpose)]
        named = self.items(values["of"], "purposes") if "of" in values else []
        if "of" in values and not named:
            hint = "list at least one purpose, or remove `of` to cap all emails"
            self.error("rules.E002", values["of"], "`of` is empty", hint)
        purposes = [self.choice(item, known, "purpose") for item in named]
        return Cap(
            most=self.number(values["most"], 1, MOST) if "most" in values else 1,
            per=self.duration(values["per"]) if "per" in values else timedelta(days=1),
            purposes=tuple(purposes),
        )

    def quiet(self, node: yaml.Node) -> QuietHours:
        """Return the quiet hours."""
        values = self.mapping(node, ("from", "to", "not_on", "holidays"), ("from", "to"))
        before = len(self.problems)
        begins = self.clock(values["from"]) if "from" in values else _MIDNIGHT
        ends = self.clock(values["to"]) if "to" in values else _MIDNIGHT
        if begins == ends and len(self.problems) == before:
            hint = 'write for example {from: "21:00", to: "08:00"}'
            self.error("rules.E003", node, "the quiet hours start and end at the same time", hint)
        days = self.weekdays(values["not_on"]) if "not_on" in values else frozenset()
        holidays = self.boolean(values["holidays"]) if "holidays" in values else False
        return QuietHours(begins=begins, ends=ends, days=days, holidays=holidays)
