"""New templates roll out worker by worker: one with the older flows leaves alone what it does not know, and loses nothing."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from msgspec.structs import replace

from streams.core.instances.unknown import GONE_AFTER
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import ClaimCode, IssueReward, LogDecision, ScheduleTimer, WithdrawClaim
from streams.core.model.events import OrderCancelled, OrderRefunded, ProductBrowsed
from streams.core.model.instance import Instance
from streams.core.model.person_events import CustomerActed, ProfileUpdated
from streams.core.offers.code_pool_records import Code
from streams.core.rules.ruleset import Limits, Ruleset
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment
from tests.harness.flow_texts import (
    DAY,
    HOUR,
    answer_survey,
    buy,
    flow_text,
    open_email,
    ruleset_of,
    sent,
    unsubscribe,
    update_profile,
)

MINUTE = timedelta(minutes=1)
REVIEW = "trigger: {on: order.placed}\nexit_on: [order.refunded]\nsteps: [{wait: 2d}, {send: {message: %s}}]"


def version(number: int, body: str, **more: str) -> str:
    """The text of one version of the flow f."""
    return flow_text(body, **more).replace("version: 1", f"version: {number}")


def rulesets(body: str, older: str | None = None, **more: str) -> tuple[Ruleset, Ruleset]:
    """The newer ruleset, whose flow f has `body` as version 2, and the older one: with version 1 `older`, or without the flow."""
    kept = [version(1, older, **more)] if older else []
    other = flow_text(f"trigger: {{on: order.paid}}\n{SEND}", name="other")
    return ruleset_of(version(2, body, **more), *kept, other), ruleset_of(*kept, other)


SEND = "steps: [{send: {message: c}}]"


def own(run: Driver, ruleset: Ruleset) -> None:
    """Let a worker with these flows take over the partition."""
    run.ruleset = ruleset
    run.customers = {key: decode_customer(encode_customer(state)) for key, state in run.customers.items()}


def rules_of(run: Driver) -> list[str]:
    """The rule of each decision about f."""
    return [effect.rule for effect in run.effects if isinstance(effect, LogDecision) and effect.flow == "f"]


def waiting(run: Driver) -> Instance:
    """The only instance of c1."""
    (one,) = run.customers["c1"].instances
    return one


@pytest.mark.parametrize("older", [None, REVIEW % "a", "trigger: {on: order.placed}\nsteps: [{send: {message: c}}]"])
def test_an_older_worker_owns_the_partition_when_a_wait_ends(older: str | None) -> None:
    """It sends nothing of its own version and ends nothing; the email of the newer version is sent as soon as a newer worker returns."""
    new, old = rulesets(REVIEW % "b", older)
    run = Driver(new)
    buy(run)
    own(run, old)
    before = run.customers["c1"]
    run.advance(2 * DAY + 10 * MINUTE)
    assert run.customers["c1"] == before
    assert rules_of(run) == ["flow_unknown"]
    own(run, new)
    run.advance(15 * MINUTE)
    assert [message for message, _ in sent(run)] == ["b"]
    assert run.customers["c1"].instances == ()


def test_the_looks_become_rarer() -> None:
    """The first look comes after a minute, later ones after an hour at most, and there is always exactly one timer."""
    new, old = rulesets(REVIEW % "b")
    run = Driver(new)
    buy(run)
    own(run, old)
    due_at = waiting(run).due_at
    run.advance(2 * DAY + 6 * HOUR)
    timers = [effect.due_at for effect in run.effects if isinstance(effect, ScheduleTimer)][1:]
    assert [(each - due_at) // MINUTE for each in timers[:4]] == [1, 2, 4, 8]
    gaps = [later - earlier for earlier, later in pairwise(timers)]
    assert max(gaps) == HOUR
    assert len(timers) < 15
    assert len([each for each in timers if each > run.now]) == 1


def test_a_deleted_flow_ends_its_instances() -> None:
    """An instance of a flow that no worker knows ends a week after its wait, with a decision, and sends nothing."""
    for older in (None, REVIEW % "a"):
        new, old = rulesets(REVIEW % "b", older)
        run = Driver(new)
        buy(run)
        own(run, old)
        run.advance(2 * DAY + GONE_AFTER)
        assert len(run.customers["c1"].instances) == 1
        run.advance(2 * HOUR)
        assert run.customers["c1"].instances == ()
        assert rules_of(run) == ["flow_unknown", "flow_gone"]
        run.advance(30 * DAY)
        assert sent(run) == []
        assert not [each for each in run.effects if isinstance(each, ScheduleTimer) and each.due_at > run.now]


def test_an_older_version_that_was_deleted_is_not_waited_for() -> None:
    """If only newer versions are known, the instance continues on the newest, or ends at once if that has no such step."""
    run = Driver(ruleset_of(version(1, REVIEW % "a")))
    buy(run)
    own(run, ruleset_of(version(3, SEND.join(["trigger: {on: order.placed}\n", ""]))))
    run.advance(2 * DAY)
    assert (rules_of(run), run.customers["c1"].instances) == (["flow_gone"], ())


AWAITS = """trigger: {on: order.placed}
steps: [{wait_for: {event: survey.answered, up_to: 3d, then: [{send: {message: a}}], otherwise: [{send: {message: b}}]}}]"""


@pytest.mark.parametrize(("days", "message"), [(1, "a"), (4, "b")])
def test_an_awaited_event_arrives_at_an_older_worker(days: int, message: str) -> None:
    """The event is kept and processed by the newer worker within minutes; one after the end of the wait comes too late, as ever."""
    new, old = rulesets(AWAITS)
    run = Driver(new)
    buy(run)
    own(run, old)
    run.advance(days * DAY)
    answer_survey(run, "yes")
    assert waiting(run).is_holding
    run.advance(5 * MINUTE)
    own(run, new)
    run.advance(2 * HOUR)
    assert [each for each, _ in sent(run)] == [message]
    assert run.customers["c1"].instances == ()


def test_any_event_wakes_what_is_kept() -> None:
    """A newer worker processes the kept events before the next event of the customer, whatever it is."""
    new, old = rulesets(AWAITS)
    run = Driver(new)
    buy(run)
    own(run, old)
    answer_survey(run, "yes")
    own(run, new)
    update_profile(run, name="Anna")
    assert run.messages() == ["a"]


def test_events_after_the_end_of_a_wait() -> None:
    """Also an event that the instance would have awaited at a later step is kept, and processed after the wait."""
    body = """trigger: {on: order.placed}
steps: [{wait: 1d}, {wait_for: {event: shipment.delivered, up_to: 9d, then: [{send: {message: a}}]}}, {send: {message: b}}]"""
    new, old = rulesets(body)
    run = Driver(new)
    buy(run)
    own(run, old)
    run.advance(DAY + HOUR)
    run.handle(shipment("o1", "delivered", run.now))
    own(run, new)
    run.advance(2 * HOUR)
    assert run.messages() == ["a", "b"]


def test_an_event_before_its_step_is_not_kept() -> None:
    """An event that the instance does not wait for is kept only if it may end its flow and the state does not have it."""
    new, old = rulesets(AWAITS)
    run = Driver(new)
    buy(run)
    own(run, old)
    run.handle(replace(shipment("o1", "delivered", run.now), tracking_number="", tracking_url=""))
    buy(run, "o2")
    assert not waiting(run).is_holding
    run.advance(MINUTE)
    run.handle(shipment("o1", "returned", run.now))
    assert [held.name for held in waiting(run).held_events()] == ["shipment.tracked"]


def test_at_most_32_events_are_kept() -> None:
    """The first 32 events are kept, a decision logs the limit once, and the orders of the customer stay."""
    new, old = rulesets(AWAITS)
    run = Driver(new)
    for number in range(9):
        buy(run, f"o{number}")
    own(run, old)
    for number in range(40):
        answer_survey(run, f"{number}", question="q" * 200)
        run.advance(timedelta(seconds=1))
    held = [instance.held_events() for instance in run.customers["c1"].instances]
    assert {len(each) for each in held} == {Limits().held_events} == {32}
    assert dict(held[0][0].data)["answer"] == "0"
    assert rules_of(run).count("held_events") == 9
    assert len(run.customers["c1"].orders) == 9
    own(run, new)
    run.advance(2 * HOUR)
    assert run.messages() == ["a"] * 9
    assert not any(each.is_holding for each in run.customers["c1"].instances)


def test_the_state_is_unchanged_without_kept_events() -> None:
    """Bytes change only while events are kept; afterwards nothing of them is left."""
    new, old = rulesets(AWAITS.replace("{send: {message: a}}", "{wait: 5d}, {send: {message: a}}"))
    run = Driver(new)
    buy(run)
    own(run, old)
    answer_survey(run, "yes")
    assert b"held" in encode_customer(run.customers["c1"])
    own(run, new)
    run.advance(HOUR)
    assert waiting(run).due_at > run.now
    assert b"held" not in encode_customer(run.customers["c1"])


def test_exits_of_every_version_apply_at_once() -> None:
    """An exit event of all versions that a worker knows ends newer instances too; another one takes effect at a newer worker."""
    new, old = rulesets(REVIEW.replace("[order.refunded]", "[order.refunded, order.cancelled]") % "b", REVIEW % "a")
    for event, is_ended in ((OrderRefunded, True), (OrderCancelled, False)):
        run = Driver(new)
        buy(run)
        own(run, old)
        run.handle(event(order("o1", START), run.now))
        assert (run.customers["c1"].instances == ()) == is_ended
        (ended,) = [each for each in run.effects if isinstance(each, LogDecision) and each.outcome == "exit"] or [None]
        assert (ended.rule, ended.flow_version) == ("order.refunded", 2) if is_ended and ended else ended is None
        own(run, new)
        run.advance(3 * DAY)
        assert rules_of(run) == [event.NAME]
        assert run.messages() == []


@pytest.mark.parametrize("name", ["survey.answered", "product.viewed", "review.written"])
def test_an_exit_that_the_state_does_not_keep(name: str) -> None:
    """An event that only the newer version has in `exit_on` is kept, once, and ends the flow at a newer worker."""
    new, old = rulesets(REVIEW.replace("order.refunded", name) % "b", REVIEW % "a")
    run = Driver(new)
    buy(run)
    own(run, old)
    for _ in range(40):
        run.advance(MINUTE)
        if name == "survey.answered":
            answer_survey(run, "yes")
        elif name == "product.viewed":
            run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s1", occurred_at=run.now))
        else:
            run.handle(CustomerActed(customer_id="c1", kind="reviewed", stars=5, occurred_at=run.now))
    assert [held.name for held in waiting(run).held_events()] == [name]
    own(run, new)
    run.advance(3 * DAY)
    assert (run.messages(), rules_of(run)) == ([], [name])


def test_an_awaited_activity_at_an_older_worker() -> None:
    """A review for which only the newer version waits is kept, and resumes the flow at a newer worker."""
    waits = "trigger: {on: order.placed}\nsteps: [{wait_for: {event: review.written, up_to: 2d, then: [{send: {message: b}}]}}]"
    new, old = rulesets(waits, REVIEW % "a")
    run = Driver(new)
    buy(run)
    own(run, old)
    run.advance(MINUTE)
    run.handle(CustomerActed(customer_id="c1", kind="reviewed", sku="s1", stars=5, occurred_at=run.now))
    assert run.messages() == []
    own(run, new)
    run.advance(HOUR)
    assert run.messages() == ["b"]


def test_an_unsubscription_at_an_older_worker() -> None:
    """Consent is the customer's, not the flow's: the newer worker sends no marketing afterwards."""
    new, old = rulesets(REVIEW.replace("[order.refunded]", "[customer.unsubscribed]") % "a", purpose="marketing")
    run = Driver(new)
    update_profile(run, email="anna@example.com", country="DK", marketing_consent=True)
    buy(run)
    own(run, old)
    unsubscribe(run)
    own(run, new)
    run.advance(3 * DAY)
    assert (run.messages(), rules_of(run)) == ([], ["customer.unsubscribed"])


REWARD = "trigger: {on: order.placed}\nsteps: [{reward: {name: gift, pool: ten, within: 9d}}, {send: {message: a}}]"


def test_a_code_arrives_at_an_older_worker() -> None:
    """The code is kept for the instance and given by the newer worker, once; nothing is withdrawn."""
    new, old = rulesets(REWARD)
    run = Driver(new)
    buy(run)
    own(run, old)
    run.advance(DAY)
    run.stock(Code("ten", "CODE-1", START + 30 * DAY))
    assert waiting(run).is_holding
    own(run, new)
    run.advance(HOUR)
    assert [each.code for each in run.effects if isinstance(each, IssueReward)] == ["CODE-1"]
    assert run.messages() == ["a"]
    assert not [each for each in run.effects if isinstance(each, WithdrawClaim)]


def test_a_kept_code_of_an_instance_that_ends() -> None:
    """If the instance ends before a newer worker gives the code, the claim is withdrawn, and the code returns to its pool."""
    new, old = rulesets(REWARD.replace("steps", "exit_on: [order.refunded]\nsteps"))
    run = Driver(new)
    buy(run)
    own(run, old)
    run.stock(Code("ten", "CODE-1", START + 30 * DAY))
    run.handle(OrderRefunded(order("o1", START), run.now))
    own(run, new)
    run.advance(HOUR)
    assert run.customers["c1"].instances == ()
    assert [type(each) for each in run.effects if isinstance(each, ClaimCode | IssueReward | WithdrawClaim)] == [
        ClaimCode,
        WithdrawClaim,
    ]
    assert "code_too_late" in rules_of(run)


def test_a_target_time_changes_while_an_instance_is_unknown() -> None:
    """The newer worker waits for the time as it is known then, although the timer of the earlier time fires."""
    body = (
        "trigger: {on: shipment.shipped}\nsteps: [{wait: {until: shipment.window_from, days: 1}}, {send: {message: a}}]"
    )
    new, old = rulesets(body)
    run = Driver(new)
    buy(run)
    run.handle(shipment("o1", "shipped", run.now))
    own(run, old)
    later = shipment("o1", "shipped", run.now + HOUR)
    run.advance(HOUR)
    run.handle(
        type(later)(
            **{name: getattr(later, name) for name in later.__struct_fields__} | {"window_from": START + 5 * DAY}
        )
    )
    own(run, new)
    run.advance(3 * DAY)
    assert sent(run) == []
    run.advance(3 * DAY)
    assert sent(run) == [("a", 5)]


@pytest.mark.parametrize(
    "trigger", ["{on: customer.birthday}", "{on: product.launch}", "{on: customer.birthday, before: 1d}"]
)
def test_flows_that_wait_for_their_start(trigger: str) -> None:
    """An older worker keeps the date or launch that a newer version waits for, and the newer worker starts the flow."""
    new, old = rulesets(f"trigger: {trigger}\nsteps: [{{send: {{message: a}}}}]")
    run = Driver(new)
    run.handle(
        ProfileUpdated(customer_id="c1", occurred_at=START, email="a@example.org", birthday=(START + 9 * DAY).date())
    )
    run.handle(
        ProductBrowsed(customer_id="c1", kind="viewed", sku="new", occurred_at=START, launches_at=START + 9 * DAY)
    )
    own(run, old)
    run.advance(9 * DAY + 2 * HOUR)
    own(run, new)
    run.advance(DAY)
    assert run.messages() == ["a"]


def test_an_email_that_was_opened_at_an_older_worker() -> None:
    """An opening of the instance's own email is kept, and the newer worker continues with it."""
    body = """trigger: {on: order.placed}
steps: [{send: {message: a}}, {wait_for: {event: mail.opened, up_to: 9d, then: [{send: {message: b}}]}}]"""
    new, old = rulesets(body)
    run = Driver(new)
    buy(run)
    own(run, old)
    open_email(run, run.mails()[0].send_id)
    open_email(run, "another")
    assert len(waiting(run).held_events()) == 1
    own(run, new)
    run.advance(HOUR)
    assert run.messages() == ["a", "b"]


def test_segments_that_an_older_worker_does_not_know() -> None:
    """An older worker keeps the membership of newer segments: the customer has not entered them again when a newer one returns."""
    entered = "trigger: {on: segment.entered, segment: %s}\nsteps: [{send: {message: %s}}]"
    flows = [flow_text(entered % each, name=each[0]) for each in (("buyers", "a"), ("regulars", "b"))]
    both = "buyers: customer.orders > 0\nregulars: customer.orders > 1"
    new, old = ruleset_of(*flows, segments=both), ruleset_of(flows[0], segments="buyers: customer.orders > 0")
    unused = ruleset_of(flows[0], segments=both)  # the segment is known, and no flow starts by it yet
    run = Driver(new)
    buy(run, "o1")
    buy(run, "o2")
    assert run.messages() == ["a", "b"]
    for older in (old, unused):
        own(run, older)
        run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s1", occurred_at=run.now))
        update_profile(run, name="Anna")
        assert run.customers["c1"].segments == ("buyers", "regulars")
    own(run, new)
    update_profile(run, name="Bo")
    assert run.messages() == ["a", "b"]
    assert run.customers["c1"].segments == ("buyers", "regulars")


def test_few_unknown_segments_are_kept() -> None:
    """The state stays small after many segments have come and gone."""
    flow = "trigger: {on: segment.entered, segment: %s}\nsteps: [{send: {message: a}}]"
    run = Driver(ruleset_of(flow_text(REVIEW % "a")))
    buy(run)
    for number in range(60):
        name = f"s{number:02}"
        own(run, ruleset_of(flow_text(flow % name, name=name), segments=f"{name}: customer.orders > 0"))
        update_profile(run, name=f"n{number}")
    segments = run.customers["c1"].segments
    assert "s59" in segments
    assert len(segments) == 1 + Limits().unknown_segments
