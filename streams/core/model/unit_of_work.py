"""Unit of work: a working copy of one customer's state during one event, with the effects so far.

Handlers change the copy, and `finish` builds the immutable state once. It never leaves `advance`.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from streams.core.model.customer import Customer, Profile, Sent
from streams.core.model.decision_log import DecisionLog
from streams.core.model.effects import Effect
from streams.core.model.instance import Instance
from streams.core.model.orders import forgotten_orders, order_room, purchase_log
from streams.core.model.orders.order_state import OrderState
from streams.core.model.orders.purchase_log import PurchaseLog
from streams.core.rules.flow import Flow
from streams.core.rules.ruleset import Ruleset
from streams.core.values import fingerprints, ids, local_time


class UnitOfWork:
    """The working copy of a customer. Set `changed` after every change of the state.

    Args:
        ruleset: the flows and the shop's rules.
        state: the customer before the event.
        now: the time of the decision, UTC.
        caused_at: when the event occurred, UTC; by default now.
        is_imported: whether the event was imported from an earlier system. It updates the customer, and starts and resumes nothing.
    """

    __slots__ = (
        "caused_at",
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
        "forgotten_until",
        "gateway",
        "held_clicks",
        "history",
        "instances",
        "is_imported",
        "last_order_at",
        "last_order_id",
        "last_send_at",
        "last_starts",
        "lists",
        "merge",
        "noted_address",
        "now",
        "order_addresses",
        "orders",
        "profile",
        "purchase_log",
        "purchases",
        "ruleset",
        "seen_fingerprints",
        "segments",
        "sends",
        "shared_until",
        "spend",
        "spend_converted_minor",
        "state",
        "viewed",
        "visited_at",
    )  # fmt: skip

    def __init__(
        self,
        ruleset: Ruleset,
        state: Customer,
        now: datetime,
        caused_at: datetime | None = None,
        *,
        is_imported: bool = False,
    ) -> None:
        self.ruleset = ruleset
        self.state = state
        self.now = now
        self.caused_at = caused_at or now
        self.is_imported = is_imported
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
        self.order_addresses = state.order_addresses
        self.shared_until = state.shared_until
        self.noted_address = state.noted_address
        self.forgotten_until = state.forgotten_until
        self.history = state.history
        self.merge = state.merge
        self.held_clicks = state.held_clicks
        self.gateway = state.gateway
        self.purchase_log = state.purchase_log
        self.viewed = state.viewed

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
            self.order_addresses,
            self.shared_until,
            self.noted_address,
            self.forgotten_until,
            self.history,
            self.merge,
            self.held_clicks,
            self.gateway,
            self.purchase_log,
            self.viewed,
        )
        return customer, self.effects

    @property
    def is_shared(self) -> bool:
        """Whether several people share the customer id now, so that what one of them did must not concern another."""
        return self.shared_until is not None and self.now < self.shared_until

    def purchases_known(self) -> PurchaseLog:
        """Return the purchases by time and category. Without a stored log they are those of the orders that are still stored."""
        log = self.purchase_log
        return log if log is not None else purchase_log.log_of(self.orders, self.ruleset.limits.purchases)

    def order(self, order_id: str) -> OrderState | None:
        """Return the order with this id, or None if it is not stored."""
        for order in self.orders:
            if order.order_id == order_id:
                return order
        return None

    def put_order(self, order: OrderState) -> None:
        """Store an order in place of its earlier state. A new or larger order may exceed the limits (see `order_room.make_room`)."""
        self.changed = True
        for index, stored in enumerate(self.orders):
            if stored.order_id == order.order_id:
                self.orders = (*self.orders[:index], order, *self.orders[index + 1 :])
                if order_room.size(order) > order_room.size(stored):
                    self._make_room(order)
                return
        self.orders = (*self.orders, order)
        self._make_room(order)

    def _make_room(self, order: OrderState) -> None:
        if len(self.orders) == 1:
            return  # the present order always stays as it is
        awaited = {instance.order_id for instance in self.instances}
        self.orders, dropped = order_room.make_room(
            self.orders, order, awaited, order_room.instance_pieces(self.instances), self.ruleset.limits, self.is_open
        )
        for other in dropped:
            self._forget(other)

    def _forget(self, order: OrderState) -> None:
        """Keep the fingerprint of an order that is dropped. One that was not placed leaves none: it may still be placed, and then counts."""
        if not order.placed or order.facts is None:
            return
        is_open, most = self.is_open(order), self.ruleset.limits.order_fingerprints
        self.forgotten_order_fingerprints = forgotten_orders.add_order(
            self.forgotten_order_fingerprints, most, order, is_open=is_open
        )
        if is_open:
            detail = "too many open orders: this one is no longer stored"
            self.decisions_of("", 0, "", order.order_id, order_id=order.order_id).limit("orders", detail)
        if self.forgotten_until is None or order.facts.placed_at > self.forgotten_until:
            self.forgotten_until = order.facts.placed_at

    def is_open(self, order: OrderState) -> bool:
        """Return whether more may happen to an order: it is not fully delivered, refunded or cancelled, and not too old."""
        return order.is_open(self.now, self.ruleset.open_for)

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
            self.decisions_of("", 0, "", order_id, order_id=order_id or None).limit(limit, detail, repeat=repeat)

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
