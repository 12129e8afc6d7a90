"""Random flows that use every word of the language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Protocol, get_args

import yaml
from hypothesis import strategies as st

from streams.core.conditions.names import NAMES as CONDITION_NAMES
from streams.core.rules.flow import DOCUMENTS
from streams.core.rules.recommends import Source
from streams.core.rules.trigger_names import (
    ACTIVITIES,
    AWAITED,
    BACKFILLED,
    CAMPAIGN,
    CATALOGUE_CHANGES,
    DATES,
    EXITS,
    LAUNCH,
    MOMENTARY,
    NAMED_DATE,
    OF_REQUESTS,
    PRICE_DROPPED,
    REACHED,
    REPLACED,
    REWARD_EXPIRING,
    TRIGGERS,
    is_about_order,
)
from streams.definitions.language.keys import EVENT_NAMES
from streams.definitions.language.yaml_reader import WEEKDAYS

SEGMENTS = "vip: customer.spend > 900\nlapsed: customer.orders > 0 and customer.days_since_last_order > 20\nreturning: customer.orders > 1"
NAMES = ("f", "g", "h")
THRESHOLDS = (
    "customer.orders_in(9d) >= 2",
    "customer.spend_in(20d) > 600",
    "customer.spend > 900",
    "customer.orders_of('tea') >= 2",
    "customer.days_until('wedding') < 20",
)
SPANS = ("20m", "20min", "3h", "1d", "2d", "9d", "1w")
TIMES_OF_DAY = ("06:30", "10:00", "23:15")
#: The sets of weekdays contain every day, and leave some.
DAYS = (WEEKDAYS[:1], WEEKDAYS[1:4], WEEKDAYS[4:6], WEEKDAYS[5:])
PURPOSES = ("marketing", "marketing", "review", "service", "survey", "profile", "order")
TRANSACTIONAL = ("order", "service")
ABOUT_CUSTOMERS = (
    "customer.orders > 1", "customer.is_vip", "customer.country == 'DK'", "'vip' in customer.segments", "customer.has_consent",
    "customer.days_since_click < 5", "field.loyalty == 'silver'", "'testers' in customer.lists", "customer.age > 30",
    "field.points >= 20", "field.kept == '0'",
    "customer.orders_in(20d) > 1", "customer.spend_in(1w, 'tea') >= 300", "customer.orders_of('tea') > 1", "customer.top_category == 'tea'",
    "8000 <= customer.postal_code <= 8270", "starts_with(customer.postal_code, '80')", "'wedding' in customer.dates",
    "customer.days_until('wedding') < 9", "customer.days_until('birthday') <= 3", "today.weekday in ['sat', 'sun']", "today.hour < 12",
    "shop.country == 'DK'",
)  # fmt: skip
ABOUT_REWARDS = ("reward.is_given", "reward.name == 'ten'", "reward.days_left > 3")
ABOUT_ORDERS = (
    "order.total > 400",
    "order.is_refunded",
    "order.is_late",
    "'tea' in order.categories",
    "order.is_international",
    "order.weekday == 'mon' or order.hour >= 12",
)
ABOUT_PARCELS = (
    "shipment.exception_reason == 'customs'",
    "shipment.status == 'ready_for_pickup'",
    "shipment.has_tracking",
)
#: The names of prices, and the trigger that each of them needs, if it is one.
OF_CHANGES = {
    "product.price": "", "product.replaces": REPLACED, "product.old_price": PRICE_DROPPED, "product.price_drop": PRICE_DROPPED,
    "product.price_drop_percent": PRICE_DROPPED,
}  # fmt: skip
#: Steps without steps of their own, and those with some.
LEAVES, BRANCHES = ("wait", "send", "send", "give"), ("split", "wait_for", "experiment", "repeat")
#: Steps of a flow that are not in a branch, and steps with steps of their own within each other.
LONGEST, DEEPEST = 4, 2


class Choices(Protocol):
    """Chooses what a flow has."""

    def one(self, label: str, options: Sequence[Any]) -> Any:
        """Return one of the options. `label` says what is chosen."""


class Drawn:
    """The choices of Hypothesis."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def one(self, label: str, options: Sequence[Any]) -> Any:
        """Return one of the options, which Hypothesis draws."""
        return self._draw(st.sampled_from(options))


class LeastUsed:
    """Choices that use every option soon: of each label one of those that were used least so far."""

    def __init__(self) -> None:
        self._used: Counter[tuple[str, str]] = Counter()
        self._random = Random(1)

    def one(self, label: str, options: Sequence[Any]) -> Any:
        """Return an option that was used least."""
        least = min(self._used[label, str(option)] for option in options)
        found = self._random.choice([option for option in options if self._used[label, str(option)] == least])
        self._used[label, str(found)] += 1
        return found


class _Flow:
    """A flow in the making."""

    def __init__(self, choices: Choices, name: str) -> None:
        self.one, self.name = choices.one, name
        self.on = self.one("on", ("order.placed", "order.placed", "shipment.delivered", "product.viewed", *TRIGGERS))
        self.first = self.on.partition(".")[0]
        self.purpose = self.one("purpose", PURPOSES)
        if self.purpose in TRANSACTIONAL and not (is_about_order(self.on) or self.on in OF_REQUESTS):
            self.purpose = "survey"
        scopes = {
            "order": ("order", "product", "customer"),
            "shipment": ("order", "parcel", "product", "customer"),
            "product": ("product", "customer"),
        }
        scope = ("product",) if self.on == LAUNCH else scopes.get(self.first, ("customer",))
        self.once_per = self.one(f"once_per {self.first}", scope)
        self.has_reward = self.has_sent = self.is_repeated = False
        self.experiments = 0

    def maybe(self, label: str, one_in: int = 2) -> bool:
        """Choose whether the flow has something."""
        return self.one(label, (False,) * (one_in - 1) + (True,)) is True

    def some(self, **options: Callable[[], Any]) -> dict[str, Any]:
        """Choose some of the options, and their values."""
        return {key: value() for key, value in options.items() if self.maybe(f"has {key}")}

    def condition(self) -> str:
        """Choose a condition."""
        options = [*ABOUT_CUSTOMERS]
        options += ABOUT_ORDERS if is_about_order(self.on) else ()
        options += ABOUT_PARCELS if self.first == "shipment" else ()
        options += ["event.stars >= 4"] if self.on == "review.written" else []
        options += ["product.is_bought", "product.sku == 's1'"] if self.once_per == "product" else []
        options += ABOUT_REWARDS if self.has_reward else ()
        if self.on in CATALOGUE_CHANGES and self.once_per == "product":
            options += ["product.price <= 80"]
            options += (
                ["product.price_drop_percent >= 10", "product.old_price > 90"] if self.on == PRICE_DROPPED else []
            )
            options += ["product.replaces == 's1'"] if self.on == REPLACED else []
        first = self.one("condition", options)
        form = self.one("form", ("{}", "{}", "not {}", "{} and {}", "{} or {}"))
        return str(form).format(first, self.one("condition", options) if form.count("{}") == 2 else "")

    def source(self, kinds: Sequence[str]) -> str:
        """Choose a name whose value is of one of the kinds and known here. Each group of names is as likely as another one."""
        groups: dict[str, list[str]] = {}
        for name, (kind, _) in CONDITION_NAMES.items():
            if kind in kinds and self._is_known(name):
                groups.setdefault("prices" if name in OF_CHANGES else name.partition(".")[0], []).append(name)
        return str(self.one(f"name {kinds}", groups[self.one(f"group {kinds}", sorted(groups))]))

    def _is_known(self, name: str) -> bool:
        group = name.partition(".")[0]
        if name in OF_CHANGES:
            is_of_change = self.on in CATALOGUE_CHANGES and self.once_per == "product"
            return is_of_change and OF_CHANGES[name] in ("", self.on)
        if group == "product":
            return self.once_per == "product" and (name == "product.sku" or is_about_order(self.on))
        if group == "event":
            return name in EVENT_NAMES.get(self.on, ())
        known = {
            "customer": True,
            "order": is_about_order(self.on),
            "shipment": self.first == "shipment",
            "reward": self.has_reward,
            "today": True,
            "shop": True,
            "repeat": self.is_repeated,
        }
        return known[group]

    def trigger(self) -> dict[str, Any]:
        """Choose the options of the trigger."""
        on, one = self.on, self.one
        trigger: dict[str, Any] = {"on": on, "once_per": self.once_per}
        if self.first == "shipment":
            trigger["which"] = "each" if self.once_per == "parcel" else one("which", ("first", "last"))
        if self.first == "segment":
            trigger["segment"] = one("segment", ("vip", "lapsed", "returning"))
        if on == CAMPAIGN:
            clock = one("clock of the campaign", ("customer", "shop"))
            trigger |= {"segment": "returning", "at": "2026-03-09 10:00", "clock": clock}
            trigger |= self.some(spread=lambda: "4h")
        if on in BACKFILLED and self.maybe("backfill", 4):
            trigger["backfill"] = True
        if on == REACHED:
            trigger["threshold"] = one("threshold", THRESHOLDS)
        if on == NAMED_DATE:
            trigger["date"] = one("date", ("wedding", "name_day"))
        if on in DATES or on == LAUNCH:
            trigger |= self.some(before=lambda: one("before", ("1d", "3d")))
        elif on == REWARD_EXPIRING:
            trigger["before"] = one("before the end", ("7d", "29d"))
        elif self.once_per in ("customer", "product"):
            trigger |= self.some(again_after=lambda: one("again_after", SPANS))
        if self.maybe("where", 8):
            trigger["where"] = self.condition()
        return trigger

    def wait(self) -> Any:
        """Choose a wait for a length, a time of day, a weekday, or a target time that is known with this trigger."""
        one = self.one
        times = (
            ["order.placed_at", "shipment.window_from", "shipment.window_to", "shipment.last_day"]
            if is_about_order(self.on)
            else []
        )
        if self.first == "order":
            times = times[:1]
        if self.once_per == "product" and is_about_order(self.on):
            times.append("product.runs_out")
        if self.first == "product" and self.once_per == "product" and self.on not in CATALOGUE_CHANGES:
            times.append("product.launch")
        kind = one("wait", ("span", "span", "lengths", "weekday", *(["until"] if times else [])))
        if kind == "span":
            return one("span", (*SPANS, "1mo"))
        if kind == "weekday":
            return {"on": [*one("on weekdays", DAYS)], "at": one("at", TIMES_OF_DAY)}
        if kind == "until":
            wait = {"until": one("until", times), "days": one("days", range(1, 10))}
            wait |= self.some(before=lambda: one("before the time", SPANS), at=lambda: one("at", TIMES_OF_DAY))
            return wait | ({"lasts": "20d"} if wait["until"] == "product.runs_out" else {})
        return self.some(
            days=lambda: one("days", range(1, 21)),
            months=lambda: one("months", (1, 2)),
            minutes=lambda: one("minutes", range(1, 91)),
            at=lambda: one("at", TIMES_OF_DAY),
            clock=lambda: one("clock", ("customer", "shop")),
            not_on=lambda: [*one("not on weekdays", DAYS)],
        ) | {"hours": one("hours", range(1, 31))}

    def send(self) -> dict[str, Any]:
        """Choose a message and the options of its email."""
        one = self.one
        send = {"message": one("message", ("a", "b", "c"))}
        send |= self.some(
            priority=lambda: one("priority", range(101)),
            expires=lambda: one("expires", ("2h", "1d", "8d")),
            not_before=lambda: "2026-03-20",
        )
        if self.once_per != "parcel" and self.on not in OF_REQUESTS:
            send |= self.some(together=lambda: one("together", (False, True)))
        if self.purpose in TRANSACTIONAL:  # without a holdout and recommendations
            if is_about_order(self.on) and "together" not in send:
                send |= self.some(attach=lambda: one("document", DOCUMENTS))
            return send | self.some(purpose=lambda: one("transactional purpose", TRANSACTIONAL))
        send |= self.some(
            holdout=lambda: 30,
            purpose=lambda: one("purpose of the email", ("marketing", "review", "survey", "profile")),
            categories=lambda: one("categories", (1, 2)),
            any_hour=lambda: one("any_hour", (False, True)),
        )
        if not send.get("together") and self.maybe("products"):
            send["products"] = one("number of products", (1, 2, 3))
            send |= self.some(at_least=lambda: 1, category=lambda: "tea")
            count = one("number of sources", range(5))
            sources = dict.fromkeys([one("source", get_args(Source)) for _ in range(count)])
            send |= {"from": [*sources]} if sources else {}
        return send

    def give(self) -> dict[str, Any]:
        """Choose a step that stores or gives something."""
        one, kinds = self.one, ("set", "keep", "list", "reward", "emit", "add", "count")
        kind = one("gift", kinds)
        if kind == "reward" and self.purpose in TRANSACTIONAL:
            kind = "emit"
        if kind == "set":
            return {"set": {"name": "loyalty", "value": one("value", ("silver", "gold", ""))}}
        if kind == "keep":
            return {"set": {"name": "kept", "from": self.source(("text", "number"))}}
        if kind == "list":
            return {one("list", ("add_to_list", "remove_from_list")): "testers"}
        if kind == "emit":
            data = {"orders": self.source(("number",)), "place": self.source(("text",)), "channel": "'sms'"}
            return {"emit": {"name": "told", "data": data} if self.maybe("data") else "told"}
        if kind == "add":
            value = one("amount", (15, -5))
            return {
                "add": {"name": one("field", ("points", "loyalty")), "value": value}
                | (self._expiry() if value > 0 else {})
            }
        if kind == "count":
            return {"add": {"name": "points", "from": self.source(("number",))} | self._expiry()}
        self.has_reward = True
        by_value = {"by": "field.loyalty", "pools": {"silver": "ten"}} | self.some(otherwise=lambda: "ten")
        pool = {"pool": one("pool", ("ten", by_value)), "within": "3d"} if self.maybe("has pool") else {}
        return {"reward": {"name": "pool" if pool else "ten"} | pool | self._expiry()}

    def _expiry(self) -> dict[str, Any]:
        return self.some(expires=lambda: "5d")

    def step(self, depth: int, *, may_repeat: bool) -> dict[str, Any]:
        """Choose a step."""
        branches = BRANCHES if may_repeat else BRANCHES[:-1]
        kind = self.one(f"step {depth}", (*LEAVES, *LEAVES, *(branches if depth < DEEPEST else ())))
        if kind == "wait":
            return {"wait": self.wait()}
        if kind == "send":
            self.has_sent = True
            return {"send": self.send()}
        return self.give() if kind == "give" else {kind: self.branches(kind, depth + 1, may_repeat=may_repeat)}

    def branches(self, kind: str, depth: int, *, may_repeat: bool) -> Any:
        """Choose the content of a step that has steps of its own."""

        def steps() -> list[dict[str, Any]]:
            before = self.has_reward, self.has_sent, self.is_repeated
            self.is_repeated = self.is_repeated or kind == "repeat"
            count = self.one("steps", (1, 1, 2))
            found = [self.step(depth, may_repeat=may_repeat and kind != "repeat") for _ in range(count)]
            self.has_reward, self.has_sent, self.is_repeated = before
            return found

        if kind == "split":
            split: list[dict[str, Any]] = [{"when": self.condition(), "steps": steps()}]
            return [*split, {"otherwise": steps()}] if self.maybe("otherwise") else split
        if kind == "wait_for":
            prefixes = {"order": ("order.",), "shipment": ("order.", "shipment.")}.get(self.first, ("order.placed",))
            prefixes = (*prefixes, "survey.", *(["mail."] if self.has_sent else []))
            awaited = [event for event in AWAITED if event in ACTIVITIES or event.startswith(prefixes)]
            event = self.one("awaited", awaited)
            where = {"where": self.condition()} if self.maybe("where of the event", 3) else {}
            return {"event": event, "up_to": self.one("up_to", SPANS), **where, "then": steps(), "otherwise": steps()}
        if kind == "repeat":
            until = {"until": self.condition()} if self.maybe("until of the rounds") else {}
            every = self.wait() if self.maybe("every") else self.one("every span", SPANS)
            return {"times": self.one("times", (2, 3)), "every": every, **until, "steps": steps()}
        self.experiments += 1
        holdout = (
            {} if self.purpose in TRANSACTIONAL or not self.maybe("holdout of the experiment") else {"holdout": 20}
        )
        arms = [{"name": name, "percent": 50, "steps": steps()} for name in ("one", "two")]
        return {"name": f"{self.name}-{self.experiments}", **holdout, "arms": arms}

    def exits(self) -> list[str]:
        """Choose events that end the flow."""
        exits = [
            event
            for event in EXITS
            if not is_about_order(event)
            or event == "order.placed"
            or (is_about_order(self.on) and event not in {self.on} - {*MOMENTARY})
        ]
        return list(dict.fromkeys([self.one("exit", exits) for _ in range(self.one("number of exits", (0, 1, 2)))]))

    def content(self) -> dict[str, Any]:
        """Choose everything else of the flow."""
        flow: dict[str, Any] = {
            "flow": self.name,
            "version": 1,
            "status": self.one("status", ("live",) * 6 + ("draft", "paused")),
            "purpose": self.purpose,
            "trigger": self.trigger(),
        }
        if self.maybe("goal", 8):
            flow["goal"] = self.condition()
        flow["exit_on"] = self.exits()
        others = [name for name in NAMES if name != self.name]
        if self.maybe("not_with", 4):
            flow["not_with"] = others[: self.one("others", (1, 2))]
        if self.purpose not in TRANSACTIONAL and self.maybe("holdout", 8):
            flow["holdout"] = 20
        if self.maybe("max_age", 8):
            flow["max_age"] = self.one("max_age", ("1d", "9d"))
        if self.maybe("migrations", 8):
            flow |= {"version": 2, "migrations": [{"from": 1, "steps": {"0": "0"}}]}
        steps = [self.step(0, may_repeat=True) for _ in range(self.one("length", range(2, LONGEST + 1)))]
        return flow | {"steps": [*steps, {"send": self.send()}]}


def flow_of(choices: Choices, name: str) -> dict[str, Any]:
    """A flow of this name, as the content of its file."""
    return _Flow(choices, name).content()


@st.composite
def flows(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A flow of this name, as Hypothesis draws it."""
    return flow_of(Drawn(draw), name)


def text_of(flow: dict[str, Any]) -> str:
    """The content of the file of a flow."""
    return yaml.dump(flow, Dumper=_Plain, sort_keys=False)


class _Plain(yaml.SafeDumper):
    """Writes repeated values out, without aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        """Whether a value is written without an alias."""
        return True
