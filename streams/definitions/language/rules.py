"""From the text of rules.yaml and segments.yaml to the shop's rules and its segments, or to everything that is wrong with them."""

from __future__ import annotations

from datetime import time, timedelta
from typing import get_args

import yaml

from streams.core.model.consent_policy import Purpose, is_transactional
from streams.core.model.flow import Condition
from streams.core.model.sending_rules import NO_RULES, Cap, QuietHours, SendingRules
from streams.definitions.language.conditions import Scope
from streams.definitions.language.yaml_reader import FlowError, Reader, empty, read_yaml

#: A customer's mails are remembered up to a number (world.Limits.sends), and what the caps count must fit into it, beside a few that are owed.
MOST_TOGETHER = 30
MOST = 20
_MIDNIGHT = time()
_SEGMENT_SCOPE = Scope(
    dict.fromkeys(("order", "shipment", "product", "event", "reward"), "a segment is about the customer alone"), None
)


def parse_rules(text: str) -> SendingRules | list[FlowError]:
    """The rules that rules.yaml describes, or all that is wrong with it; an empty file has none."""
    return read_yaml(text, _RulesReader(), _RulesReader.rules)


def parse_segments(text: str) -> dict[str, Condition] | list[FlowError]:
    """The segments that segments.yaml describes, by name, or all that is wrong with it."""
    return read_yaml(text, _RulesReader(), _RulesReader.segments)


class _RulesReader(Reader):
    def segments(self, root: yaml.Node | None) -> dict[str, Condition]:
        """A mapping of names to conditions."""
        if root is None:
            return {}
        if not isinstance(root, yaml.MappingNode):
            self.wrong(root, "here a mapping is expected", "name: condition")
            return {}
        found: dict[str, Condition] = {}
        for key, value in root.value:
            name = self.name(key, "segment")
            if name in found:
                self.wrong(key, f"the segment {name!r} is there twice", "keep one of them")
            condition = self.condition(value, _SEGMENT_SCOPE)
            if condition is not None:
                found[name] = condition
        return found

    def rules(self, root: yaml.Node | None) -> SendingRules:
        """All rules."""
        values = self.mapping(root or empty("rules.yaml"), ("caps", "quiet_hours", "holdout", "calm", "outside"))
        calm = self.mapping(values["calm"], ("while_late", "after_refund", "while_running")) if "calm" in values else {}
        caps = tuple([self.cap(item) for item in self.items(values["caps"], "caps")]) if "caps" in values else ()
        counted = sum(cap.most for cap in caps)
        if counted > MOST_TOGETHER:
            self.wrong(
                values["caps"],
                f"the caps count {counted} mails together",
                f"{MOST_TOGETHER} at most, so that all are remembered",
            )
        return SendingRules(
            caps=caps,
            quiet=self.quiet(values["quiet_hours"]) if "quiet_hours" in values else None,
            holdout=self.percent(values["holdout"]) if "holdout" in values else 0,
            pause_if_late=self.truth(calm["while_late"]) if "while_late" in calm else NO_RULES.pause_if_late,
            pause_after_refund=self.duration(calm["after_refund"]) if "after_refund" in calm else timedelta(),
            pause_series=self.series(calm, "while_running"),
            external_series=self.series(values, "outside"),
        )

    def series(self, values: dict[str, yaml.Node], key: str) -> tuple[str, ...]:
        """The names of other systems' series."""
        return tuple([self.name(item, "series") for item in self.items(values[key], "series")]) if key in values else ()

    def cap(self, node: yaml.Node) -> Cap:
        """One cap."""
        values = self.mapping(node, ("most", "per", "of"), ("most", "per"))
        known = [purpose for purpose in get_args(Purpose) if not is_transactional(purpose)]
        named = self.items(values["of"], "purposes") if "of" in values else []
        if "of" in values and not named:
            self.wrong(values["of"], "a cap of nothing", "name purposes, or leave of out: then it is of all")
        purposes = [self.choice(item, known, "purpose") for item in named]
        return Cap(
            most=self.number(values["most"], 1, MOST) if "most" in values else 1,
            per=self.duration(values["per"]) if "per" in values else timedelta(days=1),
            purposes=tuple(purposes),
        )

    def quiet(self, node: yaml.Node) -> QuietHours:
        """The quiet hours."""
        values = self.mapping(node, ("from", "to", "not_on", "holidays"), ("from", "to"))
        before = len(self.errors)
        begins = self.clock(values["from"]) if "from" in values else _MIDNIGHT
        ends = self.clock(values["to"]) if "to" in values else _MIDNIGHT
        if begins == ends and len(self.errors) == before:
            self.wrong(node, "the quiet hours end when they begin", 'for example {from: "21:00", to: "08:00"}')
        days = self.weekdays(values["not_on"]) if "not_on" in values else frozenset()
        holidays = self.truth(values["holidays"]) if "holidays" in values else False
        return QuietHours(begins=begins, ends=ends, days=days, holidays=holidays)

    def truth(self, node: yaml.Node) -> bool:
        """Yes or no."""
        return self.choice(node, ("true", "false"), "answer") == "true"
