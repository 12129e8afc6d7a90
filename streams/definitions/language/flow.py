"""Reads flow.yaml into a Flow, or reports every problem at its line and column."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, get_args

import yaml
from msgspec.structs import replace

from streams.core.rules.consent_policy import Purpose, is_transactional
from streams.core.rules.flow import Clock, Condition, Flow, Migration, OncePer, Status, Trigger, Which
from streams.core.rules.trigger_names import (
    BACKFILLED,
    CAMPAIGN,
    DATES,
    EXITS,
    LAUNCH,
    MOMENTARY,
    NAMED_DATE,
    REACHED,
    REWARD_EXPIRING,
    TRIGGERS,
    is_about_order,
)
from streams.core.values.text import FIELD_NAME
from streams.definitions.language import keys
from streams.definitions.language.scopes import THRESHOLD_SCOPE
from streams.definitions.language.steps.kinds import READERS
from streams.definitions.language.steps.reader import StepReader
from streams.definitions.language.yaml_reader import YEARS, empty, read_yaml
from streams.definitions.problems import Problem

_DAYS_OF_YEAR = 365


def parse_flow(
    text: str, messages: Collection[str], folder: str, segments: Collection[str] = ()
) -> Flow | list[Problem]:
    """Return the flow in `text`, or all problems in it.

    Args:
        text: the content of flow.yaml.
        messages: the names of the messages beside it.
        folder: the name of its folder, which is the name of the flow.
        segments: the names of all segments.
    """
    return read_yaml(text, _FlowReader(messages, folder, segments), _FlowReader.flow)


class _FlowReader(StepReader):
    """Reads a flow. The trigger is read first, because it decides what steps and conditions can use."""

    def __init__(self, messages: Collection[str], folder: str, segments: Collection[str]) -> None:
        super().__init__(READERS, messages, segments)
        self.folder = folder

    def flow(self, root: yaml.Node | None) -> Flow:
        """Return the whole flow."""
        root = root if root is not None else empty("flow.yaml")
        values = self.mapping(root, *keys.FLOW)
        name = self.folder
        if "flow" in values:
            before = len(self.problems)
            name = self.name(values["flow"], "flow")
            if len(self.problems) == before and name != self.folder:
                message = f"the flow's name {name!r} differs from its folder {self.folder!r}"
                self.error("flow.E001", values["flow"], message, f"write `flow: {self.folder}`")
        status = self.choice(values["status"], get_args(Status), "status") if "status" in values else "draft"
        if "purpose" in values:
            self.purpose = self.choice(values["purpose"], get_args(Purpose), "purpose", "marketing")  # type: ignore[assignment]  # one of the literals
        if "trigger" in values:
            self.trigger = self.read_trigger(values["trigger"])
        holdout = self.percent(values["holdout"]) if "holdout" in values else 0
        if holdout and is_transactional(self.purpose):
            self.no_holdout(values["holdout"])
        version = self.number(values["version"], *keys.VERSION) if "version" in values else 1
        return Flow(
            name=name,
            version=version,
            status=status,  # type: ignore[arg-type]  # choice gives one of the literals
            purpose=self.purpose,
            trigger=self.trigger,
            exit_on=self.exits(values["exit_on"]) if "exit_on" in values else (),
            goal=self.condition(values["goal"], self.scope) if "goal" in values else None,
            holdout=holdout,
            not_with=self.others(values["not_with"]) if "not_with" in values else (),
            migrations=self.migrations(values["migrations"], version) if "migrations" in values else (),
            max_age=self.duration(values["max_age"]) if "max_age" in values else None,
            steps=self.steps(values["steps"]) if "steps" in values else (),
        )

    def exits(self, node: yaml.Node) -> tuple[str, ...]:
        """Return the events that end the flow."""
        names = []
        for item in self.items(node, "events"):
            if self.text(item).startswith("segment."):
                hint = "write the condition as `goal`, for example \"not 'vip' in customer.segments\""
                self.error("yaml.E012", item, f"{self.text(item)} cannot end a flow", hint)
            name = self.event(item, EXITS, "event")
            if name == self.trigger.on and name != "order.placed" and name not in MOMENTARY:
                self.mismatch("flow.E003", item, f"{name} starts this flow, so it would end immediately", "remove it")
            elif is_about_order(name) and name != "order.placed" and not is_about_order(self.trigger.on):
                message = f"{name} can never end this flow: {self.lacks('order')}"
                self.mismatch("flow.E004", item, message, "remove it")
            names.append(name)
        return tuple(names)

    def others(self, node: yaml.Node) -> tuple[str, ...]:
        """Return the flows for which this flow's emails wait."""
        names = tuple([self.name(item, "flow") for item in self.items(node, "flows")])
        if self.folder in names:
            self.error("flow.E006", node, "a flow cannot wait for itself", f"remove {self.folder}")
        return names

    def migrations(self, node: yaml.Node, newer: int) -> tuple[Migration, ...]:
        """Return the migrations from older versions to version `newer`."""
        migrations: list[Migration] = []
        for item in self.items(node, "migrations"):
            values = self.mapping(item, *keys.MIGRATION)
            if len(values) < 2:
                continue
            version = self.number(values["from"], *keys.VERSION)
            if version >= newer:
                message = f"version {version} is not older than this version ({newer})"
                self.error("flow.E007", values["from"], message, "raise the version of this file")
            elif version in [migration.version for migration in migrations]:
                self.error("flow.E008", values["from"], f"duplicate migration from version {version}", "merge the two")
            migrations.append(Migration(version=version, steps=self.mapped(values["steps"])))
        return tuple(migrations)

    def mapped(self, node: yaml.Node) -> tuple[tuple[str, str], ...]:
        """Return pairs of an old path and the new one."""
        if not isinstance(node, yaml.MappingNode) or not node.value:
            hint = 'write old path: new path, for example {"1.0.0": "2.0.0"}'
            self.error("flow.E009", node, "the migration maps no steps", hint)
            return ()
        paths: dict[str, str] = {}
        for key, value in node.value:
            old, new = self.path(key), self.path(value)
            if old in paths:
                self.duplicate(key, old)
            paths[old] = new
        return tuple(paths.items())

    def path(self, node: yaml.Node) -> str:
        """Return the path of a step."""
        value = self.text(node)
        if not keys.PATH.match(value):
            hint = "`takk flows show` prints the paths, for example 1.0.2"
            self.error("flow.E010", node, f"invalid step path {value!r}", hint)
        return value

    def read_trigger(self, node: yaml.Node) -> Trigger:
        """Return what starts the flow."""
        before = len(self.problems)
        values = self.mapping(node, *keys.TRIGGER)
        on = self.event(values["on"], TRIGGERS, "trigger") if "on" in values else TRIGGERS[0]
        once_per = "order" if is_about_order(on) else "product" if on.startswith("product.") else "customer"
        requested = once_per
        if "once_per" in values:
            requested = self.choice(values["once_per"], get_args(OncePer), "`once_per` value")
        self.is_trigger_valid = len(self.problems) == before
        if requested == "parcel" and not on.startswith("shipment."):
            self.mismatch("flow.E011", values["once_per"], f"{on} has no parcel", f"write `once_per: {once_per}`")
        elif requested == "customer" and on == LAUNCH:
            message = f"{on} happens once per product"
            self.mismatch("flow.E011", values["once_per"], message, f"write `once_per: {once_per}`")
        elif requested not in ("customer", once_per) and not is_about_order(on):
            self.mismatch("flow.E011", values["once_per"], f"{on} has no {requested}", f"write `once_per: {once_per}`")
        else:
            once_per = requested
        which = "each" if once_per == "parcel" else "last" if on == "shipment.delivered" else "first"
        if "which" in values:
            which = self.choice(values["which"], get_args(Which), "`which` value")
            if not on.startswith("shipment."):
                self.mismatch("flow.E012", values["which"], f"`which` selects a parcel, and {on} has none", "remove it")
            elif (which == "each") != (once_per == "parcel"):
                message = f"`which: {which}` conflicts with `once_per: {once_per}`"
                self.mismatch(
                    "flow.E013", values["which"], message, "for each parcel, write `once_per: parcel` and `which: each`"
                )
        if "again_after" in values and on in DATES:
            message = f"{on} already repeats every year"
            self.mismatch("flow.E014", values["again_after"], message, "remove it")
        if "again_after" in values and on == LAUNCH:
            self.mismatch("flow.E014", values["again_after"], "a product is launched only once", "remove it")
        if "again_after" in values and on == REWARD_EXPIRING:
            self.mismatch("flow.E014", values["again_after"], "each code ends only once", "remove it")
        has_before = on in DATES or on in (LAUNCH, REWARD_EXPIRING)
        if on == REWARD_EXPIRING and "before" not in values:
            self.missing(node, ["before"])
        if "before" in values and not has_before:
            message = f"`before` needs a date that is known in advance, and {on} has none"
            hint = f"remove it, or start with customer.birthday, customer.anniversary, customer.date, product.launch or {REWARD_EXPIRING}"
            self.mismatch("flow.E015", values["before"], message, hint)
        self.trigger = Trigger(
            on=on,
            once_per=once_per,  # type: ignore[arg-type]  # choice gives one of the literals
            which=which,  # type: ignore[arg-type]  # as above
            again_after=self.duration(values["again_after"]) if "again_after" in values else None,
            segment=self.segment(node, values.get("segment"), on),
            before=self.whole_days(values["before"]) if "before" in values and has_before else 0,
            date=self.date_name(node, values.get("date"), on),
            threshold=self.threshold(node, values.get("threshold"), on),
            backfill=self.backfill(values, on),
            **self.campaign(node, values, on),
        )
        # The trigger decides what its own condition can use.
        return replace(self.trigger, where=self.condition(values["where"], self.scope) if "where" in values else None)

    def whole_days(self, node: yaml.Node) -> int:
        """Return a number of whole days, up to a year."""
        span = self.duration(node)
        if span.seconds or span.days > _DAYS_OF_YEAR:
            hint = f"use whole days up to {_DAYS_OF_YEAR}d, for example 3d"
            self.error("flow.E016", node, f"invalid number of days {self.text(node)!r}", hint)
        return span.days

    def segment(self, trigger: yaml.Node, node: yaml.Node | None, on: str) -> str:
        """Return the segment of the trigger."""
        if on != CAMPAIGN and not on.startswith("segment."):
            if node is not None:
                self.mismatch("flow.E017", node, f"{on} has no segment", "remove it")
            return ""
        if node is None:
            self.missing(trigger, ["segment"])
            return ""
        return self.choice(node, self.segments, "segment")

    def campaign(self, trigger: yaml.Node, values: Mapping[str, yaml.Node], on: str) -> dict[str, Any]:
        """Return the moment of a campaign, whose clock it is by, and over what time it is spread. A backfill may be spread too."""
        has_spread = on == CAMPAIGN or ("backfill" in values and self.text(values["backfill"]) == "true")
        for key in ("at", "clock", "spread"):
            if key in values and on != CAMPAIGN and not (key == "spread" and has_spread):
                hint = f"remove it, or start with {CAMPAIGN}"
                self.mismatch("flow.E079", values[key], f"{on} has no moment of its own", hint)
        if not has_spread:
            return {}
        if on == CAMPAIGN and "at" not in values:
            self.missing(trigger, ["at"])
        spread = self.duration(values["spread"]) if "spread" in values else timedelta()
        if spread > timedelta(days=keys.LONGEST_SPREAD):
            hint = f"at most {keys.LONGEST_SPREAD}d, for example 4h"
            self.error("flow.E080", values["spread"], "the campaign is spread over too long a time", hint)
        if on != CAMPAIGN:
            return {"spread": spread}
        return {
            "at": self.moment(values["at"]) if "at" in values else keys.NO_MOMENT,
            "clock": self.choice(values["clock"], get_args(Clock), "clock") if "clock" in values else "customer",
            "spread": spread,
        }

    def backfill(self, values: Mapping[str, yaml.Node], on: str) -> bool:
        """Return whether the flow starts for the present members of its segment too."""
        if "backfill" in values and on not in BACKFILLED:
            hint = f"remove it, or start with {' or '.join(BACKFILLED)}"
            self.mismatch("flow.E081", values["backfill"], f"{on} has no present members", hint)
        return "backfill" in values and self.boolean(values["backfill"])

    def moment(self, node: yaml.Node) -> datetime:
        """Return a day with a time of day, without a time zone."""
        match = keys.MOMENT.match(self.text(node))
        if match:
            with contextlib.suppress(ValueError):
                day = date.fromisoformat(match[1])
                if day.year in YEARS:
                    return datetime.combine(day, time(int(match[2]), int(match[3])))
        hint = "use a day and a time of day, for example 2026-12-01 09:00"
        self.error("flow.E078", node, f"invalid moment {self.text(node)!r}", hint)
        return keys.NO_MOMENT

    def threshold(self, trigger: yaml.Node, node: yaml.Node | None, on: str) -> Condition | None:
        """Return the condition that starts the flow when it becomes true."""
        if on != REACHED:
            if node is not None:
                self.mismatch("flow.E073", node, f"{on} has no threshold", f"remove it, or start with {REACHED}")
            return None
        if node is None:
            self.missing(trigger, ["threshold"])
            return None
        return self.condition(node, THRESHOLD_SCOPE)

    def date_name(self, trigger: yaml.Node, node: yaml.Node | None, on: str) -> str:
        """Return the name of the customer's date that starts the flow."""
        if on != NAMED_DATE:
            if node is not None:
                self.mismatch("flow.E065", node, f"{on} has no named date", f"remove it, or start with {NAMED_DATE}")
            return ""
        if node is None:
            self.missing(trigger, ["date"])
            return ""
        name = self.text(node)
        if not FIELD_NAME.match(name):
            hint = "use lowercase letters, digits and underscores, starting with a letter"
            self.error("flow.E066", node, f"invalid name of a date {name!r}", hint)
        return name
