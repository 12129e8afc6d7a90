"""The ruleset: the flows, the shop, its sending rules, exchange rates and limits. Read-only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.consent_policy import STRICT, ConsentPolicy
from streams.core.rules.flow import Condition, Flow, Reward, Send, membership
from streams.core.rules.purchase_use import LogBounds, reads_purchases, reads_views
from streams.core.rules.sending_rules import NO_RULES, TRANSACTIONAL_PER_ADDRESS, SendingRules
from streams.core.rules.trigger_names import CATALOGUE_CHANGES, DATES, MEMBERSHIPS, MOMENTARY, OF_WISHES, REPLACED
from streams.core.values import money

# The value of one unit of each currency in Danish kroner. The defaults only need to separate high spenders; a shop sets its own.
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
    """The shop's country, time zone, locale and currency: the defaults for customers whose own are unknown."""

    country: str = "DK"
    time_zone: str = "Europe/Copenhagen"
    locale: str = "da"
    currency: str = "DKK"


#: How long a parcel counts as late after its last event, or after the end of its promised window.
LATE_AT_MOST = timedelta(days=14)
#: How long after its placement an order may stay open, if nothing closes it.
OPEN_FOR = timedelta(days=120)


class Limits(Struct, frozen=True, kw_only=True):
    """The bounds of the state and the work for one customer, so that a stored customer takes less than 64 kB.

    Half of that are the fingerprints of up to 4,000 orders. A customer with fewer than 17 orders takes less than 16 kB. Attributes, ids,
    wishes and likes may add up to 35 kB if every text has its full length, and the less the more orders the fingerprints stand for.

    Attributes:
        steps_per_wake_up: steps that an instance executes at one event.
        instances: waiting instances.
        launches: those of the `instances` that wait for a launch, so that browsing cannot crowd out purchases.
        rewards: those of the `instances` that wait until the code of a reward ends soon.
        orders: orders that are stored in full.
        pieces: the size of these, see `order_room.size`.
        short_pieces: the size of the orders without lines: one for each, and one for each parcel.
        order_fingerprints: orders that are no longer stored.
        transactional_instances: waiting instances of transactional flows beyond `instances`.
        title: characters of a product's title and of its category.
        sends: emails.
        last_starts: flows that may start again.
        fingerprints: entries of each other row of fingerprints.
        unknown_segments: segments by which no flow starts here: a worker with other templates stored them.
        contacts: emails and series of other systems.
        addresses: different addresses in orders of 7 days. With more, several people share the customer id.
        merged_ids: customers that were merged into one and are still recognised: their flows do not start again.
        held_events: events that one instance keeps until its version of the flow is known here.
        attributes, dates, external_ids: values of each kind that the shop gave a name.
        collected: wishes, and as many likes.
        requests: requests of the customer that need a confirmation, or had one. With as many in a day no further one is accepted.
        held_clicks: clicks that are held, or with which later ones are compared.
        purchases: what the log of purchases keeps.
        views: products that the customer viewed.
        trait_bytes: what the attributes, dates, external ids, wishes and likes take together with the fingerprints of orders, the log of
            purchases, the views, the fields and the lists.
    """

    steps_per_wake_up: int = 50
    instances: int = 36
    launches: int = 10
    rewards: int = 10
    orders: int = 16
    pieces: int = 86
    short_pieces: int = 100
    order_fingerprints: int = 4_000
    transactional_instances: int = 24
    title: int = 80
    lines_per_order: int = 24
    parcels_per_order: int = 20
    sends: int = 34
    last_starts: int = 40
    fields: int = 40
    amounts: int = 24
    lists: int = 40
    unknown_segments: int = 40
    fingerprints: int = 128
    contacts: int = 12
    addresses: int = 5
    merged_ids: int = 20
    held_events: int = 32
    attributes: int = 30
    dates: int = 10
    external_ids: int = 10
    collected: int = 20
    requests: int = 6
    held_clicks: int = 8
    trait_bytes: int = 35_000
    purchases: LogBounds = LogBounds(40, 10, 8)
    views: int = 10

    def instances_of(self, *, is_transactional: bool) -> int:
        """Return with how many waiting instances a further one of a flow no longer waits."""
        return self.instances + (self.transactional_instances if is_transactional else 0)


def _urgency(compiled: CompiledFlow) -> tuple[bool, int, str]:
    priorities = [step.priority for step in compiled.steps.values() if isinstance(step, Send)]
    return bool(compiled.flow.not_with), -max(priorities, default=0), compiled.flow.name


class Ruleset:
    """The flows and the shop's rules.

    Args:
        flows: every version of every flow.
        shop: the shop's own values.
        rates: the value of one major unit of each currency, in any common unit.
        vip_spend: the spend of a VIP, in major units of the shop's currency.
        limits: the bounds of the state and the work for one customer.
        consent_policy: the consent that emails need, by purpose and country.
        rules: the sending rules.
        segments: the condition of each segment.
        attribution_days: days after a click within which an order is credited to the email.
        day_scale: the length of a day, in days. Waits, expiries and windows are computed in calendar time and then multiplied by it.
        reward_key: the key that signs the codes of rewards, at most 64 bytes.
        address_key: the key of the hashes of addresses, or b"": limits then hold for each customer id only.
        transactional_per_address: the transactional emails that one address gets per day.
        test_recipients: the addresses that get the emails of test orders, in lower case.
        shows_pages: whether the pages of the gateway are kept up to date.
    """

    __slots__ = (
        "_newest", "address_key", "attribution_days", "attribution_window", "awaited", "by_name", "by_trigger", "catalogue_changes", "consent_policy",
        "counts_purchases", "counts_sales", "day_scale", "exits", "flows", "gives_rewards", "has_dates", "keeps_views", "late_at_most", "limits",
        "migrations", "momentary_exits", "open_for", "paused_for", "pools", "rates", "reward_key", "rules", "segments", "shop", "shows_pages",
        "test_recipients", "time_dependent_flows", "transactional_per_address", "vip_spend_minor", "watched_segments", "watches_purchases",
        "watches_wishes",
    )  # fmt: skip

    def __init__(
        self,
        flows: Iterable[Flow],
        *,
        shop: Shop | None = None,
        rates: Mapping[str, Decimal] = RATES,
        vip_spend: Decimal = Decimal(10_000),
        limits: Limits | None = None,
        consent_policy: ConsentPolicy = STRICT,
        rules: SendingRules = NO_RULES,
        segments: Mapping[str, Condition] = MappingProxyType({}),
        attribution_days: int = 3,
        day_scale: Fraction | float = 1.0,
        reward_key: bytes = b"",
        address_key: bytes = b"",
        transactional_per_address: int = TRANSACTIONAL_PER_ADDRESS,
        test_recipients: Collection[str] = (),
        shows_pages: bool = False,
    ) -> None:
        self.shop = shop or Shop()
        self.test_recipients = frozenset(test_recipients)
        self.shows_pages = shows_pages
        self.reward_key = reward_key
        self.address_key = address_key
        self.transactional_per_address = transactional_per_address
        self.rates = MappingProxyType(dict(rates))
        self.limits = limits or Limits()
        self.consent_policy = consent_policy
        self.rules = rules
        self.segments = MappingProxyType(dict(segments))
        self.day_scale = float(day_scale)
        self.vip_spend_minor = money.minor(vip_spend, self.shop.currency)
        self.attribution_days = attribution_days
        self.attribution_window = timedelta(days=attribution_days) * self.day_scale
        self.paused_for = timedelta(hours=1)
        self.late_at_most = LATE_AT_MOST * self.day_scale
        self.open_for = OPEN_FOR * self.day_scale
        ordered = sorted(flows, key=lambda flow: (flow.name, flow.version))
        # Pausing a flow pauses its older versions too.
        paused = {name for name, status in {flow.name: flow.status for flow in ordered}.items() if status == "paused"}
        self.flows = tuple([replace(flow, status="paused") if flow.name in paused else flow for flow in ordered])
        #: The version and step to which a migration moves an instance, by flow, version and step.
        self.migrations = {
            (flow.name, migration.version, old): (flow.version, new)
            for flow in self.flows
            for migration in flow.migrations
            for old, new in migration.steps
        }
        compiled_flows = [CompiledFlow(flow) for flow in self.flows]
        self.exits = frozenset(name for flow in self.flows for name in flow.exit_on)
        self.momentary_exits = self.exits.intersection(MOMENTARY)  # those that the state does not keep
        self.awaited = frozenset(step.awaits for compiled in compiled_flows for step in compiled.steps.values())
        self.by_name: dict[str, dict[int, CompiledFlow]] = {}
        for compiled in compiled_flows:
            self.by_name.setdefault(compiled.flow.name, {})[compiled.flow.version] = compiled
        self._newest = {name: versions[max(versions)] for name, versions in self.by_name.items()}
        self.by_trigger: dict[str, tuple[CompiledFlow, ...]] = {}
        # A new instance starts on the newest version. If one event starts several flows, the most urgent one comes first, since it
        # may take the last place under a cap. Flows with `not_with` come last, so that they see the others.
        for compiled in sorted(self._newest.values(), key=_urgency):
            on = compiled.flow.trigger.on
            self.by_trigger[on] = (*self.by_trigger.get(on, ()), compiled)
        #: Whether a flow recommends products. Sales are counted only then.
        self.counts_sales = any(
            isinstance(step, Send) and step.recommends_something
            for compiled in compiled_flows
            for step in compiled.steps.values()
        )
        rewards = [step for compiled in compiled_flows for step in compiled.steps.values() if isinstance(step, Reward)]
        #: Whether a flow gives reward codes that Takk signs.
        self.gives_rewards = any(step.is_signed for step in rewards)
        #: The pools that flows claim codes from.
        self.pools = frozenset(pool for step in rewards for pool in step.all_pools)
        self.has_dates = not DATES.isdisjoint(self.by_trigger)
        #: Whether flows start by changes of products that customers wish for or bought, and by which: triggers without their first word.
        self.watches_wishes = not self.by_trigger.keys().isdisjoint(OF_WISHES)
        self.watches_purchases = REPLACED in self.by_trigger
        self.catalogue_changes = frozenset(on.partition(".")[2] for on in CATALOGUE_CHANGES if on in self.by_trigger)
        #: Whether the purchases of customers are logged by time and category.
        self.counts_purchases = reads_purchases(self.flows, self.segments.values())
        #: Whether the products that customers view are remembered.
        self.keeps_views = reads_views(self.flows)
        on_segments = [
            (compiled, condition)
            for name in MEMBERSHIPS
            for compiled in self.by_trigger.get(name, ())
            if (condition := compiled.flow.trigger.threshold or self.segments.get(compiled.flow.trigger.segment))
        ]
        #: The segments and thresholds that flows start by, sorted by name.
        self.watched_segments = dict(
            sorted({membership(each.flow): condition for each, condition in on_segments}.items())
        )
        #: The flows whose segment or threshold may change by time alone.
        self.time_dependent_flows = tuple([each for each, condition in on_segments if condition.time_dependencies])

    def with_flows(self, flows: Iterable[Flow]) -> Ruleset:
        """Return the same ruleset with other flows."""
        return Ruleset(
            flows,
            shop=self.shop,
            rates=self.rates,
            vip_spend=money.major(self.vip_spend_minor, self.shop.currency),
            limits=self.limits,
            consent_policy=self.consent_policy,
            rules=self.rules,
            segments=self.segments,
            attribution_days=self.attribution_days,
            day_scale=self.day_scale,
            reward_key=self.reward_key,
            address_key=self.address_key,
            transactional_per_address=self.transactional_per_address,
            test_recipients=self.test_recipients,
            shows_pages=self.shows_pages,
        )

    def newest_flow(self, name: str) -> CompiledFlow | None:
        """Return the newest version of a flow, or None if the flow is unknown."""
        return self._newest.get(name)

    def knows(self, name: str, version: int) -> bool:
        """Return whether these flows contain `version` of a flow, or a newer one. Other workers may have newer flows."""
        newest = self._newest.get(name)
        return newest is not None and version <= newest.flow.version

    def migrate_position(self, name: str, version: int, step: str) -> tuple[int, str]:
        """Return the version and step at which an instance continues that waits at `step` of `version`, after all migrations."""
        position = version, step
        while (name, *position) in self.migrations:  # each migration leads to a higher version
            position = self.migrations[name, *position]
        return position

    def find_flow(self, name: str, version: int, step: str) -> CompiledFlow | None:
        """Return the flow on which an instance of `version` continues at `step`: its own version, else the newest one.

        Return None if the flow or the step is missing, or if the version is newer than all versions here.
        """
        if not self.knows(name, version):
            return None
        compiled = self.by_name[name].get(version) or self._newest[name]
        return compiled if step in compiled.steps else None
