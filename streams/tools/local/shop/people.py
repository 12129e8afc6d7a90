"""The customers and the products of the simulated shop. A customer is a pure function of the seed and a number."""

from __future__ import annotations

import random
import unicodedata

from msgspec import Struct

#: Consents and their shares: 10 % of the customers refused, and 10 % were never asked (None).
CONSENT_ODDS = ((True, 0.8), (False, 0.1), (None, 0.1))


class Market(Struct, frozen=True):
    """A country the shop sells to. `rate` converts euro cents to minor units of `currency`."""

    country: str
    share: float
    locale: str
    currency: str
    rate: float
    time_zones: tuple[str, ...]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]


class Person(Struct, frozen=True):
    """A customer of the simulated shop. A consent is None if the customer was never asked."""

    customer_id: str
    email: str
    name: str
    locale: str
    country: str
    currency: str
    rate: float
    time_zone: str | None
    marketing_consent: bool | None
    tracking_consent: bool | None


class Product(Struct, frozen=True):
    """A product of the shop. `price_cents` is in euro cents; one piece of a consumable lasts `lasts_days`."""

    sku: str
    title: str
    category: str
    price_cents: int
    complements: tuple[str, ...] = ()
    replaces: str | None = None
    is_consumable: bool = False
    is_available: bool = True
    lasts_days: int | None = None


MARKETS = (
    Market("DK", 0.34, "da", "DKK", 7.46, ("Europe/Copenhagen",),
           ("Anna", "Åse", "Søren", "Mette", "Jens", "Freja", "Bjørn", "Anne-Marie", "Kåre", "Ida", "Mohammed", "Lærke"),
           ("Nielsen", "Jensen", "Sørensen", "Møller", "Østergaard", "Kjær", "Holm", "Åkjær", "Dahl Petersen", "Ahmed")),
    Market("GB", 0.18, "en-GB", "GBP", 0.86, ("Europe/London",),
           ("Olivia", "George", "Amelia", "Zoë", "Harry", "Siobhán", "Priya", "Jack", "Chloe", "Mary Ann"),
           ("Smith", "O'Brien", "Patel", "Taylor", "Lloyd-Jones", "Evans", "Walker", "MacLeod")),
    Market("DE", 0.16, "de", "EUR", 1.0, ("Europe/Berlin",),
           ("Jürgen", "Käthe", "Lukas", "Anneliese", "Björn", "Mia", "Hans-Peter", "Emine", "Sofie"),
           ("Müller", "Schäfer", "Weiß", "von der Heide", "Yılmaz", "Groß", "Becker", "Köhler")),
    Market("SE", 0.12, "sv", "SEK", 11.4, ("Europe/Stockholm",),
           ("Åsa", "Göran", "Elsa", "Linnéa", "Nils", "Astrid", "Oskar"),
           ("Andersson", "Öberg", "Lindström", "Sjögren", "Ek", "Nyström")),
    Market("NO", 0.08, "nb", "NOK", 11.7, ("Europe/Oslo",),
           ("Ingrid", "Håkon", "Øyvind", "Solveig", "Nora", "Pål"),
           ("Hansen", "Bråten", "Ødegård", "Berg", "Lie", "Haugen")),
    Market("NL", 0.05, "nl", "EUR", 1.0, ("Europe/Amsterdam",),
           ("Sanne", "Daan", "Femke", "Jeroen", "Noor"), ("de Vries", "van den Berg", "Bakker", "'t Hart", "Visser")),
    Market("IE", 0.03, "en-IE", "EUR", 1.0, ("Europe/Dublin",),
           ("Aoife", "Cian", "Niamh", "Pádraig"), ("Murphy", "O'Sullivan", "Ní Bhriain", "Walsh")),
    Market("US", 0.04, "en-US", "USD", 1.09, ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"),
           ("Emma", "Liam", "José", "Mary-Jo", "DeShawn"), ("Johnson", "García", "Nguyen", "Miller", "St. James")),
)  # fmt: skip

PRODUCTS = (
    Product("LMP-001", "Table lamp, brass", "lighting", 8900, ("LMP-003",)),
    Product("LMP-002", "Floor lamp, oak", "lighting", 18900, ("LMP-003",)),
    Product("LMP-003", "LED bulb E27, 3 pcs", "lighting", 1290, is_consumable=True, lasts_days=365),
    Product("CHR-001", "Dining chair, ash", "furniture", 14900, ("TXT-002",)),
    Product("CHR-002", "Lounge chair, leather", "furniture", 89900, ("TXT-001", "LMP-002")),
    Product("TBL-001", "Coffee table, walnut", "furniture", 34900),
    Product("SHF-001", "Wall shelf, 80 cm", "furniture", 5900),
    Product("TXT-001", "Wool throw, grey", "textiles", 7900),
    Product("TXT-002", "Cushion cover, linen", "textiles", 2490),
    Product("TXT-003", "Bath towel, 2 pcs", "textiles", 2990),
    Product("TXT-004", "Duvet set \"Nordlys\" 140×200", "textiles", 6990),
    Product("KIT-001", "Chef's knife, 20 cm", "kitchen", 9900),
    Product("KIT-002", "Coffee grinder", "kitchen", 12900, ("KIT-003",)),
    Product("KIT-003", "Mugs, stoneware, 4 pcs", "kitchen", 3990),
    Product("KIT-004", "Salt & pepper mill", "kitchen", 4490),
    Product("KIT-005", "Cast-iron pot, 4 l", "kitchen", 15900, ("KIT-001", "KIT-004")),
    Product("KID-001", "Wooden train", "children", 3490),
    Product("KID-002", "Night light, moon", "children", 2790),
    Product("GRD-001", "Fire bowl", "garden", 21900),
    Product("GRD-002", "Plant pot, terracotta", "garden", 1990),
    Product("GRD-003", "Bird feeder", "garden", 2990, is_available=False),
    Product("CND-001", "Candles, beeswax, 6 pcs", "home", 1890, is_consumable=True, lasts_days=45),
    Product("VAS-001", "Vase, blown glass", "home", 5490),
    Product("RUG-001", "Rug, jute, 160×230", "home", 17900),
)  # fmt: skip


def person(seed: int, number: int) -> Person:
    """Return customer `number` of the shop with this seed; always the same."""
    rng = random.Random(f"person/{seed}/{number}")
    market = rng.choices(MARKETS, [m.share for m in MARKETS])[0]
    name = f"{rng.choice(market.first_names)} {rng.choice(market.last_names)}"
    marketing, tracking = (rng.choices([c for c, _ in CONSENT_ODDS], [w for _, w in CONSENT_ODDS])[0] for _ in range(2))
    return Person(
        customer_id=f"c{seed}-{number}",
        # .example is reserved (RFC 2606), so that no email can ever reach a person.
        email=f"{_mailbox_name(name)}.{number}@{rng.choice(('post', 'mail', 'home'))}.example",
        name=name,
        # Some customers read another language than that of their country.
        locale="en" if rng.random() < 0.05 else market.locale,
        country=market.country,
        currency=market.currency,
        rate=market.rate,
        time_zone=rng.choice(market.time_zones) if rng.random() < 0.9 else None,
        marketing_consent=marketing,
        tracking_consent=tracking,
    )


def price(product: Product, rate: float) -> int:
    """Return the price in minor units of a currency with `rate` to the euro, rounded to tens of minor units."""
    return max(10, round(product.price_cents * rate / 10) * 10)


def _mailbox_name(name: str) -> str:
    special = str.maketrans({"ø": "oe", "å": "aa", "æ": "ae", "ß": "ss", "ı": "i"})
    plain = unicodedata.normalize("NFKD", name.lower().translate(special)).encode("ascii", "ignore").decode()
    return ".".join(
        "".join(c for c in word if c.isalnum()) for word in plain.replace("-", " ").split() if word.strip("'.")
    )
