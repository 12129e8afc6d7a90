"""From the list of steps in a flow.yaml to the steps, or to everything that is wrong with them."""

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
from streams.core.values.text import nearest
from streams.definitions.language import keys
from streams.definitions.language.conditions import Scope
from streams.definitions.language.yaml_reader import WEEKDAYS, Reader

_DEEPEST = 8
#: What only the line of an order tells of a product.
_OF_A_LINE = ("product.category", "product.quantity")
_OF_EVENTS = tuple(name for name in NAMES if name.startswith("event."))


class StepReader(Reader):
    """Reads the steps of a flow. Who reads its trigger before them sets `purpose`, `starts` and `is_sure`: they say what steps may ask for.

    Args:
        messages: the names of the messages that lie beside the flow.
        segments: the names of the segments that there are.
    """

    def __init__(self, messages: Collection[str], segments: Collection[str]) -> None:
        super().__init__()
        self.messages = sorted(messages)
        self.segments = sorted(segments)
        self.purpose: Purpose = "marketing"
        self.starts = Trigger(on=TRIGGERS[0])
        #: Whether the trigger is right so far. While it is not, nobody knows what goes with it, and only the trigger is told.
        self.is_sure = False
        #: The events of the wait_for that lie around what is read: within them each has told something.
        self.heard: tuple[str, ...] = ()
        #: Whether a mail comes before what is read.
        self.has_sent = False
        #: And whether a reward does.
        self.has_rewarded = False

    def misfit(self, node: yaml.Node, problem: str, remedy: str) -> None:
        """Note what does not go with the trigger."""
        if self.is_sure:
            self.wrong(node, problem, remedy)

    @property
    def scope(self) -> Scope:
        """What conditions may ask for here."""
        on = self.starts.on
        absent: dict[str, str] = {}
        if not self.is_sure:
            return Scope(absent, self.segments)
        if not is_about_order(on):
            absent |= dict.fromkeys(("order", "shipment"), f"a flow on {on} has no order")
        elif not any(event.startswith("shipment.") for event in (on, *self.heard)):
            absent["shipment"] = f"a flow on {on} has no parcel"
        if self.starts.once_per != "product":
            absent["product"] = "only a flow with once_per: product has one"
        elif is_about_order(on):
            absent["product.is_coming"] = "what was ordered has no launch to come"
        else:
            absent |= dict.fromkeys(_OF_A_LINE, f"{on} tells which product it is, and no more of it")
        told = {name for event in (on, *self.heard) for name in keys.TOLD.get(event, ())}
        if not told:
            absent["event"] = f"{on} tells nothing more than the order or the customer"
        said = f"{on} tells" if not self.heard else f"{' and '.join((on, *self.heard))} tell"
        absent |= {name: f"{said} nothing of it" for name in _OF_EVENTS if name not in told}
        if not self.has_rewarded:
            absent["reward"] = "no reward of this flow comes before it"
        return Scope(absent, self.segments)

    def steps(self, node: yaml.Node, prefix: str, depth: int) -> tuple[Step, ...]:
        """A list of steps; `prefix` is the path of where they lie."""
        if depth > _DEEPEST:
            self.wrong(node, f"splits lie more than {_DEEPEST} deep in each other", "make it two flows")
            return ()
        found = self.items(node, "steps")
        if not found and isinstance(node, yaml.SequenceNode):
            self.wrong(node, "there is no step", "add at least one, for example - send: {message: …}")
        steps: list[Step] = []
        for index, item in enumerate(found):
            steps.append(self.step(item, f"{prefix}{index}", depth))
            taken = [*all_steps(tuple(steps[-1:]))]
            self.has_sent = self.has_sent or any(isinstance(one, Send) for one in taken)
            self.has_rewarded = self.has_rewarded or any(isinstance(one, Reward) for one in taken)
        return tuple(steps)

    def step(self, node: yaml.Node, path: str, depth: int) -> Step:
        """One step: a mapping of one key, which says what it does."""
        values = self.mapping(node, *keys.STEP)
        if isinstance(node, yaml.MappingNode) and not node.value:
            self.wrong(node, "the step does nothing", f"one of {', '.join(keys.STEP.known)}")
        if len(values) > 1:
            self.wrong(
                node, f"a step does one thing, this one {' and '.join(values)}", "make it one item of the list for each"
            )
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
        """A step that neither waits nor sends."""
        if kind == "add_to_list" or kind == "remove_from_list":
            return ChangeList(path=path, name=self.name(node, "list"), is_member=kind == "add_to_list")
        if kind == "emit":
            return Emit(path=path, kind=self.name(node, "signal"))
        if kind == "reward":
            return self.reward(node, path)
        values = self.mapping(node, *keys.SET)
        name = self.text(values["name"]) if "name" in values else ""
        if "name" in values and not keys.FIELD.match(name):
            self.wrong(
                values["name"], f"{name!r} is no name for a field", "small letters, digits and _, a letter first"
            )
        value = self.text(values["value"]) if "value" in values else ""
        if len(value) > keys.LONGEST_VALUE:
            self.wrong(values["value"], f"the value has {len(value)} characters", f"{keys.LONGEST_VALUE} at most")
        return SetField(path=path, name=name, value=value)

    def reward(self, node: yaml.Node, path: str) -> Reward:
        """A reward: a signed code, or one of a pool."""
        values = self.mapping(node, *keys.REWARD)
        if "within" in values and "pool" not in values:
            self.wrong(values["within"], "only a code of a pool is waited for", "name the pool, or take within out")
        return Reward(
            path=path,
            name=self.name(values["name"], "reward") if "name" in values else "",
            expires=self.duration(values["expires"]) if "expires" in values else timedelta(days=30),
            pool=self.name(values["pool"], "pool") if "pool" in values else "",
            within=self.limit(values["within"]) if "within" in values else timedelta(days=1),
        )

    def limit(self, node: yaml.Node) -> timedelta:
        """How long something is waited for, at most."""
        span = self.duration(node)
        if span.days > keys.DAYS[1]:
            self.wrong(node, f"{self.text(node)!r} is too long a wait", f"{keys.DAYS[1]}d at most")
        return span

    def wait(self, node: yaml.Node, path: str) -> Wait:
        """A wait: a time span, or a mapping."""
        if isinstance(node, yaml.ScalarNode):
            months = keys.MONTHS_SPAN.match(self.text(node))
            if months and 0 < int(months[1]) <= keys.MONTHS[1]:
                return Wait(path=path, months=int(months[1]))
            span = timedelta(days=keys.DAYS[1] + 1) if months else self.duration(node)
            if span.days > keys.DAYS[1]:
                longest = f"{keys.DAYS[1]}d or {keys.MONTHS[1]}mo at most"
                self.wrong(node, f"{self.text(node)!r} is too long a wait", longest)
            return Wait(path=path, days=span.days, more=timedelta(seconds=span.seconds))
        before = len(self.errors)
        values = self.mapping(node, *keys.WAIT)
        if len(self.errors) == before and values.keys().isdisjoint(keys.WAIT_LENGTHS):
            self.wrong(node, "a wait needs a length, a weekday or a time of day", 'for example {days: 2, at: "10:00"}')
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
        """The weekdays on which a wait does not end: those of `not_on`, or all that are not in `on`."""
        if "on" not in values:
            return self.weekdays(values["not_on"]) if "not_on" in values else frozenset()
        if "not_on" in values:
            self.wrong(values["not_on"], "the wait says already on which days it ends", "take on or not_on out")
        days = self.days(values["on"])
        if not days:
            self.wrong(values["on"], "the wait ends on no day of the week", "for example on: [tue, thu]")
        return frozenset(range(len(WEEKDAYS))) - days if days else frozenset()

    def until(self, values: dict[str, yaml.Node]) -> WaitTarget | None:
        """The moment that a wait is for."""
        if "until" not in values:
            for name in ("before", "lasts"):
                if name in values:
                    self.wrong(values[name], f"{name!r} needs a moment", "add until: …")
            return None
        moment = self.choice(values["until"], get_args(TargetTime), "moment")
        on = self.starts.on
        if moment == "product.launch":
            if not on.startswith("product.") or self.starts.once_per != "product":
                self.misfit(
                    values["until"],
                    "only a product that was looked at has a launch to come",
                    "trigger: {on: product.viewed, once_per: product}",
                )
        elif not is_about_order(on):
            self.misfit(values["until"], f"a flow on {on} has no order", "wait for a time span")
        elif moment.startswith("shipment.") and not on.startswith("shipment."):
            self.misfit(values["until"], f"a flow on {on} has no parcel", "begin it with shipment.shipped")
        elif moment == "product.runs_out" and self.starts.once_per != "product":
            self.misfit(values["until"], "only a flow with once_per: product knows which product", "once_per: product")
        return WaitTarget(
            time=moment,  # type: ignore[arg-type]  # choice gives one of the literals
            before=self.duration(values["before"]) if "before" in values else timedelta(),
            lasts=self.duration(values["lasts"]) if "lasts" in values else timedelta(days=30),
        )

    def wait_for(self, node: yaml.Node, path: str, depth: int) -> WaitFor:
        """A wait for an event, with both ways out."""
        values = self.mapping(node, *keys.WAIT_FOR)
        event = self.choice(values["event"], AWAITED, "event") if "event" in values else AWAITED[0]
        if event.startswith("mail.") and not self.has_sent:
            self.wrong(
                values["event"], f"no mail of this flow comes before it, so there is no {event}", "send one first"
            )
        if event != "order.placed" and is_about_order(event) and not is_about_order(self.starts.on):
            self.misfit(values["event"], f"a flow on {self.starts.on} has no order", "wait for something else")
        up_to = self.limit(values["up_to"]) if "up_to" in values else timedelta(days=1)
        around = self.heard
        self.heard = (*around, event)
        where = self.condition(values["where"], self.scope) if "where" in values else None
        then = self.branch(values.get("then"), f"{path}.0.", depth + 1)
        self.heard = around
        otherwise = self.branch(values.get("otherwise"), f"{path}.1.", depth + 1)
        return WaitFor(path=path, event=event, up_to=up_to, where=where, then=then, otherwise=otherwise)

    def experiment(self, node: yaml.Node, path: str, depth: int) -> Experiment:
        """An experiment: arms with their shares."""
        values = self.mapping(node, *keys.EXPERIMENT)
        if "holdout" in values and is_transactional(self.purpose):
            self.wrong(values["holdout"], "nobody can be held out of mails that are owed", "leave holdout out")
        before = len(self.errors)
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
        if "arms" in values and len(self.errors) == before:
            self.shares(values["arms"], arms)
        return Experiment(
            path=path,
            name=self.name(values["name"], "experiment") if "name" in values else "",
            variants=tuple(arms),
            holdout=self.percent(values["holdout"]) if "holdout" in values else 0,
        )

    def shares(self, node: yaml.Node, arms: list[Variant]) -> None:
        """Note arms that are right one by one and wrong together."""
        whole = sum(arm.percent for arm in arms)
        if len(arms) < 2:
            self.wrong(node, "an experiment compares two arms or more", "add one, or a holdout to the send")
        elif whole != 100:
            self.wrong(node, f"the arms' shares make {whole} percent", "they must make 100")
        elif len({arm.name for arm in arms}) < len(arms):
            self.wrong(node, "two arms have the same name", "give each its own")

    def branch(self, node: yaml.Node | None, prefix: str, depth: int) -> tuple[Step, ...]:
        """The steps of one way out of a step. What was sent or given on it was not on the other ways, but perhaps behind them."""
        before = self.has_sent, self.has_rewarded
        found = self.steps(node, prefix, depth) if node is not None else ()
        self.has_sent, self.has_rewarded = before
        return found

    def split(self, node: yaml.Node, path: str, depth: int) -> Split:
        """A split: a list of arms, `otherwise` the last."""
        arms: list[Branch] = []
        items = self.items(node, "arms")
        for index, item in enumerate(items):
            before = len(self.errors)
            values = self.mapping(item, *keys.ARM)
            if "otherwise" in values:
                if "when" in values or "steps" in values:
                    self.wrong(item, "an arm has either when and steps, or otherwise", "make it two arms")
                if index + 1 < len(items):
                    self.wrong(item, "the arms after otherwise can never be reached", "move otherwise to the end")
                arms.append(Branch(when=None, steps=self.branch(values["otherwise"], f"{path}.{index}.", depth + 1)))
            elif isinstance(item, yaml.MappingNode):
                if len(self.errors) == before:
                    self.missing(item, [name for name in ("when", "steps") if name not in values])
                when = self.condition(values["when"], self.scope) if "when" in values else None
                if when is not None and when.source in [arm.when.source for arm in arms if arm.when is not None]:
                    self.wrong(
                        values["when"],
                        "an arm before it asks the same, so this one is never taken",
                        "change one of them",
                    )
                arms.append(Branch(when=when, steps=self.branch(values.get("steps"), f"{path}.{index}.", depth + 1)))
        if not items and isinstance(node, yaml.SequenceNode):
            self.wrong(node, "the split has no arm", "add - when: … with steps, and - otherwise:")
        return Split(path=path, branches=tuple(arms))

    def send(self, node: yaml.Node, path: str) -> Send:
        """A send."""
        values = self.mapping(node, *keys.SEND)
        message = self.text(values["message"]) if "message" in values else ""
        if "message" in values and message not in self.messages:
            self.wrong(
                values["message"],
                f"there is no message {message!r}",
                nearest(message, self.messages) + f" (or add {message}.html.j2)",
            )
        purpose: str = self.purpose
        if "purpose" in values:
            purpose = self.choice(values["purpose"], get_args(Purpose), "purpose", self.purpose)
        if is_transactional(self.purpose) and not is_transactional(purpose):
            problem = f"a mail for {purpose} in a flow for {self.purpose}: what is owed carries no advertising"
            self.wrong(values["purpose"], problem, "make it a flow of its own")
        if "holdout" in values and is_transactional(purpose):
            self.wrong(values["holdout"], "nobody can be held out of mails that are owed", "leave holdout out")
        if "products" in values and is_transactional(purpose):
            self.wrong(values["products"], "what is owed carries no advertising", "make it a flow of its own")
        products = self.number(values["products"], *keys.PRODUCTS) if "products" in values else 0
        at_least = self.number(values["at_least"], *keys.PRODUCTS) if "at_least" in values else min(products, 1)
        if "at_least" in values and at_least > products:
            problem = (
                f"at_least {at_least} of {products} products"
                if products
                else "at_least counts products, and there are none"
            )
            self.wrong(values["at_least"], problem, f"products: {at_least} or more")
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
