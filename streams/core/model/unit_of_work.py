"""Unit of work: a working copy of one customer's state during one event, with the effects so far.

Handlers change the copy, and `finish` builds the immutable state once. It never leaves `advance`.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import msgpack

from streams.core.model.customer import Customer, OrderState, Profile, Sent
from streams.core.model.decision_log import DecisionLog
from streams.core.model.effects import Effect
from streams.core.model.instance import Instance
from streams.core.rules.flow import Flow
from streams.core.rules.ruleset import Ruleset
from streams.core.values import fingerprints, ids, local_time

# Characters of an instance, and lines of a parcel, that take as much room as one line of an order.
_CHARACTERS, _PARCEL_LINES = 20, 8
#: Bytes of details that take as much room as one line of an order.
_DETAIL_BYTES = 160
_encode = msgpack.Encoder().encode


class UnitOfWork:
    """The working copy of a customer. Set `changed` after every change of the state."""

    __slots__ = (
        "changed",
        "consent",
        "contacts",
        "customer_id",
        "discounted",
        "effects",
        "fields",
        "finished_fingerprints",
        "first_order_at",
        "forgotten_order_fingerprints",
        "instances",
        "last_order_at",
        "last_order_id",
        "last_send_at",
        "last_starts",
        "lists",
        "now",
        "orders",
        "profile",
        "purchases",
        "ruleset",
        "seen_fingerprints",
        "segments",
        "sends",
        "spend",
        "spend_converted_minor",
        "state",
        "visited_at",
    )  # fmt: skip

    def __init__(self, ruleset: Ruleset, state: Customer, now: datetime) -> None:
        self.ruleset = ruleset
        self.state = state
        self.now = now
        self.effects: list[Effect] = []
        self.changed = False
        self.customer_id = state.customer_id
        self.profile: Profile = state.profile
        self.consent = state.consent
        self.purchases = state.purchases
        self.spend = state.spend
        self.spend_converted_minor = state.spend_converted_minor
        self.orders: tuple[OrderState, ...] = state.orders
        self.forgotten_order_fingerprints = state.forgotten_order_fingerprints
        self.first_order_at = state.first_order_at
        self.last_order_at = state.last_order_at
        self.last_order_id = state.last_order_id
        self.sends: tuple[Sent, ...] = state.sends
        self.last_send_at = state.last_send_at
        self.instances: tuple[Instance, ...] = state.instances
        self.finished_fingerprints = state.finished_fingerprints
        self.seen_fingerprints = state.seen_fingerprints
        self.fields = state.fields
        self.lists = state.lists
        self.segments = state.segments
        self.last_starts = state.last_starts
        self.discounted = state.discounted
        self.contacts = state.contacts
        self.visited_at = state.visited_at

    def finish(self) -> tuple[Customer, list[Effect]]:
        """Return the new state, or the old one itself if nothing changed, and the effects in the order in which they were added."""
        if not self.changed:
            return self.state, self.effects
        # Arguments by position take a quarter of the time of keywords, and this runs at every event.
        customer = Customer(
            self.customer_id,
            self.profile,
            self.consent,
            self.purchases,
            self.spend,
            self.spend_converted_minor,
            self.orders,
            self.forgotten_order_fingerprints,
            self.first_order_at,
            self.last_order_at,
            self.last_order_id,
            self.sends,
            self.last_send_at,
            self.instances,
            self.finished_fingerprints,
            self.seen_fingerprints,
            self.fields,
            self.lists,
            self.segments,
            self.last_starts,
            self.discounted,
            self.contacts,
            self.visited_at,
        )
        return customer, self.effects

    def order(self, order_id: str) -> OrderState | None:
        """Return the order with this id, or None if it is not stored."""
        for order in self.orders:
            if order.order_id == order_id:
                return order
        return None

    def put_order(self, order: OrderState) -> None:
        """Store an order in place of its earlier state.

        A new or larger order may exceed the limits. Then the oldest orders without a waiting instance are dropped; for a new order,
        orders with one are dropped too if that is not enough.
        """
        self.changed = True
        for index, stored in enumerate(self.orders):
            if stored.order_id == order.order_id:
                self.orders = (*self.orders[:index], order, *self.orders[index + 1 :])
                if _size(order) > _size(stored):
                    self._make_room(order, is_new=False)
                return
        self.orders = (*self.orders, order)
        self._make_room(order, is_new=True)

    def _make_room(self, order: OrderState, *, is_new: bool) -> None:
        limits = self.ruleset.limits
        while len(self.orders) > limits.orders or (len(self.orders) > 1 and self._pieces() > limits.pieces):
            awaited = {instance.order_id for instance in self.instances}
            others = [other for other in self.orders if other is not order]
            dropped = next((other for other in others if other.order_id not in awaited), others[0] if is_new else None)
            if dropped is None:
                return
            self.orders = tuple(kept for kept in self.orders if kept is not dropped)
            self.forgotten_order_fingerprints = self.with_fingerprint(
                self.forgotten_order_fingerprints, ids.fingerprint("order", dropped.order_id)
            )

    def _pieces(self) -> int:
        """Return the size of all orders and of the data of the instances, in pieces.

        An order takes two pieces and one for each line. A parcel takes two and one for every `_PARCEL_LINES` lines. The details of an
        order, its lines and its parcels take one for every `_DETAIL_BYTES` bytes. An instance that
        waits for a launch takes two. The data of all other instances takes one for every `_CHARACTERS` characters.
        """
        characters = pieces = 0
        for instance in self.instances:
            if instance.waits_for_launch:
                pieces += 2
                continue
            characters += len(instance.reward) + len(instance.awaits)
            for name, value in instance.own_data:
                characters += len(name) + len(value)
        return pieces + characters // _CHARACTERS + sum([_size(order) for order in self.orders])

    def has_forgotten(self, order_id: str) -> bool:
        """Return whether the order was stored once and has been dropped."""
        forgotten = self.forgotten_order_fingerprints
        return bool(forgotten) and fingerprints.contains(forgotten, ids.fingerprint("order", order_id))

    def with_fingerprint(self, row: bytes, fingerprint: bytes) -> bytes:
        """Return `row` with `fingerprint` as the newest entry; the oldest entries beyond the limit are dropped."""
        return fingerprints.add(row, fingerprint, self.ruleset.limits.fingerprints)

    def is_new(self, *parts: str) -> bool:
        """Return whether the event identified by `parts` is new, and store its fingerprint."""
        fingerprint = ids.fingerprint(*parts)
        if fingerprints.contains(self.seen_fingerprints, fingerprint):
            return False
        self.seen_fingerprints = self.with_fingerprint(self.seen_fingerprints, fingerprint)
        self.changed = True
        return True

    def hit_limit(self, limit: str, detail: str, order_id: str, *parts: str) -> None:
        """Log that a limit prevents an order, or a part of it identified by `parts`, from being stored. Log it once for each part."""
        repeat = " ".join(parts)
        if self.is_new("limit", limit, order_id, repeat):
            self.decisions_of("", 0, "", order_id, order_id=order_id).limit(limit, detail, repeat=repeat)

    def zone_of(self, order: OrderState | None) -> ZoneInfo:
        """Return the time zone of the order, or else of the profile, or else of the shop."""
        profile, shop = self.profile, self.ruleset.shop
        facts = order.facts if order else None
        if facts is not None:
            return local_time.local_zone(
                facts.time_zone or profile.time_zone, facts.country or profile.country, shop.time_zone
            )
        return local_time.local_zone(profile.time_zone, profile.country, shop.time_zone)

    def decisions(
        self,
        flow: Flow | None,
        instance: Instance,
        step: str = "",
        *,
        order_id: str | None = None,
        send_id: str | None = None,
    ) -> DecisionLog:
        """Return the log for decisions about one step of an instance.

        Args:
            flow: the flow and its version. With None they are those of the instance: the flow is not known here.
            instance: the instance, waiting or not.
            step: the path of the step, by default the step at which the instance waits.
            order_id: the order, by default the instance's own.
            send_id: the email, for decisions about an email.
        """
        return DecisionLog(
            self.effects,
            self.customer_id,
            self.now,
            flow.name if flow is not None else instance.flow,
            flow.version if flow is not None else instance.flow_version,
            instance.instance_id,
            step or instance.step,
            order_id or instance.order_id or None,
            send_id,
        )

    def decisions_of(
        self,
        flow: str,
        flow_version: int,
        instance_id: str,
        step: str,
        *,
        order_id: str | None = None,
        send_id: str | None = None,
    ) -> DecisionLog:
        """Return the same log by names, for an instance that does not exist."""
        return DecisionLog(
            self.effects, self.customer_id, self.now, flow, flow_version, instance_id, step, order_id, send_id
        )


def _size(order: OrderState) -> int:
    """Return the size of an order, see `UnitOfWork._pieces`."""
    facts = order.facts
    pieces = 2 + (len(facts.lines) if facts else 0)
    for parcel in order.parcels:
        pieces += 2 + len(parcel.lines) // _PARCEL_LINES
    details: list[object] = [parcel.details for parcel in order.parcels if parcel.details is not None]
    if facts is not None:
        details += [line.details for line in facts.lines if line.details is not None]
        details += [facts.details] if facts.details is not None else []
    return pieces + len(_encode(details)) // _DETAIL_BYTES if details else pieces
