"""Reads the steps of flow.yaml, or reports every problem in them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import get_args

import yaml

from streams.core.conditions.names import NAMES
from streams.core.model.consent_policy import Purpose, is_transactional
from streams.core.model.flow import (
    AWAITED,
    TRIGGERS,
    Branch,
    ChangeList,
    Clock,
    Emit,
    Experiment,
    Reward,
    Send,
    SetField,
    Split,
    Step,
    TargetTime,
    Trigger,
    Variant,
    Wait,
    WaitFor,
    WaitTarget,
    all_steps,
    is_about_order,
)
from streams.core.values.text import nearest, similar
from streams.definitions.language import keys
from streams.definitions.language.conditions import Absence, Scope
from streams.definitions.language.yaml_reader import WEEKDAYS, Reader

_DEEPEST = 8
#: Names that need the line of an order.
_OF_A_LINE = ("product.category", "product.quantity")
_OF_EVENTS = tuple(name for name in NAMES if name.startswith("event."))


class StepReader(Reader):
    """Reads the steps of a flow. The reader of the trigger sets `purpose`, `starts` and `is_sure` first: they decide what steps can use.

    Args:
        messages: the names of the messages beside the flow.
        segments: the names of all segments.
    """

    def __init__(self, messages: Collection[str], segments: Collection[str]) -> None:
        super().__init__()
        self.messages = sorted(messages)
        self.segments = sorted(segments)
        self.purpose: Purpose = "marketing"
        self.starts = Trigger(on=TRIGGERS[0])
        #: Whether the trigger is valid so far. An invalid trigger hides mismatches with it, because they may merely follow from it.
        self.is_sure = False
        #: The events of the enclosing wait_for steps. Conditions inside can use their data.
        self.heard: tuple[str, ...] = ()
        #: Whether a send precedes the current step.
        self.has_sent = False
        #: Whether a reward precedes the current step.
        self.has_rewarded = False

    def mismatch(self, id: str, node: yaml.Node, message: str, hint: str) -> None:
        """Note something that is impossible with this trigger."""
        if self.is_sure:
            self.error(id, node, message, hint)

    def lacks(self, what: str) -> str:
        """Return the reason why something is impossible with this trigger."""
        return f"a flow that starts with {self.starts.on} has no {what}"

    @property
    def scope(self) -> Scope:
        """What conditions can use here."""
        on = self.starts.on
        absent: dict[str, Absence] = {}
        if not self.is_sure:
            return Scope(absent, self.segments)
        if not is_about_order(on):
            hint = "use customer.*, or start with an order or a parcel"
            absent |= dict.fromkeys(("order", "shipment"), (self.lacks("order"), hint))
        elif not any(event.startswith("shipment.") for event in (on, *self.heard)):
            absent["shipment"] = (self.lacks("parcel"), "start with a parcel, or `wait_for` one")
        if self.starts.once_per != "product":
            absent["product"] = ("the flow does not run per product", "write `once_per: product` in the trigger")
        elif is_about_order(on):
            absent["product.is_coming"] = ("a product that was ordered is launched already", "remove it")
        else:
            absent |= dict.fromkeys(_OF_A_LINE, (f"{on} contains only the SKU of the product", "use product.sku"))
        available = {name for event in (on, *self.heard) for name in keys.TOLD.get(event, ())}
        if not available:
            absent["event"] = (f"{on} has no data of its own", "use customer.* or order.*")
        events = f"{on} does" if not self.heard else f"{' and '.join((on, *self.heard))} do"
        absent |= {
            name: (f"{events} not contain it", f"known: {', '.join(sorted(available))}")
            for name in _OF_EVENTS
            if name not in available
        }
        if not self.has_rewarded:
            absent["reward"] = ("no `reward` precedes it", "add a `reward` step before it")
        return Scope(absent, self.segments)

    def steps(self, node: yaml.Node, prefix: str, depth: int) -> tuple[Step, ...]:
        """Return a list of steps. `prefix` is the first part of their paths, `depth` the number of steps around them."""
        if depth > _DEEPEST:
            message = f"branches are nested more than {_DEEPEST} levels deep"
            self.error("flow.E018", node, message, "divide the flow in two")
            return ()
        items = self.items(node, "steps")
        if not items and isinstance(node, yaml.SequenceNode):
            self.error("flow.E019", node, "no steps", "add at least one, for example `- send: {message: …}`")
        steps: list[Step] = []
        for index, item in enumerate(items):
            steps.append(self.step(item, f"{prefix}{index}", depth))
            inner = [*all_steps(tuple(steps[-1:]))]
            self.has_sent = self.has_sent or any(isinstance(step, Send) for step in inner)
            self.has_rewarded = self.has_rewarded or any(isinstance(step, Reward) for step in inner)
        return tuple(steps)

    def step(self, node: yaml.Node, path: str, depth: int) -> Step:
        """Return one step: a mapping of one key, its kind."""
        values = self.mapping(node, *keys.STEP)
        if isinstance(node, yaml.MappingNode) and not node.value:
            self.error("flow.E020", node, "empty step", f"write one of {', '.join(keys.STEP.known)}")
        if len(values) > 1:
            hint = "start each step with a dash of its own"
            self.error("flow.E021", node, f"a step has one kind, but this one has {' and '.join(values)}", hint)
        for kind, value in values.items():
            if kind == "wait":
                return self.wait(value, path)
            if kind == "wait_for":
                return self.wait_for(value, path, depth)
            if kind == "split":
                return self.split(value, path, depth)
            if kind == "experiment":
                return self.experiment(value, path, depth)
            if kind == "send":
                return self.send(value, path)
            return self.effect(kind, value, path)
        return Wait(path=path)

    def effect(self, kind: str, node: yaml.Node, path: str) -> Step:
        """Return a step that neither waits, branches nor sends."""
        if kind == "add_to_list" or kind == "remove_from_list":
            return ChangeList(path=path, name=self.name(node, "list"), is_member=kind == "add_to_list")
        if kind == "emit":
            return Emit(path=path, kind=self.name(node, "signal"))
        if kind == "reward":
            return self.reward(node, path)
        values = self.mapping(node, *keys.SET)
        name = self.text(values["name"]) if "name" in values else ""
        if "name" in values and not keys.FIELD.match(name):
            hint = "use lowercase letters, digits and _, starting with a letter"
            self.error("yaml.E017", values["name"], f"invalid field name {name!r}", hint)
        value = self.text(values["value"]) if "value" in values else ""
        if len(value) > keys.LONGEST_VALUE:
            hint = f"use {keys.LONGEST_VALUE} characters at most"
            self.error("flow.E022", values["value"], f"the value is {len(value)} characters long", hint)
        return SetField(path=path, name=name, value=value)

    def reward(self, node: yaml.Node, path: str) -> Reward:
        """Return a reward: a signed code, or a code from a pool."""
        values = self.mapping(node, *keys.REWARD)
        if "within" in values and "pool" not in values:
            message = "`within` needs a pool: a signed code is never waited for"
            self.error("flow.E023", values["within"], message, "add `pool`, or remove `within`")
        return Reward(
            path=path,
            name=self.name(values["name"], "reward") if "name" in values else "",
            expires=self.duration(values["expires"]) if "expires" in values else timedelta(days=30),
            pool=self.name(values["pool"], "pool") if "pool" in values else "",
            within=self.limit(values["within"]) if "within" in values else timedelta(days=1),
        )

    def limit(self, node: yaml.Node) -> timedelta:
        """Return the longest time to wait for something."""
        span = self.duration(node)
        if span.days > keys.DAYS[1]:
            self.error("flow.E024", node, f"{self.text(node)} is too long", f"wait {keys.DAYS[1]}d at most")
        return span

    def wait(self, node: yaml.Node, path: str) -> Wait:
        """Return a wait: a duration, or a mapping."""
        if isinstance(node, yaml.ScalarNode):
            months = keys.MONTHS_SPAN.match(self.text(node))
            if months and 0 < int(months[1]) <= keys.MONTHS[1]:
                return Wait(path=path, months=int(months[1]))
            span = timedelta(days=keys.DAYS[1] + 1) if months else self.duration(node)
            if span.days > keys.DAYS[1]:
                hint = f"wait {keys.DAYS[1]}d or {keys.MONTHS[1]}mo at most"
                self.error("flow.E024", node, f"{self.text(node)} is too long", hint)
            return Wait(path=path, days=span.days, more=timedelta(seconds=span.seconds))
        before = len(self.problems)
        values = self.mapping(node, *keys.WAIT)
        if len(self.problems) == before and values.keys().isdisjoint(keys.WAIT_LENGTHS):
            message = "a wait needs a length, a weekday or a time of day"
            self.error("flow.E025", node, message, 'write for example `{days: 2, at: "10:00"}`')
        hours = self.number(values["hours"], *keys.HOURS) if "hours" in values else 0
        minutes = self.number(values["minutes"], *keys.MINUTES) if "minutes" in values else 0
        clock = self.choice(values["clock"], get_args(Clock), "clock") if "clock" in values else "customer"
        return Wait(
            path=path,
            months=self.number(values["months"], *keys.MONTHS) if "months" in values else 0,
            days=self.number(values["days"], *keys.DAYS) if "days" in values else 0,
            more=timedelta(hours=hours, minutes=minutes),
            at=self.clock(values["at"]) if "at" in values else None,
            clock=clock,  # type: ignore[arg-type]  # choice gives one of the literals
            not_on=self.not_on(values),
            until=self.until(values),
        )

    def not_on(self, values: dict[str, yaml.Node]) -> frozenset[int]:
        """Return the weekdays on which a wait does not end: those in `not_on`, or those missing from `on`."""
        if "on" not in values:
            return self.weekdays(values["not_on"]) if "not_on" in values else frozenset()
        if "not_on" in values:
            self.error("flow.E026", values["not_on"], "`on` and `not_on` exclude each other", "remove one of them")
        days = self.days(values["on"])
        if not days:
            self.error(
                "flow.E027", values["on"], "`on` is empty, so the wait never ends", "write for example `on: [tue, thu]`"
            )
        return frozenset(range(len(WEEKDAYS))) - days if days else frozenset()

    def until(self, values: dict[str, yaml.Node]) -> WaitTarget | None:
        """Return the time that a wait is for."""
        if "until" not in values:
            for name in ("before", "lasts"):
                if name in values:
                    self.error("flow.E028", values[name], f"`{name}` needs `until`", "add `until: …`")
            return None
        moment = self.choice(values["until"], get_args(TargetTime), "time")
        on = self.starts.on
        if moment == "product.launch":
            if not on.startswith("product.") or self.starts.once_per != "product":
                message = f"{moment} needs a product that the customer viewed"
                hint = "write `trigger: {on: product.viewed, once_per: product}`"
                self.mismatch("flow.E029", values["until"], message, hint)
        elif not is_about_order(on):
            self.mismatch("flow.E004", values["until"], self.lacks("order"), "wait for a duration")
        elif moment.startswith("shipment.") and not on.startswith("shipment."):
            self.mismatch("flow.E005", values["until"], self.lacks("parcel"), "start with shipment.shipped")
        elif moment == "product.runs_out" and self.starts.once_per != "product":
            message = f"{moment} needs a flow that runs per product"
            self.mismatch("flow.E030", values["until"], message, "write `once_per: product` in the trigger")
        return WaitTarget(
            time=moment,  # type: ignore[arg-type]  # choice gives one of the literals
            before=self.duration(values["before"]) if "before" in values else timedelta(),
            lasts=self.duration(values["lasts"]) if "lasts" in values else timedelta(days=30),
        )

    def wait_for(self, node: yaml.Node, path: str, depth: int) -> WaitFor:
        """Return a wait for an event, with both of its branches."""
        values = self.mapping(node, *keys.WAIT_FOR)
        event = self.choice(values["event"], AWAITED, "event") if "event" in values else AWAITED[0]
        if event.startswith("mail.") and not self.has_sent:
            message = f"no `send` precedes this step, so {event} cannot occur"
            self.error("flow.E031", values["event"], message, "add a `send` before it")
        if event != "order.placed" and is_about_order(event) and not is_about_order(self.starts.on):
            self.mismatch("flow.E004", values["event"], self.lacks("order"), "wait for another event")
        up_to = self.limit(values["up_to"]) if "up_to" in values else timedelta(days=1)
        around = self.heard
        self.heard = (*around, event)
        where = self.condition(values["where"], self.scope) if "where" in values else None
        then = self.branch(values.get("then"), f"{path}.0.", depth + 1)
        self.heard = around
        otherwise = self.branch(values.get("otherwise"), f"{path}.1.", depth + 1)
        return WaitFor(path=path, event=event, up_to=up_to, where=where, then=then, otherwise=otherwise)

    def experiment(self, node: yaml.Node, path: str, depth: int) -> Experiment:
        """Return an experiment: branches with their percentages."""
        values = self.mapping(node, *keys.EXPERIMENT)
        if "holdout" in values and is_transactional(self.purpose):
            self.no_holdout(values["holdout"])
        before = len(self.problems)
        arms: list[Variant] = []
        items = self.items(values["arms"], "arms") if "arms" in values else []
        for index, item in enumerate(items):
            arm = self.mapping(item, *keys.VARIANT)
            arms.append(
                Variant(
                    name=self.name(arm["name"], "arm") if "name" in arm else "",
                    percent=self.percent(arm["percent"]) if "percent" in arm else 0,
                    steps=self.branch(arm.get("steps"), f"{path}.{index}.", depth + 1),
                )
            )
        if "arms" in values and len(self.problems) == before:
            self.shares(values["arms"], arms)
        return Experiment(
            path=path,
            name=self.name(values["name"], "experiment") if "name" in values else "",
            variants=tuple(arms),
            holdout=self.percent(values["holdout"]) if "holdout" in values else 0,
        )

    def shares(self, node: yaml.Node, arms: list[Variant]) -> None:
        """Note branches that are valid one by one but not together."""
        total = sum(arm.percent for arm in arms)
        if len(arms) < 2:
            hint = "add a branch, or write a `holdout` in the `send` instead"
            self.error("flow.E032", node, "an experiment needs two branches or more", hint)
        elif total != 100:
            self.error("flow.E033", node, f"the percentages add up to {total}", "make them add up to 100")
        elif len({arm.name for arm in arms}) < len(arms):
            self.error("flow.E034", node, "two branches have the same name", "rename one of them")

    def no_holdout(self, node: yaml.Node) -> None:
        """Note a holdout where emails are transactional."""
        self.error("flow.E002", node, "transactional emails cannot have a holdout", "remove `holdout`")

    def branch(self, node: yaml.Node | None, prefix: str, depth: int) -> tuple[Step, ...]:
        """Return the steps of a branch. Its emails and rewards precede the steps after the branches join, but not those of other branches."""
        before = self.has_sent, self.has_rewarded
        steps = self.steps(node, prefix, depth) if node is not None else ()
        self.has_sent, self.has_rewarded = before
        return steps

    def split(self, node: yaml.Node, path: str, depth: int) -> Split:
        """Return a split: a list of branches, `otherwise` the last."""
        arms: list[Branch] = []
        items = self.items(node, "branches")
        for index, item in enumerate(items):
            before = len(self.problems)
            values = self.mapping(item, *keys.ARM)
            if "otherwise" in values:
                if "when" in values or "steps" in values:
                    message = "a branch has either `when` and `steps`, or `otherwise`"
                    self.error("flow.E035", item, message, "make it two branches")
                if index + 1 < len(items):
                    message = "the branches after `otherwise` are unreachable"
                    self.error("flow.E036", item, message, "move `otherwise` to the end")
                arms.append(Branch(when=None, steps=self.branch(values["otherwise"], f"{path}.{index}.", depth + 1)))
            elif isinstance(item, yaml.MappingNode):
                if len(self.problems) == before:
                    self.missing(item, [name for name in ("when", "steps") if name not in values])
                when = self.condition(values["when"], self.scope) if "when" in values else None
                if when is not None and when.source in [arm.when.source for arm in arms if arm.when is not None]:
                    message = "unreachable branch: an earlier branch has the same condition"
                    self.error("flow.E037", values["when"], message, "change one of them")
                arms.append(Branch(when=when, steps=self.branch(values.get("steps"), f"{path}.{index}.", depth + 1)))
        if not items and isinstance(node, yaml.SequenceNode):
            self.error("flow.E038", node, "no branches", "add `- when: …` with `steps`, and `- otherwise: …`")
        return Split(path=path, branches=tuple(arms))

    def send(self, node: yaml.Node, path: str) -> Send:
        """Return a send."""
        values = self.mapping(node, *keys.SEND)
        message = self.text(values["message"]) if "message" in values else ""
        if "message" in values and message not in self.messages:
            meant = similar(message, self.messages)
            hint = f"{nearest(message, self.messages)}{'' if meant else ';'} or add {message}.html.j2"
            self.error("flow.E039", values["message"], f"unknown message {message!r}", hint)
        purpose: str = self.purpose
        if "purpose" in values:
            purpose = self.choice(values["purpose"], get_args(Purpose), "purpose", self.purpose)
        if is_transactional(self.purpose) and not is_transactional(purpose):
            message = f"a transactional flow cannot send {purpose} emails"
            self.error("flow.E040", values["purpose"], message, "send it from a flow of its own")
        if "holdout" in values and is_transactional(purpose):
            self.no_holdout(values["holdout"])
        if "products" in values and is_transactional(purpose):
            message = "transactional emails cannot recommend products"
            self.error("flow.E041", values["products"], message, "send them from a flow of its own")
        products = self.number(values["products"], *keys.PRODUCTS) if "products" in values else 0
        at_least = self.number(values["at_least"], *keys.PRODUCTS) if "at_least" in values else min(products, 1)
        if "at_least" in values and at_least > products:
            message = (
                f"`at_least` is {at_least}, but `products` is {products}" if products else "`at_least` needs `products`"
            )
            self.error("flow.E042", values["at_least"], message, f"write `products: {at_least}` or more")
        return Send(
            path=path,
            message=message,
            purpose=purpose,  # type: ignore[arg-type]  # choice gives one of the literals
            priority=self.number(values["priority"], *keys.PRIORITY) if "priority" in values else 50,
            expires=self.duration(values["expires"]) if "expires" in values else timedelta(days=5),
            not_before=self.date(values["not_before"]) if "not_before" in values else None,
            holdout=self.percent(values["holdout"]) if "holdout" in values else 0,
            products=products,
            at_least=at_least,
        )
