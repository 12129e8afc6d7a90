"""The scope of conditions and steps: the names they can use depend on the trigger, and on the steps before and around them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import timedelta

import yaml

from streams.core.conditions.names import NAMES, ROUND_NAMES
from streams.core.conditions.open_values import open_value_of
from streams.core.rules.consent_policy import Purpose
from streams.core.rules.flow import Trigger
from streams.core.rules.trigger_names import (
    CATALOGUE_CHANGES,
    PRICE_DROPPED,
    REPLACED,
    REWARD_EXPIRING,
    SYNONYMS,
    TRIGGERS,
    is_about_order,
)
from streams.core.values.text import FIELD_NAME, nearest
from streams.definitions.language import keys
from streams.definitions.language.conditions import Absence, Scope
from streams.definitions.language.yaml_reader import Reader

#: Names that need the line of an order.
_OF_A_LINE = ("product.category", "product.quantity", "product.lasts_days")
#: Names that need a change of the catalogue -> the triggers that have them.
_OF_CHANGES = {
    "product.price": CATALOGUE_CHANGES,
    **dict.fromkeys(("product.old_price", "product.price_drop", "product.price_drop_percent"), (PRICE_DROPPED,)),
    "product.replaces": (REPLACED,),
}
_OF_EVENTS = tuple(name for name in NAMES if name.startswith("event."))

#: The hint for a call in the place of a name.
_NO_CALL = "names with parentheses are only for conditions: use them in a `split` around the step"


class ScopedReader(Reader):
    """Reads parts of a flow. The reader of the trigger sets `purpose`, `trigger` and `is_trigger_valid` before steps are read.

    Args:
        messages: the names of the messages beside the flow.
        segments: the names of all segments.
    """

    def __init__(self, messages: Collection[str], segments: Collection[str]) -> None:
        super().__init__()
        self.messages = sorted(messages)
        self.segments = sorted(segments)
        self.purpose: Purpose = "marketing"
        self.trigger = Trigger(on=TRIGGERS[0])
        #: Whether the trigger is valid so far. An invalid trigger hides mismatches with it, because they may merely follow from it.
        self.is_trigger_valid = False
        #: The events of the enclosing `wait_for` steps. Conditions inside can use their data.
        self.awaited: tuple[str, ...] = ()
        #: Whether a send precedes the current step.
        self.has_sent = False
        #: Whether a reward precedes the current step.
        self.has_rewarded = False
        #: The number of the round and of all rounds of the `repeat` around the current step, or None without one.
        self.rounds: tuple[int, int] | None = None

    def mismatch(self, id: str, node: yaml.Node, message: str, hint: str) -> None:
        """Note something that is impossible with this trigger."""
        if self.is_trigger_valid:
            self.error(id, node, message, hint)

    def lacks(self, what: str) -> str:
        """Return the reason why something is impossible with this trigger."""
        return f"a flow that starts with {self.trigger.on} has no {what}"

    def no_holdout(self, node: yaml.Node) -> None:
        """Note a holdout where emails are transactional."""
        self.error("flow.E002", node, "transactional emails cannot have a holdout", "remove `holdout`")

    def limit(self, node: yaml.Node) -> timedelta:
        """Return the longest time to wait for something."""
        span = self.duration(node)
        if span.days > keys.DAYS[1]:
            self.error("flow.E024", node, f"{self.text(node)} is too long", f"wait {keys.DAYS[1]}d at most")
        return span

    def field_name(self, node: yaml.Node) -> str:
        """Return the name of a customer's field."""
        name = self.text(node)
        if not FIELD_NAME.match(name):
            hint = "use lowercase letters, digits and _, starting with a letter"
            self.error("yaml.E017", node, f"invalid field name {name!r}", hint)
        return name

    def signed(self, node: yaml.Node) -> int:
        """Return a whole number that is not 0."""
        value, most = self.text(node), keys.LARGEST_AMOUNT
        if re.fullmatch(r"-?\d{1,9}", value) and 0 < abs(int(value)) <= most:
            return int(value)
        hint = f"use a whole number from 1 to {most:,}, or from -{most:,} to -1"
        self.error("flow.E069", node, f"invalid number {value!r}", hint)
        return 1

    def value_name(self, node: yaml.Node, known: Collection[str], what: str, *, is_open: bool = False) -> str:
        """Return one of the `known` names of conditions that is available here. `what` says which they are.

        With `is_open`, it may also be the name of a field, or of an attribute or a date of the customer.
        """
        name, absences = self.text(node), self.scope.absent
        absent = absences.get(name.partition(".")[0]) or absences.get(name)
        if absent is not None:
            self.error("condition.E010", node, f"{name} is not available here: {absent[0]}", absent[1])
        elif name not in known and not (is_open and open_value_of(name) is not None):
            hint = _NO_CALL if "(" in name else nearest(name, known)
            self.error("flow.E068", node, f"{name!r} is not the name of {what}", hint)
        return name

    def round_text(self, name: str) -> str:
        """Return the number of the round or of all rounds around the current step, as a text."""
        return str((self.rounds or (0, 0))[ROUND_NAMES.index(name)])

    def either(self, node: yaml.Node, values: Mapping[str, yaml.Node], *, is_read: bool) -> None:
        """Note `value` beside `from`, or that a mapping has neither of them. `is_read`: whether it was read without a problem."""
        if "value" in values and "from" in values:
            self.error("flow.E067", values["from"], "`value` and `from` exclude each other", "remove one of them")
        elif is_read and values.keys().isdisjoint(("value", "from")):
            self.missing(node, ["value"])

    def event(self, node: yaml.Node, known: Collection[str], what: str) -> str:
        """Return one of the `known` events, by the word that the state has for it. An unknown one gives the first of them."""
        word = self.choice(node, known, what)
        return SYNONYMS.get(word, word)

    @property
    def scope(self) -> Scope:
        """The names that conditions can use here."""
        on = self.trigger.on
        absent: dict[str, Absence] = {}
        rounds = self.rounds or (0, 0)
        if self.rounds is None:
            absent["repeat"] = ("no `repeat` is around it", "use it in the steps of a `repeat`")
        if not self.is_trigger_valid:
            return Scope(absent, self.segments, rounds)
        if not is_about_order(on):
            hint = "use customer.*, or start with an order or a parcel"
            absent |= dict.fromkeys(("order", "shipment"), (self.lacks("order"), hint))
        elif not any(event.startswith("shipment.") for event in (on, *self.awaited)):
            absent["shipment"] = (self.lacks("parcel"), "start with a parcel, or `wait_for` one")
        if self.trigger.once_per != "product":
            absent["product"] = ("the flow does not run per product", "write `once_per: product` in the trigger")
        elif is_about_order(on):
            absent["product.is_coming"] = ("a product that was ordered is launched already", "remove it")
        else:
            absent |= dict.fromkeys(_OF_A_LINE, (f"{on} contains only the SKU of the product", "use product.sku"))
        if self.trigger.once_per == "product":
            if on in CATALOGUE_CHANGES:
                absent["product.is_coming"] = (f"{on} comes when the product can be bought", "remove it")
            absent |= {
                name: (f"{on} does not contain it", f"start with {' or '.join(triggers)}")
                for name, triggers in _OF_CHANGES.items()
                if on not in triggers
            }
        available = {name for event in (on, *self.awaited) for name in keys.EVENT_NAMES.get(event, ())}
        if not available:
            absent["event"] = (f"{on} has no data of its own", "use customer.* or order.*")
        events = f"{on} does" if not self.awaited else f"{' and '.join((on, *self.awaited))} do"
        absent |= {
            name: (f"{events} not contain it", f"known: {', '.join(sorted(available))}")
            for name in _OF_EVENTS
            if name not in available
        }
        if not self.has_rewarded and on != REWARD_EXPIRING:
            absent["reward"] = ("no `reward` precedes it", "add a `reward` step before it")
        return Scope(absent, self.segments, rounds)
