"""Properties of merges: of states in any order, repeated, in chains and in circles."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.engine import advance
from streams.core.handlers.merges import readdressed, received
from streams.core.handlers.merging.consent import merged_consent
from streams.core.handlers.merging.orders import merged_order
from streams.core.model.consent import Answer, Consent, Resubscription
from streams.core.model.customer import Customer, new_customer
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import ForwardEvent, HandOver, ScheduleTimer
from streams.core.model.events import CustomerMerged, Event, HandedOver, OrderPlaced
from streams.core.model.orders.purchase_log import EMPTY
from streams.core.rules.ruleset import Ruleset
from streams.core.values import fingerprints
from tests.harness.driver import START, Driver, timer_fired
from tests.harness.events import flow_from, order
from tests.harness.examples import examples
from tests.harness.stories import HOUR, RULESET, events, gaps, stories

IDS = ("c1", "guest-1", "guest-2")
WEEK = timedelta(days=7)


def merge(customer_id: str, into: str, hours: int = 0) -> CustomerMerged:
    """Return a merge."""
    return CustomerMerged(customer_id=customer_id, into=into, occurred_at=START + hours * HOUR)


def owner_of(event: Event, guests: set[str]) -> str:
    """Return the customer id under which the event arrives before the merge: all events of an order have the same."""
    order_id = event.order.order_id if hasattr(event, "order") else getattr(event, "order_id", "")
    return "guest-1" if order_id in guests else "c1"


def run_story(
    story: list[tuple[Event, timedelta]], guests: set[str], at: int | None, ruleset: Ruleset = RULESET
) -> Driver:
    """Return a run in which the orders in `guests` are those of a guest, who is merged before event `at` (None: never a guest)."""
    run = Driver(ruleset)
    for number, (event, gap) in enumerate(story):
        if at is not None and number == at:
            run.handle(merge("guest-1", "c1"))
        owner = "c1" if at is None else owner_of(event, guests)
        run.handle(readdressed(event, owner))
        run.advance(gap)
    if at is not None and at >= len(story):
        run.handle(merge("guest-1", "c1"))
    run.advance(timedelta(days=30))
    return run


guests = st.sets(st.sampled_from(["o1", "o2", "o3"]), min_size=1, max_size=2)


@settings(max_examples=examples(100), deadline=None)
@given(stories, guests, st.integers(0, 14))
def test_a_merged_customer_has_the_orders_and_totals_of_one_who_was_never_a_guest(
    story: list[tuple[Event, timedelta]], guests: set[str], at: int
) -> None:
    """Whenever the merge comes, before or after any event, each order counts once, with the newest that is known of it."""
    one, merged = run_story(story, guests, None), run_story(story, guests, at)
    want, got = one.customers.get("c1", new_customer("c1")), merged.customers["c1"]
    orders = {order.order_id: order for order in want.orders}
    assert {order.order_id for order in got.orders} == orders.keys()
    for mine in got.orders:
        same = orders[mine.order_id]
        assert (mine.facts, mine.placed, mine.parcels, mine.cancelled_at, mine.refunded_at) == (
            same.facts, same.placed, same.parcels, same.cancelled_at, same.refunded_at,
        )  # fmt: skip
    assert (got.purchases, got.spend, got.spend_converted_minor, got.discounted) == (
        want.purchases, want.spend, want.spend_converted_minor, want.discounted,
    )  # fmt: skip
    assert merged.customers["guest-1"].merge is not None
    assert merged.customers["guest-1"].orders == ()


@settings(max_examples=examples(100), deadline=None)
@given(stories, guests, st.integers(0, 14))
def test_no_email_is_sent_twice_because_of_a_merge(
    story: list[tuple[Event, timedelta]], guests: set[str], at: int
) -> None:
    """After the merge each order has each transactional email once, and each parcel its own, whatever ids the records have."""
    run = run_story(story, guests, at)
    sent = Counter(
        (mail.message, mail.order_id, mail.content.parcel.parcel_id if mail.content.parcel is not None else "")
        for mail in run.mails()
        if mail.purpose == "order"
    )
    assert not [what for what, count in sent.items() if count > 1]
    ids_sent = Counter(mail.send_id for mail in run.mails())
    assert not [send_id for send_id, count in ids_sent.items() if count > 1]


@settings(max_examples=examples(60), deadline=None)
@given(stories, guests, st.integers(0, 14))
def test_no_transactional_email_is_lost_because_of_a_merge(
    story: list[tuple[Event, timedelta]], guests: set[str], at: int
) -> None:
    """A merged customer gets every confirmation and shipment email that a customer gets who was never a guest."""
    one, merged = run_story(story, guests, None), run_story(story, guests, at)

    def transactional(run: Driver) -> set[Any]:
        return {(mail.message, mail.order_id) for mail in run.mails() if mail.purpose == "order"}

    assert transactional(merged) >= transactional(one)


@settings(max_examples=examples(60), deadline=None)
@given(stories, stories, gaps)
def test_a_hand_over_that_arrives_twice_changes_nothing(
    theirs: list[tuple[Event, timedelta]], own: list[tuple[Event, timedelta]], gap: timedelta
) -> None:
    """The second time the state is the same object, and there are no effects, also after further events."""
    guest = state_of("guest-1", theirs)
    handover = handed_over(guest, "c1")
    once, _ = advance(RULESET, state_of("c1", own), handover, START + WEEK)
    again, effects = advance(RULESET, once, handover, START + WEEK + gap)
    assert again is once
    assert effects == []
    assert decode_customer(encode_customer(once)) == once


@settings(max_examples=examples(60), deadline=None)
@given(stories, stories)
def test_two_hand_overs_merge_in_any_order(
    first: list[tuple[Event, timedelta]], second: list[tuple[Event, timedelta]]
) -> None:
    """The orders, the totals, the emails, the profile and the consent do not depend on which guest is merged first."""
    one, other = handed_over(state_of("guest-1", first), "c1"), handed_over(state_of("guest-2", second), "c1")
    states = []
    for pair in ((one, other), (other, one)):
        state = new_customer("c1")
        for event in pair:
            state, _ = advance(RULESET, state, event, START + WEEK)
        states.append(state)
    left, right = states
    assert {order.order_id: order for order in left.orders} == {order.order_id: order for order in right.orders}
    for name in (
        "purchases",
        "spend",
        "first_order_at",
        "last_order_at",
        "last_order_id",
        "sends",
        "profile",
        "lists",
        "fields",
    ):
        assert getattr(left, name) == getattr(right, name), name
    assert left.consent == right.consent
    assert left.merge is not None
    assert right.merge is not None
    assert set(left.merge.ids) == set(right.merge.ids) == {"guest-1", "guest-2"}


@settings(max_examples=examples(60), deadline=None)
@given(stories, st.permutations(["a", "b", "event"]), st.lists(events, max_size=4))
def test_a_chain_of_aliases_leads_to_the_last_customer(
    story: list[tuple[Event, timedelta]], order: list[str], later: list[Event]
) -> None:
    """guest-1 becomes guest-2 and guest-2 becomes c1, in any order: c1 has everything, also what arrives later under any id."""
    run = Driver(RULESET)
    for event, gap in story:
        run.handle(readdressed(event, "guest-1"))
        run.advance(gap)
    steps = {"a": merge("guest-1", "guest-2"), "b": merge("guest-2", "c1"), "event": None}
    for step in order:
        event = steps[step]
        run.handle(*([event] if event is not None else [readdressed(each, "guest-1") for each in later]))
    run.advance(timedelta(days=30))
    alone = Driver(RULESET)
    for event, gap in story:
        alone.handle(readdressed(event, "c1"))
        alone.advance(gap)
    alone.handle(*[readdressed(each, "c1") for each in later])
    alone.advance(timedelta(days=30))
    got, want = run.customers["c1"], alone.customers.get("c1", new_customer("c1"))
    assert {each.order_id: each.facts for each in got.orders} == {each.order_id: each.facts for each in want.orders}
    assert (got.purchases, got.spend) == (want.purchases, want.spend)
    assert got.merge is not None
    assert set(got.merge.ids) == {"guest-1", "guest-2"}


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_merges_that_cross_leave_one_customer_with_everything(data: st.DataObject) -> None:
    """Merges in a circle are on their way at the same time, and their hand-overs arrive in any order: one id stays the customer's.

    All others are its aliases. Nothing moves without end, and every order is there.
    """
    count = data.draw(st.integers(2, 3))
    names = data.draw(st.permutations(IDS[:count]))
    states: dict[str, Customer] = {name: new_customer(name) for name in names}
    orders = {}
    for name in names:
        story = data.draw(st.lists(events, min_size=1, max_size=3))
        for event in story:
            states[name], _ = advance(RULESET, states[name], readdressed(event, name), START + WEEK)
        for stored in states[name].orders:
            orders[stored.order_id] = stored
    # One queue for each pair of sender and receiver: Kafka keeps the order within each.
    queues: dict[tuple[str, str], list[Event]] = {}

    def handle(name: str, event: Event) -> None:
        states[name], effects = advance(RULESET, states[name], event, START + WEEK)
        for effect in effects:
            if isinstance(effect, (HandOver, ForwardEvent)):
                queues.setdefault((name, effect.customer_id), []).append(received(effect, event))

    for place, name in enumerate(names):
        handle(name, merge(name, names[(place + 1) % count]))
    steps = 0
    while waiting := [pair for pair, queue in sorted(queues.items()) if queue]:
        steps += 1
        assert steps < 200
        pair = data.draw(st.sampled_from(waiting))
        handle(pair[1], queues[pair].pop(0))
    roots = [name for name in names if (merged := states[name].merge) is None or not merged.into]
    assert roots == [min(names)]
    assert {order.order_id for order in states[roots[0]].orders} == orders.keys()


def test_a_merge_into_itself_is_refused() -> None:
    """The customer stays, and a decision has the reason, once."""
    run = Driver(RULESET)
    run.handle(merge("c1", "c1"), merge("c1", "c1"))
    assert run.decisions() == [("", "skip", "merge_refused")]


def test_a_merge_back_is_refused() -> None:
    """guest-1 became c1, so c1 does not become guest-1, directly or through another one."""
    run = Driver(RULESET)
    run.handle(merge("guest-1", "guest-2"), merge("guest-2", "c1"), merge("c1", "guest-1"), merge("c1", "guest-2"))
    assert [decision for decision in run.decisions() if decision[1] == "skip"] == [("", "skip", "merge_refused")] * 2
    merged = run.customers["c1"].merge
    assert merged is not None
    assert not merged.into


def test_an_alias_keeps_its_first_target() -> None:
    """A second merge of the same id is refused, and the same merge again changes nothing."""
    run = Driver(RULESET)
    run.handle(merge("guest-1", "c1"))
    alias, decided = run.customers["guest-1"], len(run.effects)
    run.handle(merge("guest-1", "c1"))
    assert len(run.effects) == decided
    run.handle(merge("guest-1", "guest-2"))
    assert run.decisions()[-1] == ("", "skip", "merge_refused")
    assert run.customers["guest-1"] == alias


times = st.integers(0, 6).map(lambda hours: START + hours * HOUR)
maybe = st.one_of(st.none(), times)
purposes = st.sampled_from(["marketing", "profile", "review", "survey"])


@st.composite
def consents(draw: st.DrawFn) -> Consent:
    """Draw a consent as events make it."""
    marketing, tracking = draw(st.sampled_from([None, True, False])), draw(st.sampled_from([None, True, False]))
    unsubscribed = sorted(draw(st.sets(purposes, max_size=2)))
    answers = draw(st.dictionaries(st.sampled_from(["profile", "review", "survey"]), st.tuples(st.booleans(), times)))
    returns = draw(st.dictionaries(purposes, times, max_size=2))
    return Consent(
        marketing=marketing,
        marketing_at=draw(times) if marketing is not None else None,
        tracking=tracking,
        tracking_at=draw(times) if tracking is not None else None,
        unsubscribed=tuple(unsubscribed),
        complained=draw(st.booleans()),
        answers=tuple(Answer(purpose, *answers[purpose]) for purpose in sorted(answers)),
        unsubscribed_at=tuple((scope, at) for scope in unsubscribed if (at := draw(maybe)) is not None),
        resubscriptions=tuple(Resubscription(purpose, returns[purpose]) for purpose in sorted(returns)),
    )


@settings(max_examples=examples(300), deadline=None)
@given(consents(), consents())
def test_consent_merges_to_the_stricter(one: Consent, other: Consent) -> None:
    """The refusals of either stay, in whatever order both are merged, and merging the same again changes nothing."""
    merged = merged_consent(one, other)
    assert merged == merged_consent(other, one)
    assert merged_consent(merged, one) == merged
    assert merged_consent(one, one) == one or one.resubscriptions
    for purpose in ("marketing", "profile", "review", "survey"):
        if one.is_unsubscribed(purpose) or other.is_unsubscribed(purpose):
            assert merged.is_unsubscribed(purpose)
    for side in (one, other):
        assert merged.marketing is False or side.marketing is not False
        assert merged.tracking is False or side.tracking is not False
        assert merged.complained or not side.complained
        for answer in side.answers:
            stored = merged.answer(answer.purpose)
            assert stored is not None
            assert answer.is_yes or not stored.is_yes


@settings(max_examples=examples(60), deadline=None)
@given(stories, stories)
def test_orders_merge_in_any_order(first: list[tuple[Event, timedelta]], second: list[tuple[Event, timedelta]]) -> None:
    """Two states of one order become the same one, whichever comes first; merging the same again changes nothing."""
    one, other = state_of("c1", first), state_of("c1", second)
    for mine in one.orders:
        same = other.order(mine.order_id)
        if same is not None:
            merged = merged_order(mine, same, 20)
            assert merged == merged_order(same, mine, 20)
            assert merged_order(merged, same, 20) == merged


@given(st.lists(st.binary(min_size=8, max_size=8), max_size=8), st.lists(st.binary(min_size=8, max_size=8), max_size=8))
def test_rows_merge_without_duplicates_and_keep_the_newest(older: list[bytes], newer: list[bytes]) -> None:
    """The row has each entry once, those of the newer row last, and at most as many as allowed."""
    row = fingerprints.merge(b"".join(older), b"".join(newer), 6)
    entries = [row[at : at + 8] for at in range(0, len(row), 8)]
    assert len(entries) == len(set(entries)) == min(6, len({*older, *newer}))
    assert all(fingerprints.contains(row, entry) for entry in list(dict.fromkeys(reversed(newer)))[:6])


def state_of(customer_id: str, story: list[tuple[Event, timedelta]]) -> Customer:
    """Return the state of a customer after a story, a week after its start."""
    run = Driver(RULESET)
    for event, gap in story:
        run.handle(readdressed(event, customer_id))
        run.advance(gap)
    return run.customers.get(customer_id) or new_customer(customer_id)


def handed_over(state: Customer, into: str) -> HandedOver:
    """Return the hand-over of a state."""
    return HandedOver(
        customer_id=into,
        handover_id=f"{state.customer_id}>{into}",
        state=state,
        path=(state.customer_id,),
        occurred_at=START,
    )


def test_timers_of_both_ids_wake_an_instance_once() -> None:
    """The timer that the guest's id has already, and the one of the customer, lead to one email."""
    run = Driver(RULESET)
    run.handle(OrderPlaced(order("o1", run.now, customer_id="guest-1"), run.now))
    timers = [one for one in run.effects if isinstance(one, ScheduleTimer)]
    run.handle(merge("guest-1", "c1"))
    run.advance(timedelta(days=3))
    run.handle(*[timer_fired(timer, run.now) for timer in timers])
    assert run.messages() == ["confirmation", "first-time"]


COUNTING = RULESET.with_flows(
    (
        *RULESET.flows,
        flow_from(
            "flow: counting\nversion: 1\nstatus: live\npurpose: service\ntrigger: {on: order.placed, where: customer.spend_in(9d) > 9999999}\n"
            "steps: [{send: {message: a}}]\n",
            "counting",
            ["a"],
        ),
    )
)


@settings(max_examples=examples(60), deadline=None)
@given(stories, guests, st.integers(0, 14))
def test_a_merged_customer_has_the_purchases_of_one_who_was_never_a_guest(
    story: list[tuple[Event, timedelta]], guests: set[str], at: int
) -> None:
    """Periods and categories count each order once, whenever the merge comes."""
    one, merged = run_story(story, guests, None, COUNTING), run_story(story, guests, at, COUNTING)
    want, got = one.customers.get("c1", new_customer("c1")).purchase_log, merged.customers["c1"].purchase_log
    assert (got or EMPTY) == (want or EMPTY)
