"""Random flows that use every part of the language."""

from __future__ import annotations

from typing import Any, get_args

import yaml
from hypothesis import strategies as st

from streams.core.rules.recommends import Source
from streams.core.rules.trigger_names import (
    ACTIVITIES,
    AWAITED,
    BACKFILLED,
    CATALOGUE_CHANGES,
    DATES,
    EXITS,
    MOMENTARY,
    PRICE_DROPPED,
    REPLACED,
    TRIGGERS,
    is_about_order,
)

SEGMENTS = "vip: customer.spend > 900\nlapsed: customer.orders > 0 and customer.days_since_last_order > 20\nreturning: customer.orders > 1"
NAMES = ("f", "g", "h")
SOURCES = get_args(Source)
THRESHOLDS = (
    "customer.orders_in(9d) >= 2",
    "customer.spend_in(20d) > 600",
    "customer.spend > 900",
    "customer.orders_of('tea') >= 2",
    "customer.days_until('wedding') < 20",
)
#: A step of a repetition only.
ROUND = {"set": {"name": "round", "from": "repeat.round"}}
spans = st.sampled_from(["20m", "20min", "3h", "1d", "2d", "9d", "1w"])
clocks = st.sampled_from(["06:30", "10:00", "23:15"])
messages = st.sampled_from(["a", "b", "c"])
weekdays = st.lists(st.sampled_from(["mon", "wed", "sat", "sun"]), min_size=1, max_size=3, unique=True)
about_customers = [
    "customer.orders > 1", "customer.is_vip", "customer.country == 'DK'", "'vip' in customer.segments", "customer.has_consent",
    "customer.days_since_click < 5", "field.loyalty == 'silver'", "'testers' in customer.lists", "customer.age > 30",
    "reward.is_given", "reward.name == 'ten'", "reward.days_left > 3", "field.points >= 20", "field.kept == '0'",
    "customer.orders_in(20d) > 1", "customer.spend_in(1w, 'tea') >= 300", "customer.orders_of('tea') > 1", "customer.top_category == 'tea'",
    "8000 <= customer.postal_code <= 8270", "starts_with(customer.postal_code, '80')", "'wedding' in customer.dates",
    "customer.days_until('wedding') < 9", "customer.days_until('birthday') <= 3", "today.weekday in ['sat', 'sun']", "today.hour < 12",
    "shop.country == 'DK'",
]  # fmt: skip
about_orders = [
    "order.total > 400",
    "order.is_refunded",
    "order.is_late",
    "'tea' in order.categories",
    "order.is_international",
    "order.weekday == 'mon' or order.hour >= 12",
]
about_parcels = [
    "shipment.exception_reason == 'customs'",
    "shipment.status == 'ready_for_pickup'",
    "shipment.has_tracking",
]


def conditions(on: str, once_per: str) -> st.SearchStrategy[str]:
    """Conditions for a flow with this trigger and `once_per`."""
    sources = [*about_customers]
    sources += about_orders if is_about_order(on) else []
    sources += about_parcels if on.startswith("shipment.") else []
    sources += ["event.stars >= 4"] if on == "review.written" else []
    sources += ["product.is_bought", "product.sku == 's1'"] if once_per == "product" else []
    if on in CATALOGUE_CHANGES and once_per == "product":
        sources += ["product.price <= 80"]
        sources += ["product.price_drop_percent >= 10", "product.old_price > 90"] if on == PRICE_DROPPED else []
        sources += ["product.replaces == 's1'"] if on == REPLACED else []
    simple = st.sampled_from(sources)
    return (
        simple
        | simple.map("not {}".format)
        | st.builds("{} {} {}".format, simple, st.sampled_from(["and", "or"]), simple)
    )


def waits(on: str, once_per: str) -> st.SearchStrategy[Any]:
    """Waits for lengths, times of day and weekdays, and for target times that are known with this trigger."""
    times = ["order.placed_at", "shipment.window_from", "shipment.window_to"] if is_about_order(on) else []
    if once_per == "product" and is_about_order(on):
        times.append("product.runs_out")
    if on.startswith("product.") and once_per == "product" and on not in CATALOGUE_CHANGES:
        times.append("product.launch")
    lengths = st.fixed_dictionaries(
        {},
        optional={
            "days": st.integers(1, 20), "months": st.integers(1, 2), "hours": st.integers(1, 30), "minutes": st.integers(1, 90), "at": clocks,
            "clock": st.sampled_from(["customer", "shop"]), "not_on": weekdays,
        },
    ).filter(lambda wait: wait.keys() & {"days", "months", "hours", "minutes", "at"})  # fmt: skip
    kinds = [spans | st.just("1mo"), lengths, st.fixed_dictionaries({"on": weekdays, "at": clocks})]
    if times:
        until = {"until": st.sampled_from(times), "days": st.integers(1, 9)}
        kinds.append(
            st.fixed_dictionaries(until, optional={"before": spans, "at": clocks}).map(
                lambda wait: wait | ({"lasts": "20d"} if wait["until"] == "product.runs_out" else {})
            )
        )
    return st.one_of(kinds)


def sends(purpose: str, *, may_join: bool) -> st.SearchStrategy[Any]:
    """Sends with every option. `may_join`: whether emails of the flow can be sent together."""
    options = {
        "priority": st.integers(0, 100),
        "expires": st.sampled_from(["2h", "1d", "8d"]),
        "not_before": st.just("2026-03-20"),
    }
    if purpose != "service":  # transactional emails have no holdout and no recommendations
        options |= {
            "holdout": st.just(30),
            "purpose": st.sampled_from([purpose, "marketing"]),
            "products": st.integers(1, 3),
            "categories": st.integers(1, 2),
            "any_hour": st.booleans(),
        }
    options |= {"together": st.booleans()} if may_join else {}
    plain = st.fixed_dictionaries({"message": messages}, optional=options).map(
        lambda send: {name: value for name, value in send.items() if name != "products" or not send.get("together")}
    )
    return st.builds(
        _narrowed, plain, st.none() | st.lists(st.sampled_from(SOURCES), min_size=1, unique=True), st.booleans()
    )


def _narrowed(send: dict[str, Any], sources: list[str] | None, is_narrow: bool) -> dict[str, Any]:
    """The send, with sources and a category if it recommends products."""
    if "products" not in send:
        return send
    return send | ({"from": sources} if sources else {}) | ({"category": "tea"} if is_narrow else {})


def unnested(steps: Any, inside: bool = False) -> Any:
    """Steps without a `repeat` in a `repeat`: an inner one is replaced by its steps. `inside`: a `repeat` is around them."""
    if isinstance(steps, dict):
        return {key: unnested(value, inside) for key, value in steps.items()}
    if not isinstance(steps, list):
        return steps
    found: list[Any] = []
    for step in steps:
        repeat = step.get("repeat") if isinstance(step, dict) else None
        if repeat is None:
            found.append(unnested(step, inside))
        elif inside:
            found += unnested(repeat["steps"], True)
        else:
            found.append({"repeat": repeat | {"steps": unnested(repeat["steps"], True)}})
    return found


@st.composite
def flows(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A flow of this name, as the content of its file."""
    on = draw(st.sampled_from(["order.placed", "order.placed", "shipment.delivered", "product.viewed", *TRIGGERS]))
    first, status = on.partition(".")[0], draw(st.sampled_from(["live"] * 6 + ["draft", "paused"]))
    scopes = {
        "order": ["order", "product", "customer"],
        "shipment": ["order", "parcel", "product", "customer"],
        "product": ["product", "customer"],
    }
    once_per = draw(st.sampled_from(scopes.get(first, ["customer"]))) if on != "product.launch" else "product"
    trigger: dict[str, Any] = {"on": on, "once_per": once_per}
    if first == "shipment":
        trigger["which"] = "each" if once_per == "parcel" else draw(st.sampled_from(["first", "last"]))
    if first == "segment":
        trigger["segment"] = draw(st.sampled_from(["vip", "lapsed", "returning"]))
    if on == "date":
        trigger |= {
            "segment": "returning",
            "at": "2026-03-09 10:00",
            "clock": draw(st.sampled_from(["customer", "shop"])),
        }
        if draw(st.booleans()):
            trigger["spread"] = "4h"
    if on in BACKFILLED and draw(st.integers(0, 3)) == 3:
        trigger["backfill"] = True
    if on == "customer.reached":
        trigger["threshold"] = draw(st.sampled_from(THRESHOLDS))
    is_yearly = on in DATES
    if on == "customer.date":
        trigger["date"] = draw(st.sampled_from(["wedding", "name_day"]))
    if (is_yearly or on == "product.launch") and draw(st.booleans()):
        trigger["before"] = draw(st.sampled_from(["1d", "3d"]))
    if on == "reward.expiring":
        trigger["before"] = draw(st.sampled_from(["7d", "29d"]))
    if (
        not is_yearly
        and on not in ("product.launch", "reward.expiring")
        and once_per in ("customer", "product")
        and draw(st.booleans())
    ):
        trigger["again_after"] = draw(spans)
    condition = conditions(on, once_per)
    if draw(st.integers(0, 7)) == 7:
        trigger["where"] = draw(condition.filter(lambda source: "reward" not in source))
    purpose = draw(st.sampled_from(["marketing", "marketing", "review", "service"]))
    may_join = once_per != "parcel" and not on.startswith("request.")
    prefixes = {"order": ("order.",), "shipment": ("order.", "shipment.")}.get(first, ("order.placed",))
    awaited = [event for event in AWAITED if event in ACTIVITIES or event.startswith((*prefixes, "mail.", "survey."))]
    leaf = st.one_of(
        st.builds(lambda wait: {"wait": wait}, waits(on, once_per)),
        st.builds(lambda send: {"send": send}, sends(purpose, may_join=may_join)),
        st.builds(lambda send: {"send": send}, sends(purpose, may_join=may_join)),
        st.sampled_from([
            {"set": {"name": "loyalty", "value": "silver"}}, {"add_to_list": "testers"}, {"remove_from_list": "testers"},
            {"reward": {"name": "ten"}}, {"reward": {"name": "pool", "pool": "ten", "within": "3d"}}, {"emit": "told"},
            {"emit": {"name": "told", "data": {"orders": "customer.orders", "points": "field.points", "channel": "'sms'"}}},
            {"reward": {"name": "by", "pool": {"by": "field.loyalty", "pools": {"silver": "ten"}}, "within": "3d"}},
            {"reward": {"name": "by", "pool": {"by": "customer.country", "pools": {"SE": "se"}, "otherwise": "ten"}}},
            {"set": {"name": "kept", "from": "order.total" if is_about_order(on) else "customer.orders"}},
            {"add": {"name": "points", "value": 15}},
            {"add": {"name": "points", "from": "order.value" if is_about_order(on) else "customer.orders", "expires": "5d"}},
            {"add": {"name": "points", "value": 15, "expires": "5d"}}, {"add": {"name": "points", "value": -5}},
            {"add": {"name": "loyalty", "value": 1}},
        ]),
    )  # fmt: skip
    numbers = iter(range(1000))

    def branches(inside: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        steps = st.lists(inside, min_size=1, max_size=3)
        split = st.builds(
            lambda when, then, other: {"split": [{"when": when, "steps": then}, *([{"otherwise": other}] if other else [])]},
            condition, steps, st.none() | steps,
        )  # fmt: skip
        wait_for = st.builds(
            lambda event, up_to, where, then, other: {
                "wait_for": {"event": event, "up_to": up_to, **({"where": where} if where else {}), "then": then, "otherwise": other}
            },
            st.sampled_from(awaited), spans, st.none() | condition, steps, steps,
        )  # fmt: skip
        repeat = st.builds(
            lambda times, every, until, steps: {
                "repeat": {"times": times, "every": every, **({"until": until} if until else {}), "steps": [*steps, ROUND]}
            },
            st.integers(2, 3), spans, st.none() | condition, steps,
        )  # fmt: skip
        experiment = st.builds(
            lambda one, two: {
                "experiment": {
                    "name": f"{name}-{next(numbers)}",
                    **({"holdout": 20} if purpose != "service" else {}),
                    "arms": [{"name": "one", "percent": 50, "steps": one}, {"name": "two", "percent": 50, "steps": two}],
                }
            },
            steps, steps,
        )  # fmt: skip
        return split | wait_for | experiment | repeat

    steps = unnested(draw(st.lists(st.recursive(leaf, branches, max_leaves=6), min_size=2, max_size=5)))
    steps.append({"send": draw(sends(purpose, may_join=may_join))})
    flow: dict[str, Any] = {
        "flow": name,
        "version": 1,
        "status": status,
        "purpose": purpose,
        "trigger": trigger,
        "steps": steps,
    }
    if draw(st.integers(0, 7)) == 7:
        flow["goal"] = draw(condition.filter(lambda source: "reward" not in source))
    exits = [
        event
        for event in EXITS
        if event == "order.placed"
        or not is_about_order(event)
        or (is_about_order(on) and event not in {on} - {*MOMENTARY})
    ]
    flow["exit_on"] = draw(
        st.lists(st.sampled_from(["order.placed", "customer.unsubscribed", *exits]), max_size=2, unique=True)
    )
    if draw(st.integers(0, 3)) == 3:
        flow["not_with"] = draw(
            st.lists(st.sampled_from([other for other in NAMES if other != name]), max_size=2, unique=True)
        )
    if purpose != "service" and draw(st.integers(0, 7)) == 7:
        flow["holdout"] = 20
    return flow


def text_of(flow: dict[str, Any]) -> str:
    """The content of the file of a flow."""
    return yaml.dump(flow, Dumper=_Plain, sort_keys=False)


class _Plain(yaml.SafeDumper):
    """Writes repeated values out, without aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        """Whether a value is written without an alias."""
        return True
