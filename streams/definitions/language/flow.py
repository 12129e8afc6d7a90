"""From the text of a flow.yaml to a Flow, or to everything that is wrong with it, each at its line and column."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

import yaml

from streams.core.model.consent_policy import Purpose, is_transactional
from streams.core.model.flow import (
    DATES,
    EXITS,
    LAUNCH,
    TRIGGERS,
    Flow,
    Migration,
    OncePer,
    Status,
    Trigger,
    Which,
    is_about_order,
)
from streams.definitions.language import keys
from streams.definitions.language.steps import StepReader
from streams.definitions.language.yaml_reader import FlowError, empty, read_yaml

__all__ = ["FlowError", "parse_flow"]

_DAYS_OF_YEAR = 365


def parse_flow(
    text: str, messages: Collection[str], folder: str, segments: Collection[str] = ()
) -> Flow | list[FlowError]:
    """The flow that `text` describes, or all that is wrong with it.

    Args:
        text: what flow.yaml holds.
        messages: the names of the messages that lie beside it.
        folder: the name of its folder, which is the flow's name.
        segments: the names of the segments that there are.
    """
    return read_yaml(text, _FlowReader(messages, folder, segments), _FlowReader.flow)


class _FlowReader(StepReader):
    """Reads a flow. The trigger is read first: it says what steps and conditions may ask for."""

    def __init__(self, messages: Collection[str], folder: str, segments: Collection[str]) -> None:
        super().__init__(messages, segments)
        self.folder = folder

    def flow(self, root: yaml.Node | None) -> Flow:
        """The whole flow."""
        root = root if root is not None else empty("flow.yaml")
        values = self.mapping(root, *keys.FLOW)
        name = self.folder
        if "flow" in values:
            before = len(self.errors)
            name = self.name(values["flow"], "flow")
            if len(self.errors) == before and name != self.folder:
                self.wrong(
                    values["flow"], f"the flow {name!r} lies in the folder {self.folder!r}", f"flow: {self.folder}"
                )
        status = self.choice(values["status"], get_args(Status), "status") if "status" in values else "draft"
        if "purpose" in values:
            self.purpose = self.choice(values["purpose"], get_args(Purpose), "purpose", "marketing")  # type: ignore[assignment]  # one of the literals
        if "trigger" in values:
            self.starts = self.trigger(values["trigger"])
        holdout = self.percent(values["holdout"]) if "holdout" in values else 0
        if holdout and is_transactional(self.purpose):
            self.wrong(values["holdout"], "nobody can be held out of mails that are owed", "leave holdout out")
        version = self.number(values["version"], *keys.VERSION) if "version" in values else 1
        return Flow(
            name=name,
            version=version,
            status=status,  # type: ignore[arg-type]  # choice gives one of the literals
            purpose=self.purpose,
            trigger=self.starts,
            exit_on=self.exits(values["exit_on"]) if "exit_on" in values else (),
            goal=self.condition(values["goal"], self.scope) if "goal" in values else None,
            holdout=holdout,
            not_with=self.others(values["not_with"]) if "not_with" in values else (),
            migrations=self.migrations(values["migrations"], version) if "migrations" in values else (),
            steps=self.steps(values["steps"], "", 0) if "steps" in values else (),
        )

    def exits(self, node: yaml.Node) -> tuple[str, ...]:
        """The events that end the flow."""
        found = []
        for item in self.items(node, "events"):
            name = self.choice(item, EXITS, "event")
            if name == self.starts.on and name != "order.placed":
                self.misfit(item, f"the flow begins with {name} and would end at once", "take it out")
            elif is_about_order(name) and name != "order.placed" and not is_about_order(self.starts.on):
                self.misfit(item, f"a flow on {self.starts.on} has no order, so {name} never ends it", "take it out")
            found.append(name)
        return tuple(found)

    def others(self, node: yaml.Node) -> tuple[str, ...]:
        """The flows that this one's mails wait for."""
        names = tuple([self.name(item, "flow") for item in self.items(node, "flows")])
        if self.folder in names:
            self.wrong(node, "a flow cannot wait for itself", f"take {self.folder} out")
        return names

    def migrations(self, node: yaml.Node, newer: int) -> tuple[Migration, ...]:
        """Whom the version `newer` takes over from older ones."""
        found: list[Migration] = []
        for item in self.items(node, "migrations"):
            values = self.mapping(item, *keys.MIGRATION)
            if len(values) < 2:
                continue
            version = self.number(values["from"], *keys.VERSION)
            if version >= newer:
                self.wrong(values["from"], f"version {version} is not older than this one", "give this one a higher")
            elif version in [one.version for one in found]:
                self.wrong(values["from"], f"version {version} is there twice", "make it one")
            found.append(Migration(version=version, steps=self.mapped(values["steps"])))
        return tuple(found)

    def mapped(self, node: yaml.Node) -> tuple[tuple[str, str], ...]:
        """Old paths and new ones."""
        if not isinstance(node, yaml.MappingNode) or not node.value:
            self.wrong(node, "no step is mapped", 'old path: new path, for example {"1.0.0": "2.0.0"}')
            return ()
        found: dict[str, str] = {}
        for key, value in node.value:
            old, new = self.path(key), self.path(value)
            if old in found:
                self.wrong(key, f"the step {old!r} is there twice", "keep one of them")
            found[old] = new
        return tuple(found.items())

    def path(self, node: yaml.Node) -> str:
        """The path of a step."""
        value = self.text(node)
        if not keys.PATH.match(value):
            self.wrong(node, f"{value!r} is no path of a step", "`takk flows show` has them, for example 1.0.2")
        return value

    def trigger(self, node: yaml.Node) -> Trigger:
        """What starts the flow."""
        before = len(self.errors)
        values = self.mapping(node, *keys.TRIGGER)
        on = self.choice(values["on"], TRIGGERS, "trigger") if "on" in values else TRIGGERS[0]
        once_per = "order" if is_about_order(on) else "product" if on.startswith("product.") else "customer"
        asked = self.choice(values["once_per"], get_args(OncePer), "once_per") if "once_per" in values else once_per
        self.is_sure = len(self.errors) == before
        if asked == "parcel" and not on.startswith("shipment."):
            self.misfit(values["once_per"], f"{on} knows no parcel", f"once_per: {once_per}")
        elif asked == "customer" and on == LAUNCH:
            self.misfit(values["once_per"], "each launch is that of a product", f"once_per: {once_per}")
        elif asked not in ("customer", once_per) and not is_about_order(on):
            self.misfit(values["once_per"], f"{on} knows no {asked}", f"once_per: {once_per}")
        else:
            once_per = asked
        which = "each" if once_per == "parcel" else "last" if on == "shipment.delivered" else "first"
        if "which" in values:
            which = self.choice(values["which"], get_args(Which), "which")
            if not on.startswith("shipment."):
                self.misfit(values["which"], f"{on} knows no parcels", "take it out")
            elif (which == "each") != (once_per == "parcel"):
                self.misfit(
                    values["which"],
                    f"which: {which} does not go with once_per: {once_per}",
                    "each parcel is once_per: parcel",
                )
        if "again_after" in values and on in DATES:
            self.misfit(values["again_after"], f"{on} comes again every year by itself", "take it out")
        if "again_after" in values and on == LAUNCH:
            self.misfit(values["again_after"], "a product is launched once", "take it out")
        has_before = on in DATES or on == LAUNCH
        if "before" in values and not has_before:
            self.misfit(
                values["before"],
                f"only a day of the customer's or a launch is known before it comes, {on} is not",
                "take it out",
            )
        starts = Trigger(
            on=on,
            once_per=once_per,  # type: ignore[arg-type]  # choice gives one of the literals
            which=which,  # type: ignore[arg-type]  # as above
            again_after=self.duration(values["again_after"]) if "again_after" in values else None,
            segment=self.segment(node, values.get("segment"), on),
            before=self.whole_days(values["before"]) if "before" in values and has_before else 0,
        )
        if "where" not in values:
            return starts
        self.starts = starts  # says what the condition may ask for
        where = self.condition(values["where"], self.scope)
        return Trigger(
            on=on, once_per=starts.once_per, which=starts.which, where=where, again_after=starts.again_after,
            segment=starts.segment, before=starts.before,
        )  # fmt: skip

    def whole_days(self, node: yaml.Node) -> int:
        """A number of days, of a year at most."""
        span = self.duration(node)
        if span.seconds or span.days > _DAYS_OF_YEAR:
            self.wrong(node, f"{self.text(node)!r} is not a number of days up to {_DAYS_OF_YEAR}", "for example 3d")
        return span.days

    def segment(self, trigger: yaml.Node, node: yaml.Node | None, on: str) -> str:
        """The segment that a trigger is about."""
        if not on.startswith("segment."):
            if node is not None:
                self.misfit(node, f"{on} is about no segment", "take it out")
            return ""
        if node is None:
            self.missing(trigger, ["segment"])
            return ""
        return self.choice(node, self.segments, "segment")
