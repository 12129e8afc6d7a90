"""Reads the events of stories, with every problem at its line and column."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import time
from typing import Any, TypeAlias

import yaml

from streams.core.values.text import nearest
from streams.definitions.language.yaml_reader import Reader
from streams.tools.stories.product_reader import MOST_PRICE
from streams.tools.stories.story import EMAIL_KINDS, KINDS, PARCEL_KINDS, PRODUCT_KINDS, StoryEvent, StoryProduct

#: Days of a story: two years back, for what the customer bought before, and one ahead.
FIRST_DAY, LAST_DAY = -730, 366
#: The local time of an event without `at`.
_NOON = time(12)
_PARCEL = ("order", "parcel", "parcels", "lines", "expected", "last_day", "reason")
_REASONS = ("address", "recipient_absent", "refused", "damaged", "lost", "customs", "weather", "payment_due", "other")
_SCOPES = ("marketing", "review", "survey", "service")
#: The most of one product in an order.
_MOST_PIECES = 1_000
_CONSTANTS = {"": None, "null": None, "~": None, "true": True, "false": False}
_MESSAGE = re.compile(r"[a-z][a-z0-9-]*/[a-z][a-z0-9-]*\Z")

#: Returns why a record of the API is invalid, or "".
CheckRecord: TypeAlias = Callable[[Mapping[str, Any]], str]
#: The day, the time, and the place in the file of an event.
Moment: TypeAlias = tuple[int, time, int]


class EventReader(Reader):
    """Reads events, and remembers their orders."""

    def __init__(self, products: Mapping[str, StoryProduct], check_record: CheckRecord) -> None:
        super().__init__()
        self.products = products
        self._check_record = check_record
        self._count = 0
        #: The orders by id, with the moment of each.
        self._placed: dict[str, Moment] = {}
        #: Events that name an order: the node of the name, and the time.
        self._named: list[tuple[yaml.Node, Moment]] = []
        #: Events that are about an order, with the time.
        self._about_order: list[tuple[yaml.Node, Moment]] = []

    def event(self, node: yaml.Node) -> StoryEvent:
        values = self.mapping(node, ("day", "at", *KINDS), ("day",))
        day = self.day(values["day"]) if "day" in values else 0
        at = self.clock(values["at"]) if "at" in values else _NOON
        kinds = [name for name in values if name in KINDS]
        kind = kinds[0] if kinds else ""
        is_misspelt = not kinds and isinstance(node, yaml.MappingNode) and len(node.value) > len(values)
        if len(kinds) != 1 and isinstance(node, yaml.MappingNode) and not is_misspelt:
            message = f"an event has one kind, not {' and '.join(kinds)}" if kinds else "the event has no kind"
            self.error("story.E001", node, message, f"kinds: {', '.join(KINDS)}")
            kind = ""
        read = self.readers.get(kind)
        self._count += 1
        data = read(self, values[kind], (day, at, self._count)) if read is not None else {}
        return StoryEvent(day=day, at=at, kind=kind, values=data, line=node.start_mark.line + 1)

    def day(self, node: yaml.Node) -> int:
        value = self.text(node)
        if re.fullmatch(r"-?\d{1,4}", value) and FIRST_DAY <= int(value) <= LAST_DAY:
            return int(value)
        hint = f"use a whole number from {FIRST_DAY} to {LAST_DAY}: the story starts on day 0, and days before it are the past"
        self.error("yaml.E013", node, f"invalid number {value!r}", hint)
        return 0

    # -- the values of the kinds -------------------------------------------------------------------------------------

    def fields(self, node: yaml.Node, known: tuple[str, ...], needed: tuple[str, ...] = ()) -> dict[str, yaml.Node]:
        """Return the values of a mapping that may be left out."""
        is_left_out = isinstance(node, yaml.ScalarNode) and not node.value and not needed
        return {} if is_left_out else self.mapping(node, known, needed)

    def order(self, node: yaml.Node, at: Moment) -> dict[str, Any]:
        known = ("id", "lines", "delivery", "payment", "is_paid", "discount", "code", "note")
        values = self.fields(node, known, ("lines",))
        name = self.filled(values["id"]) if "id" in values else str(len(self._placed) + 1)
        if name in self._placed:
            self.error(
                "story.E003", values.get("id", node), f"duplicate order {name!r}", "give each order an id of its own"
            )
        self._placed[name] = at
        return {
            "id": name,
            "lines": self.lines(values["lines"]) if "lines" in values else {},
            "delivery": self.choice(values["delivery"], ("home", "pickup"), "delivery")
            if "delivery" in values
            else "home",
            "payment": self.filled(values["payment"]) if "payment" in values else "",
            "is_paid": self.boolean(values["is_paid"]) if "is_paid" in values else True,
            "discount": self.percent(values["discount"]) if "discount" in values else 0,
            "code": self.filled(values["code"]) if "code" in values else "",
            "note": self.filled(values["note"]) if "note" in values else "",
        }

    def later_order(self, node: yaml.Node, at: Moment) -> dict[str, Any]:
        """Read what happens to an order: which one, and which of its lines."""
        values = self.fields(node, ("order", "lines"))
        return self.named(values, node, at) | ({"lines": self.lines(values["lines"])} if "lines" in values else {})

    def parcel(self, node: yaml.Node, at: Moment) -> dict[str, Any]:
        values = self.fields(node, _PARCEL)
        data = self.named(values, node, at)
        if "lines" in values:
            data["lines"] = self.lines(values["lines"])
        for name in ("parcel", "parcels"):
            if name in values:
                data[name] = self.number(values[name], 1, 20)
        for name in ("expected", "last_day"):
            if name in values:
                data[name] = self.day(values[name])
        if "reason" in values:
            data["reason"] = self.choice(values["reason"], _REASONS, "reason")
        return data

    def named(self, values: Mapping[str, yaml.Node], node: yaml.Node, at: Moment) -> dict[str, Any]:
        """Return the name of the order that an event is about, if it has one."""
        if "order" not in values:
            self._about_order.append((node, at))
            return {}
        self._named.append((values["order"], at))
        return {"order": self.filled(values["order"])}

    def check_orders(self) -> None:
        """Note the events about orders that do not exist, or not yet."""
        for node, at in self._named:
            name = self.text(node)
            if name not in self._placed:
                self.error(
                    "story.E003",
                    node,
                    f"unknown order {name!r}",
                    nearest(name, list(self._placed), "order") if self._placed else "add an event `order`",
                )
            elif self._placed[name] > at:
                self.error("story.E004", node, f"the order {name!r} is placed later", "change the day of one of them")
        for node, at in self._about_order:
            if not any(placed <= at for placed in self._placed.values()):
                self.error(
                    "story.E004", node, "no order is placed before this event", "add an event `order` on an earlier day"
                )

    def lines(self, node: yaml.Node) -> dict[str, int]:
        lines = {}
        for key, sku, value in self.pairs(node, "{BOOT-1: 1}"):
            self.check_product(key, sku)
            lines[sku] = self.number(value, 1, _MOST_PIECES)
        return lines

    def check_product(self, node: yaml.Node, sku: str) -> None:
        if sku not in self.products:
            hint = nearest(sku, sorted(self.products))
            self.error("story.E002", node, f"unknown product {sku!r}", f"{hint}; add others to stories/products.yaml")

    def email(self, node: yaml.Node, at: Moment) -> dict[str, Any]:
        value = self.text(node)
        if value and not _MESSAGE.match(value):
            self.error(
                "story.E008",
                node,
                f"invalid name of an email {value!r}",
                "write flow/message, or nothing for the newest email",
            )
        return {"message": value}

    def scope(self, node: yaml.Node, at: Moment) -> dict[str, Any]:
        return {"scope": self.choice(node, _SCOPES, "scope")}

    def answers(self, node: yaml.Node, at: Moment) -> dict[str, Any]:
        return {name: self.filled(value) for _, name, value in self.pairs(node, "{nps: 9}")}

    def review(self, node: yaml.Node, at: Moment) -> dict[str, Any]:
        values = self.fields(node, ("stars", "order"), ("stars",))
        named = self.named(values, node, at) if "order" in values else {}
        return named | {"stars": self.number(values["stars"], 1, 5) if "stars" in values else 5}

    def product_act(self, node: yaml.Node, at: Moment) -> dict[str, Any]:
        sku = self.filled(node)
        self.check_product(node, sku)
        return {"sku": sku}

    def product(self, node: yaml.Node, at: Moment) -> dict[str, Any]:
        values = self.fields(node, ("sku", "price", "stock"), ("sku",))
        data: dict[str, Any] = {"sku": self.filled(values["sku"])} if "sku" in values else {"sku": ""}
        if "sku" in values:
            self.check_product(values["sku"], data["sku"])
        if "price" in values:
            data["price"] = self.number(values["price"], 1, MOST_PRICE)
        if "stock" in values:
            data["stock"] = self.number(values["stock"], 0, 1_000_000)
        return data

    def record(self, node: yaml.Node, at: Moment) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            self.error("yaml.E005", node, "expected a mapping", "write the fields of a record of the API")
            return {}
        value = {name: self.json_value(each) for _, name, each in self.pairs(node, "{kind: viewed}")}
        if reason := self._check_record(value):
            self.error(
                "story.E009",
                node,
                f"invalid record: {reason}",
                "write it as the API takes it; Takk adds customer_id and occurred_at",
            )
        return value

    def json_value(self, node: yaml.Node) -> Any:
        """Return a node in JSON types."""
        if isinstance(node, yaml.MappingNode):
            return {name: self.json_value(each) for _, name, each in self.pairs(node, "{name: value}")}
        if isinstance(node, yaml.SequenceNode):
            return [self.json_value(each) for each in node.value]
        text = self.text(node)
        if not getattr(node, "style", None) and (text in _CONSTANTS or re.fullmatch(r"-?\d{1,18}", text)):
            return _CONSTANTS[text] if text in _CONSTANTS else int(text)
        return text

    readers: Mapping[str, Callable[[EventReader, yaml.Node, Moment], dict[str, Any]]] = {
        "order": order,
        **dict.fromkeys(("paid", "changed", "cancelled", "refunded"), later_order),
        **dict.fromkeys(PARCEL_KINDS, parcel),
        **dict.fromkeys(EMAIL_KINDS, email),
        "unsubscribes": scope,
        "answers": answers,
        "reviews": review,
        **dict.fromkeys(PRODUCT_KINDS, product_act),
        "product": product,
        "record": record,
    }
