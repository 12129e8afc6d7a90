"""Events about the person behind a customer id, and what the person did besides buying. See events.py for what all events share."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from streams.core.rules.sending_rules import HistoryState

#: The rule of decisions and withdrawals that follow from an erasure. The mailer reads it: it withdraws transactional emails too.
ERASED = "erased"


class CustomerErased(Struct, frozen=True, gc=False, kw_only=True):
    """The customer's data must be erased: the record of the customer was deleted on the topic `customers`, or `takk forget` deleted it."""

    customer_id: str
    occurred_at: datetime


ActivityKind: TypeAlias = Literal[
    "wished", "unwished", "liked", "unliked", "reviewed", "referral_redeemed", "contest_entered"
]


class CustomerActed(Struct, frozen=True, gc=False, kw_only=True):
    """The customer did something in the shop besides buying.

    Attributes:
        kind: what; `wished` and `liked` are about a product, and taken back by `unwished` and `unliked`.
        event_id: the source's id of the event, "" if its time identifies it.
        sku: the product, "" for the shop itself.
        stars: a review's stars, on a scale of one to five.
        contest: the contest that was entered.
        unit_price_minor: the price of a wished product then, in minor units of `currency`; None if it is unknown.
        currency: the currency of the price, "" without one.
    """

    customer_id: str
    kind: ActivityKind
    occurred_at: datetime
    event_id: str = ""
    sku: str = ""
    order_id: str = ""
    stars: int = 0
    contest: str = ""
    unit_price_minor: int | None = None
    currency: str = ""


class ProfileUpdated(Struct, frozen=True, gc=False, kw_only=True):
    """The shop's newest profile of the customer. None means unknown and keeps the older value.

    `history` says how much of what the customer bought before is in `orders_before` and `spend_before_minor` (minor units of the shop's
    currency).

    Attributes:
        consent_notice, consent_source, consent_wording: the evidence of the answers: the version of the notice, where the customer
            answered, and the text of the question.
        removes_birthday: whether the customer took the birthday back. Then `birthday` is None.
        has_bad_address: whether the profile has an address that is not one. Then `email` is None.
        attributes, dates, external_ids: (name, value) of what is stated; None removes the value.
        flaws: how many of these were cut or left out, and why, without data of the customer; "" if none was.
    """

    customer_id: str
    email: str | None = None
    name: str | None = None
    locale: str | None = None
    country: str | None = None
    time_zone: str | None = None
    marketing_consent: bool | None = None
    tracking_consent: bool | None = None
    birthday: date | None = None
    gender: str | None = None
    review_consent: bool | None = None
    survey_consent: bool | None = None
    profile_consent: bool | None = None
    consent_notice: str | None = None
    consent_source: str | None = None
    consent_wording: str | None = None
    has_bad_address: bool = False
    history: HistoryState | None = None
    orders_before: int = 0
    spend_before_minor: int = 0
    is_imported: bool = False
    postal_code: str | None = None
    city: str | None = None
    is_company: bool | None = None
    attributes: tuple[tuple[str, str | int | None], ...] = ()
    dates: tuple[tuple[str, date | None], ...] = ()
    external_ids: tuple[tuple[str, str | None], ...] = ()
    flaws: str = ""
    removes_birthday: bool = False
    occurred_at: datetime


RequestKind: TypeAlias = Literal["export", "erase", "change_address", "frequency", "preferences"]
RequestStage: TypeAlias = Literal["asked", "confirmed", "done"]
#: The kinds that have no effect until the customer has followed the link of an email.
CONFIRMED_KINDS: frozenset[str] = frozenset(("export", "erase", "change_address"))


class CustomerRequested(Struct, frozen=True, gc=False, kw_only=True):
    """The customer asked for something on the pages of the gateway, or confirmed it; or the shop has done its part (`done`).

    Attributes:
        email: the new address of `change_address`, "" for other kinds and stages.
        wants_fewer: the answer of `frequency`.
        profile: the answers and values of `preferences`; None for other kinds.
        wants_service: whether the customer wants service emails, if `preferences` say so.
    """

    request_id: str
    customer_id: str
    kind: RequestKind
    stage: RequestStage
    occurred_at: datetime
    email: str = ""
    wants_fewer: bool = False
    profile: ProfileUpdated | None = None
    wants_service: bool | None = None
