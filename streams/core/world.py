"""What the rules know besides the customer: the flows, the shop, the rates, the limits. Read-only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

from msgspec import Struct

from streams.core import money
from streams.core.consent_policy import STRICT, ConsentPolicy
from streams.core.flow import Flow, Program

# What one unit of a currency is worth in Danish kroner: good enough to tell who buys much. A shop gives its own.
RATES: Mapping[str, Decimal] = MappingProxyType(
    {
        "DKK": Decimal(1),
        "EUR": Decimal("7.46"),
        "SEK": Decimal("0.67"),
        "NOK": Decimal("0.64"),
        "GBP": Decimal("8.60"),
        "USD": Decimal("6.80"),
        "CHF": Decimal("7.90"),
        "PLN": Decimal("1.75"),
        "ISK": Decimal("0.052"),
        "JPY": Decimal("0.045"),
    }
)


class Shop(Struct, frozen=True, kw_only=True):
    """The shop's own place; the defaults for customers of whom it is not known."""

    country: str = "DK"
    time_zone: str = "Europe/Copenhagen"
    locale: str = "da"
    currency: str = "DKK"


class Limits(Struct, frozen=True, kw_only=True):
    """How much is kept and done for one customer. Hitting a limit is a logged decision."""

    steps_per_wake_up: int = 50
    instances: int = 40
    orders: int = 16
    lines_per_order: int = 30
    parcels_per_order: int = 20
    sends: int = 40
    marks: int = 128


class World:
    """The live flows and the shop's rules.

    `rates` is the worth of one major unit of each currency in some common unit. `vip_spend` is in major units of the shop's
    currency. `consent_policy` is the strictest unless it is given. Waits, expiries and the attribution window are multiplied by
    `day_scale` after they were computed on the calendar.
    """

    __slots__ = (
        "attribution_window", "by_name", "by_trigger", "consent_policy", "day_scale", "exits", "flows", "limits", "paused_for", "rates",
        "shop", "vip_spend_minor",
    )  # fmt: skip

    def __init__(
        self,
        flows: Iterable[Flow],
        *,
        shop: Shop | None = None,
        rates: Mapping[str, Decimal] = RATES,
        vip_spend: Decimal = Decimal(10_000),
        limits: Limits | None = None,
        attribution_days: int = 3,
        day_scale: Fraction | float = 1.0,
        consent_policy: ConsentPolicy = STRICT,
    ) -> None:
        self.consent_policy = consent_policy
        self.shop = shop or Shop()
        self.rates = MappingProxyType(dict(rates))
        self.limits = limits or Limits()
        self.day_scale = float(day_scale)
        self.vip_spend_minor = money.minor(vip_spend, self.shop.currency)
        self.attribution_window = timedelta(days=attribution_days) * self.day_scale
        self.paused_for = timedelta(hours=1)
        self.flows = tuple(sorted(flows, key=lambda flow: (flow.name, flow.version)))
        programs = [Program(flow) for flow in self.flows]
        self.exits = frozenset(name for flow in self.flows for name in flow.exit_on)
        self.by_name: dict[str, dict[int, Program]] = {}
        for program in programs:
            self.by_name.setdefault(program.flow.name, {})[program.flow.version] = program
        self.by_trigger: dict[str, tuple[Program, ...]] = {}
        for versions in self.by_name.values():  # a new instance starts on the newest version
            newest = versions[max(versions)]
            on = newest.flow.trigger.on
            self.by_trigger[on] = (*self.by_trigger.get(on, ()), newest)

    def program(self, name: str, version: int, step: str) -> Program | None:
        """The flow that an instance of `version` waiting at `step` goes on with: its own version, else the newest that has the step."""
        versions = self.by_name.get(name)
        if not versions:
            return None
        program = versions.get(version) or versions[max(versions)]
        return program if step in program.steps else None
