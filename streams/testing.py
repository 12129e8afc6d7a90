"""Time travel for tests of flows: given these orders, after 30 days these mails.

    from streams.testing import Scenario

    def test_a_review_is_asked_for() -> None:
        shop = Scenario("templates")
        shop.order("anna", total="500 DKK")
        shop.parcel("anna", "delivered")
        shop.after(days=30)
        assert shop.mails("anna")[-2:] == ["review/ask-first-time", "goes-well-with/products"]

It is the real core with the shop's own flows, rules and consent policy; only the clock is moved by hand, and every mail arrives. A mail
that recommends is written from the products that were told, and from what sold so far, or is not sent:

        shop.product("LMP-3", title="Bulb", is_consumable=True)
        shop.product("LMP-1", title="Lamp", complements=("LMP-3",))
        ...
        assert shop.recommended("anna") == ["LMP-3"]

Where no product was told, nobody knows what would be recommended: the mail arrives without.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from msgspec.structs import replace

from streams.core.model import events
from streams.core.model.customer import Customer
from streams.core.model.effects import CountSales, Effect, LogDecision, MailFields, SendMail
from streams.core.model.events import Event, Order, OrderLine, ShipmentUpdated
from streams.core.model.ruleset import Ruleset
from streams.core.offers.catalogue import Catalogue, Product
from streams.core.offers.code_pool_records import Code
from streams.core.sending.content import template_data
from streams.core.values import money
from streams.definitions.loader import load_ruleset
from streams.tools.simulation.recommendations import SimulatedRecommendations
from streams.tools.simulation.simulator import Simulator

#: A Monday, ten o'clock in Copenhagen.
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_ORDER_KINDS: dict[str, Callable[[Order, datetime], events.OrderEvent]] = {
    "placed": events.OrderPlaced,
    "paid": events.OrderPaid,
    "changed": events.OrderChanged,
    "cancelled": events.OrderCancelled,
    "refunded": events.OrderRefunded,
}


class Email(MailFields, frozen=True, gc=True, kw_only=True):
    """An email as the customer received it; `context` is the data that its templates get, in JSON types."""

    context: dict[str, Any]
    tracking: bool


class Scenario:
    """A shop whose clock stands still until it is moved.

    Args:
        templates: the folder of the flows, or a Ruleset.
        start: what the clock shows at first, UTC.
        settings: as for `load_ruleset`: shop, vip_spend, rates, ...; a Ruleset has its own.

    Raises:
        FlowFileError: there are mistakes in the folder.
    """

    def __init__(
        self, templates: Path | str | Ruleset = "templates", *, start: datetime = START, **settings: Any
    ) -> None:
        self._effects: list[tuple[datetime, Effect]] = []
        self._orders: dict[str, Order] = {}
        self._newest: dict[str, str] = {}
        ruleset = templates if isinstance(templates, Ruleset) else load_ruleset(templates, **settings)
        self._run = Simulator(ruleset, start, on_effect=lambda effect, now: self._effects.append((now, effect)))

    @property
    def now(self) -> datetime:
        """What the clock shows, UTC."""
        return self._run.now

    def after(self, **length: float) -> None:
        """Let time pass, given as for timedelta: `after(days=2, hours=3)`."""
        self._run.advance(timedelta(**length))

    def codes(self, pool: str, *codes: str, expires_at: datetime | None = None) -> None:
        """The shop puts codes into a pool; who waits for one gets it now."""
        self._run.stock(*[Code(pool, code, expires_at) for code in codes])

    def tell(self, *facts: Event) -> None:
        """Anything that the core understands (streams.core.events) becomes known now."""
        self._run.handle(*facts)

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
        """The customer's order is placed, paid, changed, cancelled or refunded; the id of the order.

        Args:
            customer: the customer's id.
            total: amount and currency, for example "300 DKK"; 500 DKK of a new order, else what it was.
            kind: placed, paid, changed, cancelled or refunded.
            order_id: which order; a new one by default, the customer's newest for other kinds.
            lines: what was bought; one piece of `S-1` of a new order, else what it was.
            fields: further fields of `Order`: email, country, ship_country, locale, time_zone, name.

        Raises:
            KeyError: an unknown kind, or an order that was never placed.
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
        """A parcel of the customer's newest order, or of `order_id`, reaches `status`. Raises KeyError: no order was placed."""
        begins, ends = window or (None, None)
        self.tell(
            ShipmentUpdated(
                customer_id=customer,
                order_id=order_id or self._newest[customer],
                parcel_id=parcel_id,
                parcels_in_order=parcels,
                carrier="PostNord",
                tracking_number=parcel_id,
                tracking_url=f"https://track.example/{parcel_id}",
                status=status,
                window_from=begins,
                window_to=ends,
                lines=(),
                occurred_at=self.now,
            )
        )

    def profile(self, customer: str, *, birthday: date | None = None, **fields: Any) -> None:
        """The shop tells of the customer: email, name, country, locale, marketing_consent, birthday, ..."""
        self.tell(events.ProfileUpdated(customer_id=customer, occurred_at=self.now, birthday=birthday, **fields))

    def views(
        self,
        customer: str,
        sku: str,
        *,
        launches_at: datetime | None = None,
        kind: Literal["viewed", "added_to_cart", "removed_from_cart"] = "viewed",
    ) -> None:
        """The customer looks at a product, or moves it into the cart or out; `launches_at` (UTC) tells when it comes to the shop."""
        self.tell(
            events.ProductBrowsed(
                customer_id=customer, kind=kind, sku=sku, occurred_at=self.now, launches_at=launches_at
            )
        )

    def product(
        self,
        sku: str,
        *,
        title: str = "",
        category: str = "things",
        price: str = "100 DKK",
        complements: tuple[str, ...] = (),
        replaces: str | None = None,
        is_consumable: bool = False,
        is_available: bool = True,
    ) -> None:
        """The shop sells the product from now on, or it has become so; `title` is the sku if none is given, `price` amount and currency."""
        amount, _, currency = price.partition(" ")
        recommendations = self._run.recommendations
        if recommendations is None:
            recommendations = self._run.recommendations = SimulatedRecommendations(Catalogue())
            for _, effect in self._effects:  # what was bought before counts too
                if isinstance(effect, CountSales):
                    recommendations.count(effect)
        recommendations.assortment.catalogue.put(
            Product(
                sku=sku,
                title=title or sku,
                category=category,
                unit_price_minor=money.minor(Decimal(amount), currency),
                currency=currency,
                is_available=is_available,
                is_consumable=is_consumable,
                replaces=replaces,
                complements=complements,
            )
        )

    def opens(self, customer: str, message: str | None = None) -> None:
        """The customer opens the newest mail, or the newest `message`. Raises LookupError: there is no such mail."""
        send_id = self._sent(customer, message).send_id
        self.tell(events.MailOpened(customer_id=customer, send_id=send_id, agent="human", occurred_at=self.now))

    def clicks(self, customer: str, message: str | None = None, link: str = "https://shop.example/") -> None:
        """The customer follows a link of the newest mail, or of the newest `message`. Raises LookupError: there is no such mail."""
        send_id = self._sent(customer, message).send_id
        self.tell(
            events.MailClicked(customer_id=customer, send_id=send_id, link=link, agent="human", occurred_at=self.now)
        )

    def unsubscribes(self, customer: str, scope: Any = "marketing") -> None:
        """The customer wants no more mail of `scope`: marketing, review or survey."""
        self.tell(events.Unsubscribed(customer_id=customer, send_id=None, scope=scope, occurred_at=self.now))

    def answers(self, customer: str, question: str, answer: str) -> None:
        """The customer answers a question."""
        self.tell(
            events.SurveyAnswered(
                customer_id=customer, send_id=None, question=question, answer=answer, occurred_at=self.now
            )
        )

    def mails(self, customer: str) -> list[str]:
        """What the customer got so far, as flow/message."""
        return [f"{mail.flow}/{mail.message}" for mail in self._mails(customer)]

    def mail(self, customer: str, message: str | None = None) -> Email:
        """The newest mail of the customer, or the newest `message`: its context, address, language. Raises LookupError: there is none."""
        mail = self._sent(customer, message)
        fields = {name: getattr(mail, name) for name in MailFields.__struct_fields__}
        return Email(**fields, context=template_data(mail.content), tracking=mail.tracking)

    def recommended(self, customer: str) -> list[str]:
        """The skus in the customer's newest mail that recommends products. Raises LookupError: there is none."""
        data = [template_data(mail.content) for mail in self._mails(customer)]
        found = [context["products"] for context in data if "products" in context]
        if not found:
            raise LookupError(f"no mail recommended anything to {customer}; only {self.mails(customer)}")
        return [product["sku"] for product in found[-1]]

    def why(self, customer: str) -> list[tuple[str, str, str]]:
        """Every decision about the customer so far: flow, outcome and rule."""
        return [
            (one.flow, one.outcome, one.rule)
            for _, one in self._effects
            if isinstance(one, LogDecision) and one.customer_id == customer
        ]

    def state(self, customer: str) -> Customer | None:
        """What Takk knows of the customer."""
        return self._run.customers.get(customer)

    def _mails(self, customer: str) -> list[SendMail]:
        return [one for _, one in self._effects if isinstance(one, SendMail) and one.customer_id == customer]

    def _sent(self, customer: str, message: str | None) -> SendMail:
        found = [mail for mail in self._mails(customer) if message in (None, mail.message)]
        if not found:
            raise LookupError(f"{customer} got no mail {message or ''}".rstrip() + f"; only {self.mails(customer)}")
        return found[-1]
