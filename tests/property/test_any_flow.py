"""Properties of every valid flow, under several sending rules, whatever happens to its customer."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.engine import advance
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import (
    ClaimCode,
    Effect,
    IssueReward,
    LogDecision,
    ScheduleTimer,
    SendMail,
    WithdrawClaim,
)
from streams.core.model.events import (
    ContactPressed,
    Event,
    MailClicked,
    MailComplained,
    MailOpened,
    OrderCancelled,
    OrderChanged,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    ProductBrowsed,
    SurveyAnswered,
    Unsubscribed,
)
from streams.core.model.orders.order import ParcelDetails, PickupPoint
from streams.core.model.person_events import CustomerActed, ProfileUpdated
from streams.core.offers.code_pool_records import ClaimRecord, Code
from streams.core.rules.flow import Flow, Send
from streams.core.rules.ruleset import Ruleset
from streams.core.rules.trigger_names import DATES
from streams.definitions.language.flow import parse_flow
from streams.definitions.language.rules import parse_rules, parse_segments
from tests.harness.driver import Driver, timer_fired
from tests.harness.events import order, shipment, shop_policy
from tests.harness.examples import examples
from tests.harness.flow_texts import DAY, HOUR, MESSAGES
from tests.harness.generated_flows import NAMES, SEGMENTS, flows, text_of

TRANSACTIONAL = ("order", "service")
RULES = (
    "",
    "caps: [{most: 1, per: 1d}, {most: 2, per: 4d, of: [marketing]}]\n",
    "quiet_hours: {from: '20:00', to: '07:30', not_on: [sun], holidays: true}\ncalm: {while_late: true, after_refund: 2d}\n",
    "caps: [{most: 1, per: 2d}]\nquiet_hours: {from: '12:00', to: '10:00'}\nholdout: 10\n"
    "outside: [complaint]\ncalm: {while_running: [complaint]}\n",
)
#: The effects that occur once per id, each with the field of its id.
ONCE = (
    (SendMail, "send_id"),
    (IssueReward, "reward_id"),
    (ClaimCode, "reward_id"),
    (WithdrawClaim, "reward_id"),
)
CAPS = ((), ((1, DAY, None), (2, 4 * DAY, "marketing")), (), ((1, 2 * DAY, None),))


def ruleset_of(generated: list[dict[str, Any]], number: int) -> Ruleset:
    """Return a ruleset of these flows and the sending rules with this number."""
    segments, rules = parse_segments(SEGMENTS), parse_rules(RULES[number])
    assert isinstance(segments, dict)
    assert not isinstance(rules, list), rules
    parsed = [parse_flow(text_of(flow), MESSAGES, flow["flow"], segments) for flow in generated]
    assume(all(isinstance(flow, Flow) for flow in parsed))
    valid = [flow for flow in parsed if isinstance(flow, Flow)]
    return Ruleset(valid, segments=segments, rules=rules, consent_policy=shop_policy(), reward_key=b"k")


order_ids, skus = st.sampled_from(["o1", "o2", "o3"]), st.sampled_from(["s1", "s2", "s9"])
#: When an event occurred, in hours from now: it may arrive late.
ago = st.integers(-48, 0) | st.just(0)
kinds = st.sampled_from([OrderPlaced, OrderPlaced, OrderPaid, OrderChanged, OrderCancelled, OrderRefunded])
statuses = st.sampled_from(
    ["created", "shipped", "out_for_delivery", "delayed", "delivered", "returned", "ready_for_pickup", "exception"]
)
zones = st.sampled_from(["Europe/Copenhagen", "America/New_York", "Australia/Lord_Howe", None])
#: The actions of a story: a name and its arguments.
actions = st.one_of(
    st.tuples(st.just("order"), kinds, order_ids, ago, st.sampled_from([100_00, 900_00])),
    st.tuples(st.just("order"), st.just(OrderPlaced), order_ids, ago, st.just(500_00)),
    st.tuples(st.just("parcel"), statuses, order_ids, ago, st.sampled_from(["p1", "p2"]), st.booleans()),
    st.tuples(st.just("act"), st.sampled_from(["reviewed", "referral_redeemed"]), ago, st.integers(1, 5)),
    st.tuples(st.just("look"), st.sampled_from(["viewed", "added_to_cart", "removed_from_cart"]), skus, ago, st.none() | st.integers(-2, 20)),
    st.tuples(st.just("profile"), zones, st.none() | st.just(date(1990, 3, 12)), ago, st.sampled_from([None, True, False])),
    st.tuples(st.just("click"), st.booleans()),
    st.tuples(st.just("answer"), ago),
    st.tuples(st.just("goodbye"), ago),
    st.tuples(st.just("complain")),
    st.tuples(st.just("pressure"), st.booleans()),
    st.tuples(st.just("codes"), st.integers(1, 2)),
    st.tuples(st.just("again")),
    st.tuples(st.just("resume")),
)  # fmt: skip
gaps = st.integers(0, 24 * 9).map(lambda hours: hours * HOUR)
#: Actions, each with the time until the next one, and whether all timers of that time fire late.
stories = st.lists(st.tuples(actions, gaps, st.integers(0, 5).map(lambda number: number == 0)), min_size=5, max_size=14)
Story = list[tuple[tuple[Any, ...], timedelta, bool]]
shops = st.tuples(*[flows(name) for name in NAMES]).map(list) | st.tuples(flows("f")).map(list)


#: The details of a parcel with each status.
DETAILS = {
    "ready_for_pickup": ParcelDetails(pickup=PickupPoint("Kiosk"), code="4711", last_day="2026-03-09"),
    "exception": ParcelDetails("customs"),
}


class Life(Driver):
    """One customer's history. The state is encoded and decoded, and every event is decided twice."""

    def __init__(self, ruleset: Ruleset) -> None:
        super().__init__(ruleset)
        self.events: list[Event] = []
        self.at: list[datetime] = []
        self.on_effect = self._note

    def _note(self, effect: Effect, now: datetime) -> None:
        self.effects.append(effect)
        self.at.append(now)

    def handle(self, *events: Event) -> None:
        """Handle events as a worker does: with the state from its table."""
        for event in events:
            before = self.customers.get(event.customer_id)
            super().handle(event)
            after = self.customers[event.customer_id]
            if before is not None:
                read = decode_customer(encode_customer(before))
                assert read == before
                assert advance(self.ruleset, read, event, self.now) == advance(self.ruleset, before, event, self.now)
            assert len(encode_customer(after)) < 16_000

    def happen(self, what: str, *how: Any) -> None:
        """Apply one action of a story."""
        mails = self.mails()
        if what == "codes":
            self.stock(*[Code("ten", f"C{len(self.at)}-{number}") for number in range(how[0])])
            return
        if what == "resume":
            self.ruleset = self.ruleset.with_flows([replace(flow, status="live") for flow in self.ruleset.flows])
            return
        if what == "again":
            self.handle(*self.events)
            return
        event = self._event(what, how, mails[-1].send_id if mails else None)
        if event is not None:
            self.events.append(event)
            self.handle(event)

    def _event(self, what: str, how: tuple[Any, ...], send_id: str | None) -> Event | None:
        if what == "order":
            kind, order_id, hours, total = how
            event: Event = kind(order(order_id, self.now + hours * HOUR, total_minor=total), self.now + hours * HOUR)
            return event
        if what == "parcel":
            status, order_id, hours, parcel, is_tracked = how
            known = shipment(order_id, status, self.now + hours * HOUR, parcel)
            return replace(
                known,
                tracking_number=known.tracking_number if is_tracked else "",
                tracking_url=known.tracking_url if is_tracked else "",
                window_from=self.now + 2 * DAY,
                window_to=self.now + 3 * DAY,
                details=DETAILS.get(status),
            )
        if what == "act":
            kind, hours, stars = how
            return CustomerActed(
                customer_id="c1", kind=kind, occurred_at=self.now + hours * HOUR, event_id=f"e{stars}", sku="s1",
                stars=stars if kind == "reviewed" else 0,
            )  # fmt: skip
        if what == "look":
            kind, sku, hours, launch = how
            launches_at = None if launch is None else self.now + launch * DAY
            return ProductBrowsed(
                customer_id="c1", kind=kind, sku=sku, occurred_at=self.now + hours * HOUR, launches_at=launches_at
            )
        if what == "profile":
            zone, birthday, hours, consent = how
            return ProfileUpdated(
                customer_id="c1", email="anna@example.com", name="Anna", country="DK", time_zone=zone, birthday=birthday,
                marketing_consent=consent, occurred_at=self.now + hours * HOUR,
            )  # fmt: skip
        if what == "answer":
            return SurveyAnswered(
                customer_id="c1", send_id=None, question="q", answer="yes", occurred_at=self.now + how[0] * HOUR
            )
        if what == "goodbye":
            return Unsubscribed(customer_id="c1", send_id=None, scope="marketing", occurred_at=self.now + how[0] * HOUR)
        if what == "pressure":
            until = self.now + 5 * DAY if how[0] else self.now
            return ContactPressed(
                customer_id="c1", source="complaint", kind="running", occurred_at=self.now, until=until, purpose=""
            )
        if send_id is None:
            return None
        if what == "complain":
            return MailComplained(customer_id="c1", send_id=send_id, occurred_at=self.now)
        if how[0]:
            return MailClicked(customer_id="c1", send_id=send_id, link="x", agent="human", occurred_at=self.now)
        return MailOpened(customer_id="c1", send_id=send_id, agent="human", occurred_at=self.now)


def live(ruleset: Ruleset, story: Story) -> Life:
    """Return the history of a customer who consented, ordered and then went through the story.

    Two years without events follow, in which every flow is live.
    """
    life = Life(ruleset)
    life.happen("profile", "Europe/Copenhagen", date(1990, 3, 12), 0, True)
    life.happen("order", OrderPlaced, "o0", 0, 500_00)
    for action, gap, is_late in story:
        life.happen(*action)
        if is_late:
            life.now += gap
        life.advance(timedelta(0) if is_late else gap)
    life.happen("resume")
    life.advance(700 * DAY)
    return life


def twice(counts: Counter[Any]) -> list[Any]:
    """Return the items that occur more than once."""
    return [item for item, count in counts.items() if count > 1]


@settings(max_examples=examples(100), deadline=None)
@given(shops, st.integers(0, len(RULES) - 1), stories)
@example(
    # `where` rejects a refund twice: when it arrives, and again when the order itself arrives at the same time.
    [
        {
            "flow": "f",
            "version": 1,
            "status": "live",
            "purpose": "marketing",
            "trigger": {"on": "order.refunded", "once_per": "order", "where": "customer.is_vip"},
            "steps": [{"send": {"message": "a"}}],
        }
    ],
    0,
    [
        (("order", OrderRefunded, "o2", 0, 100_00), timedelta(0), True),
        (("order", OrderPlaced, "o2", 0, 500_00), timedelta(0), True),
    ],
)
def test_whatever_the_flow(generated: list[dict[str, Any]], rules: int, story: Story) -> None:
    """Nothing happens twice, without a decision or at a wrong time, and no instance waits permanently."""
    life = live(ruleset_of(generated, rules), story)
    effects = life.effects
    decisions = [effect for effect in effects if isinstance(effect, LogDecision)]
    mails = life.mails()
    for kind, name in ONCE:
        assert twice(Counter(getattr(effect, name) for effect in effects if isinstance(effect, kind))) == [], kind
    assert twice(Counter((decision.decision_id, decision.decided_at) for decision in decisions)) == []
    sent = {decision.send_id: decision.decided_at for decision in decisions if decision.outcome == "send"}
    assert sent.keys() == {mail.send_id for mail in mails}
    assert twice(Counter(decision.send_id for decision in decisions if decision.outcome == "send")) == []
    joined = [decision for decision in decisions if decision.rule == "joined"]
    assert {decision.detail.split()[-1] for decision in joined} <= sent.keys()
    assert sent.keys().isdisjoint(decision.send_id for decision in joined)
    for mail in mails:
        at = sent[mail.send_id]
        assert at <= mail.not_after
        step = life.ruleset.by_name[mail.flow][mail.flow_version].steps[mail.step]
        is_any_hour = isinstance(step, Send) and step.any_hour
        if mail.purpose not in TRANSACTIONAL and rules == 2 and not is_any_hour:
            clock = at.astimezone(ZoneInfo(mail.time_zone))
            assert time(7, 30) <= clock.time() < time(20)
            assert clock.weekday() != 6
    for most, per, purpose in CAPS[rules]:
        counted = [mail for mail in mails if mail.purpose not in TRANSACTIONAL and purpose in (None, mail.purpose)]
        times = sorted(sent[mail.send_id] for mail in counted)
        assert all(later - earlier >= per for earlier, later in zip(times, times[most:], strict=False))
    _claims(life)
    scheduled = [effect for effect in effects if isinstance(effect, ScheduleTimer)]
    timers = {timer.timer_id: timer for timer in scheduled}
    due = {(timer.instance_id, timer.step, timer.due_at) for timer in scheduled}
    assert all(timers[timer.timer_id] == timer for timer in scheduled)
    for state in life.customers.values():
        assert all((each.instance_id, each.step, each.due_at) in due for each in state.instances)
        yearly = {flow.name for flow in life.ruleset.flows if flow.trigger.on in DATES}
        assert {each.flow for each in state.instances if each.has_started} <= yearly
    before = len(mails)
    life.handle(*life.events, *[timer_fired(timer, life.now) for timer in timers.values()])
    life.advance(60 * DAY)
    assert len(twice(Counter(mail.send_id for mail in life.mails()))) == 0
    assert len(life.mails()) >= before


def _claims(life: Life) -> None:
    """Check that each claim is granted, withdrawn or waiting, and each code in its pool or with one customer."""
    claims = {one.reward_id for one in life.effects if isinstance(one, ClaimCode)}
    given = {
        one.reward_id: one.code for one in life.effects if isinstance(one, IssueReward) and one.reward_id in claims
    }
    withdrawn = {one.reward_id for one in life.effects if isinstance(one, WithdrawClaim)}
    assert given.keys().isdisjoint(withdrawn)
    waiting = [one for state in life.customers.values() for one in state.instances if one.awaited_pool]
    assert len(claims - given.keys() - withdrawn) == len(waiting)
    stock = [one.code for one in life.pools.entries.values() if isinstance(one, Code)]
    known = sum(key.startswith(b"seen/") for key in life.pools.entries)
    assert len({*stock, *given.values()}) == len(stock) + len(given) == known
    assert list(life.pools.entries.values()).count(ClaimRecord()) == len(waiting)
