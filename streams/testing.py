"""Tests of flows on a virtual clock: given these orders, the customer gets these emails within 30 days.

    from streams.testing import Scenario

    def test_review() -> None:
        shop = Scenario("templates")
        shop.order("anna", total="500 DKK")
        shop.parcel("anna", "delivered")
        shop.after(days=30)
        assert {"review/ask-first-time", "goes-well-with/products"} <= set(shop.mails("anna"))

A scenario runs the real core with the shop's own flows, sending rules and consent policy. The test moves the clock, and every email is
delivered. Recommendations come from the products of the scenario and their sales, and an email without enough of them is not sent:

        shop.product("LMP-3", title="Bulb", is_consumable=True)
        shop.product("LMP-1", title="Lamp", complements=("LMP-3",))
        ...
        assert shop.recommended("anna") == ["LMP-3"]

In a scenario without products, emails are sent without recommendations.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args

from msgspec.structs import replace

from streams.core.model import events
from streams.core.model.clicks import HOLD, STEP, TOO_SOON
from streams.core.model.effects import CountSales, ScheduleTimer
from streams.core.model.events import Event, Order, OrderLine, ShipmentUpdated
from streams.core.model.person_events import ActivityKind
from streams.core.offers.catalogue import Catalogue, Product
from streams.core.offers.code_pool_records import Code
from streams.core.offers.product_changes import version_of
from streams.core.rules.ruleset import Ruleset
from streams.core.values import money
from streams.definitions.loader import load_ruleset
from streams.tools.simulation.recommendations import SimulatedRecommendations
from streams.tools.simulation.results import Email, Results
from streams.tools.simulation.simulator import timer_fired

__all__ = ["START", "Email", "OrderLine", "Scenario"]

#: A Monday, ten o'clock in Copenhagen.
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_ORDER_KINDS: dict[str, Callable[[Order, datetime], events.OrderEvent]] = {
    event.NAME.removeprefix("order."): event for event in get_args(events.OrderEvent)
}


class Scenario(Results):
    """A shop with a virtual clock. Time passes only in `after`, and at times some seconds in `clicks`.

    Args:
        templates: the templates folder, or a Ruleset. With a folder, a customer's first order in the scenario is the first of all.
        start: the time at the start, UTC.
        settings: arguments of `load_ruleset`, such as shop, vip_spend and rates; not with a Ruleset.

    Raises:
        FlowFileError: the templates folder contains errors.
    """

    def __init__(
        self, templates: Path | str | Ruleset = "templates", *, start: datetime = START, **settings: Any
    ) -> None:
        self._orders: dict[str, Order] = {}
        self._newest: dict[str, str] = {}
        ruleset = templates if isinstance(templates, Ruleset) else load_ruleset(templates, **settings)
        if ruleset is not templates:
            ruleset.rules = replace(ruleset.rules, history="complete")
        super().__init__(ruleset, start)

    @property
    def now(self) -> datetime:
        """The current time, UTC."""
        return self._run.now

    def after(self, **length: float) -> None:
        """Advance the clock. The arguments are those of timedelta: `after(days=2, hours=3)`."""
        self._run.advance(timedelta(**length))

    def codes(self, pool: str, *codes: str, expires_at: datetime | None = None) -> None:
        """Add codes to a pool. Customers who wait for a code get it now. The codes expire at `expires_at` (UTC), or never."""
        self._run.stock(*[Code(pool, code, expires_at) for code in codes])

    def tell(self, *events: Event) -> None:
        """Handle events of `streams.core.model.events`, at the current time."""
        self._run.handle(*events)

    def order(
        self,
        customer: str,
        total: str | None = None,
        *,
        kind: str = "placed",
        order_id: str | None = None,
        lines: tuple[OrderLine, ...] | None = None,
        **fields: Any,
    ) -> str:
        """Place, pay, change, cancel or refund an order, and return its id.

        Args:
            customer: the customer's id.
            total: amount and currency, for example "300 DKK". Default: 500 DKK for a new order, else unchanged.
            kind: placed, paid, changed, cancelled or refunded.
            order_id: the order's id. Default: a new id if `kind` is placed, else the customer's newest order.
            lines: the order's lines. Default: one piece of `S-1` for a new order, else unchanged.
            fields: further fields of `Order`: email, country, ship_country, locale, time_zone, name.

        Raises:
            KeyError: `kind` is unknown, or the order was never placed.
        """
        values: dict[str, Any] = {} if lines is None else {"lines": lines}
        if total is not None or kind == "placed":
            amount, _, currency = (total or "500 DKK").partition(" ")
            values |= {"currency": currency, "total_minor": money.minor(Decimal(amount), currency)}
        if kind == "placed":
            order_id = order_id or f"{customer}-{len(self._orders) + 1}"
            country = fields.get("country", self._run.ruleset.shop.country)
            defaults = {
                "order_id": order_id, "customer_id": customer, "placed_at": self.now, "email": f"{customer}@example.com",
                "name": customer.title(), "locale": self._run.ruleset.shop.locale, "country": country, "ship_country": country,
                "lines": (OrderLine("S-1", "Something", "things", 1, values["total_minor"]),),
            }  # fmt: skip
            self._orders[order_id] = Order(**(defaults | values | fields))
            self._newest[customer] = order_id
        else:
            order_id = order_id or self._newest[customer]
            self._orders[order_id] = replace(self._orders[order_id], **(values | fields))
        self.tell(_ORDER_KINDS[kind](self._orders[order_id], self.now))
        return order_id

    def parcel(
        self,
        customer: str,
        status: events.ShipmentStatus,
        *,
        order_id: str | None = None,
        parcel_id: str = "p1",
        parcels: int = 1,
        window: tuple[datetime, datetime] | None = None,
    ) -> None:
        """Report a parcel's status.

        Args:
            customer: the customer's id.
            status: the new status.
            order_id: the order's id. Default: the customer's newest order.
            parcel_id: the parcel's id within the order.
            parcels: the number of parcels of the order.
            window: start and end of the delivery window, UTC.

        Raises:
            KeyError: the customer has no order.
        """
        begins, ends = window or (None, None)
        self.tell(
            ShipmentUpdated(
                customer_id=customer, order_id=order_id or self._newest[customer], parcel_id=parcel_id, parcels_in_order=parcels,
                carrier="PostNord", tracking_number=parcel_id, tracking_url=f"https://track.example/{parcel_id}", status=status,
                window_from=begins, window_to=ends, lines=(), occurred_at=self.now,
            )
        )  # fmt: skip

    def profile(self, customer: str, *, birthday: date | None = None, **fields: Any) -> None:
        """Update the customer's profile: email, name, country, marketing_consent, birthday, attributes (a dict) and so on."""
        values: dict[str, Any] = {key: tuple(v.items()) if isinstance(v, dict) else v for key, v in fields.items()}
        self.tell(events.ProfileUpdated(customer_id=customer, occurred_at=self.now, birthday=birthday, **values))

    def views(
        self,
        customer: str,
        sku: str,
        *,
        launches_at: datetime | None = None,
        kind: Literal["viewed", "added_to_cart", "removed_from_cart"] = "viewed",
    ) -> None:
        """Report that the customer views a product, or adds it to or removes it from the cart. It is launched at `launches_at` (UTC)."""
        self.tell(
            events.ProductBrowsed(
                customer_id=customer, kind=kind, sku=sku, occurred_at=self.now, launches_at=launches_at
            )
        )

    def product(
        self, sku: str, *, title: str = "", category: str = "things", price: str = "100 DKK", **fields: Any
    ) -> None:
        """Add or update a product of the shop. The default title is the SKU; `price` is amount and currency.

        `fields` are further fields of `Product`: complements, replaces, is_consumable, is_available, stock. An update may start flows: an
        older product must have been there for an hour before it is replaced.
        """
        amount, _, currency = price.partition(" ")
        recommendations = self._run.recommendations
        if recommendations is None:
            recommendations = self._run.recommendations = SimulatedRecommendations(Catalogue())
            for _, effect in self._effects:  # earlier sales count too
                if isinstance(effect, CountSales):
                    recommendations.count(effect)
        product = Product(
            sku=sku,
            title=title or sku,
            category=category,
            unit_price_minor=money.minor(Decimal(amount), currency),
            currency=currency,
            **fields,
        )
        recommendations.assortment.catalogue.put(product)
        self._run.change_product(version_of(product, self.now, recommendations.assortment.catalogue.changes))

    def wishes(self, customer: str, sku: str, *, is_kept: bool = True) -> None:
        """Put a product on the customer's wish list, or take it off."""
        kind: ActivityKind = "wished" if is_kept else "unwished"
        self.tell(events.CustomerActed(customer_id=customer, kind=kind, sku=sku, occurred_at=self.now))

    def opens(self, customer: str, message: str | None = None) -> None:
        """Open the customer's newest email, or the newest `message`.

        Raises:
            LookupError: the customer has no such email.
        """
        mail = self._sent(customer, message)
        self.tell(events.MailOpened(customer_id=customer, send_id=mail.send_id, agent="human", occurred_at=self.now))

    def clicks(self, customer: str, message: str | None = None, link: str = "https://shop.example/") -> None:
        """Click a link in the customer's newest email, or in the newest `message`.

        The click counts at once. Like a person, the customer clicks a moment after the email arrived, and ten seconds after an earlier
        click: if less time has passed, the clock advances until then.

        Raises:
            LookupError: the customer has no such email.
        """
        clicked = {"send_id": self._sent(customer, message).send_id, "link": link}
        state = self.state(customer)
        if state is not None:
            if state.last_send_at is not None:
                self._run.advance_to(state.last_send_at + TOO_SOON)
            for click in state.held_clicks:
                self._run.advance_to(click.at + HOLD + timedelta.resolution)
        known = len(self._effects)
        self.tell(events.MailClicked(customer_id=customer, agent="human", occurred_at=self.now, **clicked))
        for _, effect in self._effects[known:]:
            if isinstance(effect, ScheduleTimer) and effect.step == STEP:
                self.tell(timer_fired(effect, self.now))

    def unsubscribes(self, customer: str, scope: Any = "marketing") -> None:
        """Unsubscribe the customer from `scope`: marketing, review or survey."""
        self.tell(events.Unsubscribed(customer_id=customer, send_id=None, scope=scope, occurred_at=self.now))

    def answers(self, customer: str, question: str, answer: str) -> None:
        """Answer a survey question as the customer. An answer such as "9" or "4.5" is a number as well, as on the pages of the gateway."""
        is_number = re.fullmatch(r"-?\d+(\.\d{1,3})?", answer, re.ASCII)
        self.tell(
            events.SurveyAnswered(
                customer_id=customer,
                send_id=None,
                question=question,
                answer=answer,
                occurred_at=self.now,
                number_thousandths=int(Decimal(answer) * 1000) if is_number else None,
            )
        )
