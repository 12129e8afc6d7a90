"""The values that the files in `state/` contain. `state/README.md` describes how to add a file."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from msgspec.structs import replace

from streams.core.model.address_state import AddressState, CountedSend, Refusal
from streams.core.model.clicks import HeldClick
from streams.core.model.consent import Answer, Consent, Resubscription
from streams.core.model.customer import Customer, ExternalContact, History, Merge, Profile, Sent, Viewed
from streams.core.model.effects import ScheduleTimer
from streams.core.model.gateway_state import GatewayState, Request
from streams.core.model.instance import Instance, LastStart
from streams.core.model.orders.order import (
    Address,
    GiftRecipient,
    LineDetails,
    OrderDetails,
    OrderDiscount,
    OrderLine,
    OrderReturn,
    OrderTax,
    Parcel,
    ParcelDetails,
    PickupPoint,
)
from streams.core.model.orders.order_state import OrderFacts, OrderState
from streams.core.model.orders.purchase_log import CategoryPurchases, Purchase, PurchaseLog
from streams.core.model.traits import Attribute, Collected, ExternalId, ImportantDate, Traits
from streams.core.offers.code_pool_records import Claim, ClaimRecord, Code, KnownCode, Pool
from streams.core.offers.code_pool_records import Entry as PoolEntry
from streams.core.offers.popularity import Counts
from streams.mail.delivery.ledger import Entry

AT = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
DUE = datetime(2027, 11, 23, 8, 30, tzinfo=UTC)
DUE_MS = int(DUE.timestamp() * 1000)


def _hours(count: int) -> datetime:
    return AT + timedelta(hours=count, milliseconds=count)


#: Every field has a value that is not its default, and all times differ, so that the tests detect swapped fields.
FULL_1 = Customer(
    customer_id="c-Ø-1",
    profile=Profile("asa@example.com", "Åsa Ørn", "sv", "SE", "Europe/Stockholm", _hours(1)),
    consent=Consent(True, _hours(2), False, _hours(3), ("marketing", "review"), True, True, 2),
    purchases=3,
    spend=(("DKK", 120_050), ("SEK", 9_900)),
    spend_converted_minor=126_000,
    orders=(
        OrderState(
            "o1",
            OrderFacts(
                "asa@example.com", "Åsa Ørn", "sv", "SE", "NO", "SEK", 9_900, _hours(4), "Europe/Oslo",
                (OrderLine("s1", "Te", "tea", 2, 1_500), OrderLine("s2", "Kopp", "cups", 1, 6_900)),
            ),
            _hours(5), True, _hours(6), _hours(7), 6_400,
            (
                Parcel(
                    "p1", "delivered", _hours(8), "PostNord", "T-1", "https://track.example/p1", _hours(9), _hours(10),
                    (("s1", 2), ("s2", 1)), (("shipped", _hours(11)), ("delivered", _hours(12))),
                ),
            ),
            2, _hours(13), "send-1",
        ),
    ),
    forgotten_order_fingerprints=bytes(range(16)),
    first_order_at=_hours(14),
    last_order_at=_hours(15),
    last_order_id="o1",
    sends=(
        Sent("send-1", "review", 4, "2.0", "ask", "review", "o1", _hours(16), "sent", _hours(17), _hours(18), _hours(19)),
    ),
    last_send_at=_hours(20),
    instances=(Instance("run-1", "review", 4, "o1", "p1", "3", _hours(21), _hours(22)),),
    finished_fingerprints=bytes(range(16, 24)),
    seen_fingerprints=bytes(range(24, 48)),
)  # fmt: skip

#: The same customer with the fields of version 2.
FULL_2 = replace(
    FULL_1,
    consent=replace(
        FULL_1.consent, marketing_country="NO", marketing_notice="notice-1", answers=(Answer("review", True, _hours(25), "SE", "notice-2"),),
        notice="notice-3", notice_at=_hours(26),
    ),
    profile=replace(FULL_1.profile, birthday=date(1984, 5, 1), gender="kvinna"),
    instances=(
        replace(
            FULL_1.instances[0], awaits="mail.opened", wanted_at=_hours(23), trigger_data=(("answer", "ja"),), reward="0123456789AB"
        ),
    ),
    fields=(("loyalty", "gold"),),
    lists=("testers",),
    segments=("vip",),
    last_starts=(LastStart(bytes(range(8)), _hours(24)),),
)  # fmt: skip

#: The same customer with the fields of version 3.
FULL_3 = replace(
    FULL_2,
    orders=(replace(FULL_2.orders[0], facts=replace(FULL_2.orders[0].facts, discount_minor=150), paid_at=_hours(27)),),
    discounted=1,
    contacts=(ExternalContact("newsletter", _hours(28), "marketing", _hours(29)),),
)

_FACTS_3 = FULL_3.orders[0].facts
assert _FACTS_3 is not None

#: The same customer with the fields of version 4.
FULL_4 = replace(
    FULL_3,
    orders=(
        replace(
            FULL_3.orders[0],
            facts=replace(
                _FACTS_3,
                lines=tuple(
                    [replace(line, lasts_days=days) for line, days in zip(_FACTS_3.lines, (30, 400), strict=True)]
                ),
            ),
        ),
    ),
    visited_at=_hours(30),
)

_ORDER_4, _FACTS_4 = FULL_4.orders[0], FULL_4.orders[0].facts
assert _FACTS_4 is not None
_ADDRESS = Address("Åsa Ørn", "Ørn AB", "Storgatan 1", "2 tr.", "111 22", "Stockholm", "Uppland", "SE", "+46 70")

#: The same customer with the fields of version 5.
FULL_5 = replace(
    FULL_4,
    orders=(
        replace(
            _ORDER_4,
            facts=replace(
                _FACTS_4,
                lines=tuple(
                    [
                        replace(
                            line,
                            details=LineDetails(
                                f"grön {place}",
                                500 + place,
                                "kg",
                                1_400 + place,
                                10 + place,
                                25_000 + place,
                                300 + place,
                                "gift",
                                True,
                                f"https://shop.example/{place}.png",
                                f"https://shop.example/{place}",
                            ),
                        )
                        for place, line in enumerate(_FACTS_4.lines)
                    ]
                ),
                details=OrderDetails(
                    "#1001",
                    "shop-se",
                    9_000,
                    900,
                    "PostNord",
                    (OrderDiscount("TE10", "Tea week", 100),),
                    (OrderTax("moms", 12_000, 1_100),),
                    1_200,
                    False,
                    9_800,
                    "DKK",
                    6_401,
                    "Visa",
                    "paid",
                    _hours(31),
                    "F-17",
                    (OrderReturn("r1", _hours(32), (("s1", 1),)),),
                    _ADDRESS,
                    replace(_ADDRESS, line1="Kungsgatan 2"),
                    PickupPoint("Kiosk", replace(_ADDRESS, line1="Torget 3"), "9-17"),
                    "https://shop.example/o/1",
                    "Ring!",
                    ("b2b",),
                    "Ørn AB",
                    "SE556677889901",
                    True,
                    True,
                    GiftRecipient("Bo", "bo@example.com", "Grattis"),
                    "https://shop.example/returns",
                    "https://shop.example/withdrawal",
                ),
            ),
            parcels=(
                replace(
                    _ORDER_4.parcels[0],
                    details=ParcelDetails(
                        "customs",
                        PickupPoint("Box 7", replace(_ADDRESS, line1="Hamnen 4"), "0-24"),
                        "4711",
                        "2026-12-01",
                        "2026-11-30",
                        "I tullen",
                        True,
                    ),
                ),
            ),
            refunded_minor=300,
            partly_refunded_at=_hours(33),
            does_not_add_up=True,
        ),
    ),
    profile=replace(
        FULL_4.profile,
        stated_country="DK",
        traits=Traits(
            "8000",
            "Århus",
            True,
            (Attribute("points", 120, _hours(31)), Attribute("size", "Ø", _hours(32))),
            (ImportantDate("wedding", date(2019, 6, 1), _hours(33)),),
            (ExternalId("klaviyo", "01AB", _hours(34)),),
            (Collected("wish", "s1", _hours(35), is_kept=False), Collected("like", "s2", _hours(36), is_kept=False)),
        ),
    ),
    merge=Merge("c-Ø-2", _hours(34), ("guest-1", "guest-2"), b"handover"),
    consent=replace(
        FULL_4.consent,
        unsubscribed_at=(("marketing", _hours(31)), ("review", _hours(32))),
        resubscriptions=(
            Resubscription("marketing", _hours(33), "NO", "notice-4", "checkout", "Ja, send mig nyheder"),
        ),
        bad_address_at=_hours(34),
    ),
    sends=(replace(FULL_4.sends[0], address=bytes(range(48, 64))),),
    order_addresses=bytes(range(64, 76)),
    shared_until=_hours(33),
    noted_address=bytes(range(80, 96)),
    forgotten_until=_hours(31),
    history=History("partial", _hours(32), 7, 450_000),
)

#: The same customer with the fields of version 6.
FULL_6 = replace(
    FULL_5,
    held_clicks=(HeldClick("3fa2", b"fingerpr", _hours(35), "human", "https://shop.example/Ø", _hours(36)),),
    gateway=GatewayState(
        bytes(range(8)),
        True,
        _hours(35),
        (Request("change_address-1", "change_address", _hours(36), "bo@example.com", True),),
        _hours(37),
    ),
)

#: The same customer with the fields of version 7.
FULL_7 = replace(FULL_6, profile=replace(FULL_6.profile, birthday_at=_hours(38)))

#: The same customer with the fields of version 8.
FULL_8 = replace(
    FULL_7,
    profile=replace(
        FULL_7.profile,
        removed_birthdays=bytes(range(8)),
        birthday_since=_hours(37),
        traits=replace(
            FULL_7.profile.traits,
            dates=tuple(
                [replace(each, removed=bytes(range(8, 24)), since=_hours(30)) for each in FULL_7.profile.traits.dates]
            ),
            collected=tuple(
                [replace(each, unit_price_minor=12_900, currency="DKK") for each in FULL_7.profile.traits.collected]
            ),
        ),
    ),
)

#: The same customer with the fields of version 9.
FULL_9 = replace(
    FULL_8,
    purchase_log=PurchaseLog(
        (Purchase(_hours(39), 2, 12_000), Purchase(_hours(40), 3, 9_900)),
        (CategoryPurchases("thé", 4, (Purchase(_hours(41), 5, 700),)),),
    ),
    viewed=(Viewed("s1", _hours(42)), Viewed("s2", _hours(43))),
)

#: The same customer with the fields of version 10.
FULL_10 = replace(
    FULL_9,
    orders=tuple([replace(each, facts=replace(each.facts, more_items=3)) for each in FULL_9.orders]),
)

#: The same customer with the fields of version 11.
FULL = replace(
    FULL_10,
    orders=tuple(
        [
            replace(
                each,
                facts=replace(
                    each.facts, details=replace(each.facts.details, invoiced_at=_hours(33), invoice_note="Omvänd")
                ),
            )
            for each in FULL_10.orders
        ]
    ),
)

_MARCH = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

#: A customer with one order, as an early version of the rules wrote it. Many fields are empty, as usual in production.
PLAIN = Customer(
    customer_id="c1",
    profile=Profile("anna@example.com", "Anna Holm", "da", "DK", "Europe/Oslo", _MARCH),
    consent=Consent(marketing=True, marketing_at=_MARCH),
    purchases=1,
    spend=(("DKK", 50_000),),
    spend_converted_minor=50_000,
    orders=(
        OrderState(
            "o1",
            OrderFacts(
                "anna@example.com", "Anna Holm", "da", "DK", "DK", "DKK", 50_000, _MARCH, None,
                (OrderLine("s1", "Tea", "tea", 2, 15_000), OrderLine("s2", "Cup", "cups", 1, 20_000)),
            ),
            _MARCH, True, None, None, 50_000,
            (
                Parcel(
                    "p1", "delivered", _MARCH, "PostNord", "Tp1", "https://track.example/p1", None, None,
                    (("s1", 1),), (("delivered", _MARCH), ("shipped", _MARCH)),
                ),
            ),
            1, _MARCH, "527562157a150b288157efcd663074bf",
        ),
    ),
    first_order_at=_MARCH,
    last_order_at=_MARCH,
    last_order_id="o1",
    sends=(
        Sent(
            "527562157a150b288157efcd663074bf", "order-confirmation", 1, "0", "confirmation", "order", "o1", _MARCH, "sent",
            clicked_at=_MARCH,
        ),
        Sent("3fa22e5c3d092f93e6b2f3c9fe181973", "shipment-confirmation", 1, "0", "shipped", "order", "o1", _MARCH, "sent"),
    ),
    last_send_at=_MARCH,
    instances=(
        Instance("55bc7b30e4eda1bacb0ef33ad80291c6", "thank-you", 1, "o1", None, "1", _MARCH + timedelta(days=1), _MARCH),
        Instance("1561bae262c745327674767d48ed9853", "review", 1, "o1", "p1", "1", _MARCH + timedelta(days=2), _MARCH),
    ),
    finished_fingerprints=bytes.fromhex("f28b3f9131c7462bb5bf9d6af18b2d27"),
    seen_fingerprints=bytes.fromhex("4db9e8f80f9c0a13"),
)  # fmt: skip

COUNTS = Counts("sku-Ø", 3, 2934, (5, 4, 3, 2, 1, 6, 7, 8), (("s2", 9), ("s3", 1)))
ENTRY = Entry("in_flight", 3, AT, "4Q1", "disk-7")
#: Every kind of entry of the table `pools`, by the suffix of its file name. A waiting claim has no code yet.
POOL: dict[str, PoolEntry] = {
    "": Pool(7, 9, 3, 4),
    "-code": Code("spring-10", "Ø-ABC", _hours(30)),
    "-claim": Claim("spring-10", "r" * 32, "c-Ø-1", "spring", 4, "i" * 32, "2.0", "o1", _hours(31)),
    "-seen": KnownCode(),
    "-asked": ClaimRecord("Ø-ABC", _hours(30), _hours(32)),
    "-waits": ClaimRecord(),
}
ADDRESS = AddressState(
    (Refusal("marketing", "unsubscribed", _hours(34)),),
    (("review", _hours(35)),),
    _hours(36),
    _hours(37),
    (CountedSend(_hours(38), bytes(range(8)), "survey"),),
)
STEP = ScheduleTimer(timer_id="t" * 32, customer_id="c1", instance_id="i" * 32, flow="review", step="1", due_at=DUE)
