"""The command that the mailer executes: one email to render and send."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
import orjson
from msgspec import UNSET, Struct, UnsetType

from streams.core.model.effects import MailFields
from streams.core.offers.recommendations import REQUEST_KEY
from streams.core.offers.shown_product import PRODUCT_KEY
from streams.core.sending.content import complete


class _OrderFacts(Struct, frozen=True, gc=False):
    is_test: bool | None = None
    placed_at: str | None = None


class Facts(Struct, frozen=True, gc=False):
    """The part of the data for the templates that the mailer needs, which only a renderer reads in full.

    Attributes:
        order: the facts of the order, if the email has one.
        recommend: the request for products.
        product: the product that the email is about.
    """

    order: _OrderFacts | None = None
    recommend: msgspec.Raw | UnsetType = msgspec.field(default=UNSET, name=REQUEST_KEY)
    product: msgspec.Raw | UnsetType = msgspec.field(default=UNSET, name=PRODUCT_KEY)


_decode_facts = msgspec.json.Decoder(Facts).decode


class Command(MailFields, frozen=True, gc=True, kw_only=True, dict=True):
    """A send as stored on `email-commands`: the fields of `SendMail` and those that encoding adds.

    Attributes:
        context_json: the data for the templates, as it was read: a JSON object.
        tracking: whether the email may contain a tracking pixel.
        attempt: the number of the attempt, from 1.
        commanded_at: when the email was decided, UTC; the same for all attempts.
        raw: the record's value as it was read, framing included. A retry timer carries it.
        due_at: when the email became due, UTC; None for a retry, and for a command of an older worker. Only metrics depend on it.
    """

    context_json: str
    tracking: bool
    attempt: int
    commanded_at: datetime
    raw: bytes
    due_at: datetime | None = None

    @cached_property
    def context(self) -> dict[str, Any]:
        """The data for the templates, with what earlier versions did not write.

        Raises:
            ValueError: it is not a JSON object.
        """
        context = orjson.loads(self.context_json)
        if not isinstance(context, dict):
            raise ValueError("the context is not a JSON object")
        complete(context)
        return context

    @cached_property
    def facts(self) -> Facts:
        """The part of the context that the mailer needs.

        Raises:
            ValueError: the context is not a JSON object.
        """
        try:
            return _decode_facts(self.context_json)
        except msgspec.DecodeError:  # a field has another type, or it is not JSON
            context = self.context
        order = context.get("order")
        found = order if isinstance(order, dict) else {}
        placed_at = found.get("placed_at")
        return Facts(
            _OrderFacts(found.get("is_test") is True, placed_at if isinstance(placed_at, str) else None),
            msgspec.Raw(b"{}") if REQUEST_KEY in context else UNSET,
            msgspec.Raw(b"{}") if PRODUCT_KEY in context else UNSET,
        )

    @property
    def requests_products(self) -> bool:
        """Whether the email shows products that are chosen, or whose page is looked up, when it is composed."""
        return self.facts.recommend is not UNSET or self.facts.product is not UNSET

    @property
    def is_test(self) -> bool:
        """Whether the email is about a test order, which counts nowhere."""
        order = self.facts.order
        return order is not None and order.is_test is True

    @property
    def order_placed_at(self) -> datetime | None:
        """When the order in the context was placed. None if the context has no order or no valid time."""
        order = self.facts.order
        if order is None or order.placed_at is None:
            return None
        try:
            at = datetime.fromisoformat(order.placed_at)
        except ValueError:
            return None
        return at if at.tzinfo is not None else None
