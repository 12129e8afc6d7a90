"""`takk flows explain`: what an event does to the flows of a customer, and why the others do not start."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from streams.core.engine import advance
from streams.core.model.customer import Customer, Merge, new_customer
from streams.core.model.effects import EmitSignal, IssueReward, SendMail
from streams.core.model.events import Event, OrderPlaced, SurveyAnswered
from streams.core.rules.ruleset import Ruleset
from streams.tools.operations.explanation import Explanation, FlowExplanation, explain, format_explanation
from streams.wire import topics
from tests.driver.cases import CASES, CODEC, DECODER, Case, CaseRun
from tests.driver.language_cases import LANGUAGE_CASES, language_run
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment
from tests.harness.flow_texts import DAY, buy, flow_text, ruleset_of, unsubscribe, update_profile

SEND = "steps: [{send: {message: a}}]"
LATER = "steps: [{wait: 2d}, {send: {message: a}}]"
PLACED = "trigger: {on: order.placed}\n"
#: Effects of flows that customers or other systems get.
_GIVEN = (SendMail, EmitSignal, IssueReward)


def explained(run: Driver, event: Event) -> Explanation:
    """The explanation of an event of c1, now."""
    return explain(run.ruleset, run.customers.get("c1") or new_customer("c1"), event, run.now)


def of_flow(explanation: Explanation, name: str = "f") -> FlowExplanation:
    """The explanation of one flow."""
    (found,) = [flow for flow in explanation.flows if flow.flow == name]
    return found


def placed(run: Driver, order_id: str = "o1", total_minor: int = 50_000) -> OrderPlaced:
    """An order of c1, placed now."""
    return OrderPlaced(order(order_id, run.now, total_minor=total_minor), run.now)


def test_a_flow_that_starts_and_sends() -> None:
    """A flow that sends at once has its decisions as steps; it is printed with its version."""
    run = Driver(ruleset_of(flow_text(PLACED + SEND)))
    explanation = explained(run, placed(run))
    assert of_flow(explanation).result == "starts"
    assert format_explanation(explanation)[:2] == ["customer c1 (times in UTC)", "f v1 starts"]
    assert "step 0: send: transactional emails need no consent" in format_explanation(explanation)[2]
    assert run.customers == {}  # nothing changes


def test_a_flow_that_waits() -> None:
    """A flow that waits is explained up to its next email, and why that one would not be sent."""
    run = Driver(ruleset_of(flow_text(PLACED + LATER, purpose="marketing")))
    update_profile(run, marketing_consent=True)
    assert of_flow(explained(run, placed(run))).steps == (
        "waits at step 1 until 2026-03-04 09:00:00: continues then",
        "then step 1: send a, priority 50, expires after 5 days",
    )
    unsubscribe(run)
    assert (
        of_flow(explained(run, placed(run)))
        .steps[2]
        .startswith("as of now, step 1 would send nothing: the customer unsubscribed")
    )


def test_a_flow_that_finishes_without_an_email() -> None:
    """A flow that only publishes a signal or sets a field starts, and a second event finds it started."""
    signal = flow_text("trigger: {on: order.placed, once_per: customer}\nsteps: [{emit: call}]", "signal")
    field = flow_text(PLACED + "steps: [{set: {name: tier, value: gold}}]", "field")
    run = Driver(ruleset_of(signal, field))
    explanation = explained(run, placed(run))
    assert of_flow(explanation, "signal").result == of_flow(explanation, "field").result == "starts"
    assert of_flow(explanation, "signal").steps == ("step 0: signal call", "the flow is finished")
    buy(run)
    again = of_flow(explained(run, placed(run, "o2")), "signal")
    assert (again.result, again.reason) == (
        "does not start",
        "it already started for this customer (once_per: customer)",
    )


def test_the_values_of_dates() -> None:
    """The values of a condition about a date do not include the names of all dates."""
    where = "customer.dates.wedding == '2027-05-30'"
    run = Driver(ruleset_of(flow_text(f"trigger: {{on: order.placed, where: {where}}}\n{SEND}")))
    update_profile(run, dates=(("wedding", date(1604, 5, 30)),))
    assert of_flow(explained(run, placed(run))).reason.endswith("; customer.dates.wedding is '--05-30'")


def test_the_consent_of_an_email_that_is_due_now() -> None:
    """A flow whose email is due now and not allowed starts, and its step says why."""
    run = Driver(ruleset_of(flow_text(PLACED + SEND, purpose="marketing")))
    unsubscribe(run)
    flow = of_flow(explained(run, placed(run)))
    assert flow.result == "starts"
    assert flow.steps[0].startswith("step 0: skip: the customer unsubscribed")


def test_not_with() -> None:
    """An email that waits for another flow is explained, whether it is due now or later."""
    first = flow_text(PLACED + LATER, "first", purpose="marketing")
    now = flow_text("not_with: [first]\n" + PLACED + SEND, "now", purpose="marketing")
    later = flow_text("not_with: [first]\n" + PLACED + LATER, "later", purpose="marketing")
    run = Driver(ruleset_of(first, now, later))
    update_profile(run, marketing_consent=True)
    explanation = explained(run, placed(run))
    clash = "another flow or series excludes this email while it can still send (the flow first is running)"
    assert of_flow(explanation, "now").steps[0] == f"step 0: defer: {clash}"
    assert of_flow(explanation, "later").steps[-1] == f"as of now, step 1 would wait: {clash}"


@pytest.mark.parametrize(("status", "text"), [("draft", "would have sent a"), ("paused", "the flow is paused")])
def test_draft_and_paused(status: str, text: str) -> None:
    """A draft and a paused flow are explained by their decision, and printed with their status."""
    run = Driver(ruleset_of(flow_text(PLACED + SEND, status=status)))
    explanation = explained(run, placed(run))
    assert text in of_flow(explanation).steps[0]
    assert format_explanation(explanation)[1] == f"f v1 ({status}) starts"


def test_another_trigger() -> None:
    """A flow with another trigger names it."""
    run = Driver(ruleset_of(flow_text("trigger: {on: order.paid}\n" + SEND)))
    flow = of_flow(explained(run, placed(run)))
    reason = "the event is not its trigger: it starts on order.paid, once per order"
    assert (flow.result, flow.reason) == ("does not start", reason)


@pytest.mark.parametrize(
    ("where", "values"),
    [
        ("order.total > 1000 and customer.orders == 1", "order.total is 500.00, customer.orders is 1"),
        ("customer.orders_in(90d) >= 3", "customer.orders_in(90d) is 1"),
        ("customer.orders_in(90d, 'tea') >= 3", "customer.orders_in(90d, 'tea') is 1"),
        ("'hats' in order.categories", "order.categories is [tea, cups]"),
        ("field.tier == 'gold'", "field.tier is unknown"),
        ("order.is_gift", "order.is_gift is false"),
    ],
)
def test_a_false_condition(where: str, values: str) -> None:
    """A condition that is false is explained with the values of its names."""
    run = Driver(ruleset_of(flow_text(f'trigger: {{on: order.placed, where: "{where}"}}\n{SEND}')))
    flow = of_flow(explained(run, placed(run)))
    assert flow.result == "does not start"
    assert flow.reason == f"the flow does not apply to this order or customer (not true: {where}); {values}"


def test_once_per() -> None:
    """A flow that has started for the customer does not start again; one that still waits says so."""
    run = Driver(ruleset_of(flow_text("trigger: {on: order.placed, once_per: customer}\n" + LATER)))
    buy(run)
    flow = of_flow(explained(run, placed(run, "o2")))
    assert flow.reason == "it already started for this customer (once_per: customer)"
    assert flow.steps == ("waits at step 1 until 2026-03-04 09:00:00: continues then",)
    run.advance(3 * DAY)
    assert of_flow(explained(run, placed(run, "o2"))).reason == flow.reason


def test_again_after() -> None:
    """A flow that may start again is explained by the time since its last start."""
    run = Driver(ruleset_of(flow_text("trigger: {on: order.placed, once_per: customer, again_after: 30d}\n" + SEND)))
    buy(run)
    assert of_flow(explained(run, placed(run, "o2"))).reason == "it started less than 30 days ago (again_after)"
    run.advance(31 * DAY)
    assert of_flow(explained(run, placed(run, "o2"))).result == "starts"


def test_the_last_parcel() -> None:
    """A flow that starts with the last parcel does not start with an earlier one."""
    run = Driver(ruleset_of(flow_text("trigger: {on: shipment.delivered, which: last}\n" + SEND)))
    buy(run)
    flow = of_flow(explained(run, shipment("o1", "delivered", run.now, "p1", 2)))
    assert flow.reason == "it starts when the last parcel of the order is delivered (which: last)"


def test_an_event_that_is_too_old() -> None:
    """A flow does not start by an old event."""
    run = Driver(ruleset_of(flow_text(PLACED + SEND)))
    at = run.now - timedelta(days=10)
    flow = of_flow(explained(run, OrderPlaced(order("o1", at), at)))
    assert flow.result == "does not start"
    assert "10 days ago" in flow.reason


def test_moves_and_ends() -> None:
    """An event that resumes a wait moves the flow, and an exit event ends it."""
    asks = "steps: [{wait_for: {event: survey.answered, up_to: 9d, then: [{wait: 1d}, {send: {message: a}}]}}]"
    ends = "exit_on: [shipment.delivered]\n"
    run = Driver(ruleset_of(flow_text(PLACED + asks, "asks"), flow_text(ends + PLACED + LATER, "ends")))
    buy(run)
    answer = SurveyAnswered(customer_id="c1", send_id=None, question="nps", answer="9", occurred_at=run.now)
    moved = of_flow(explained(run, answer), "asks")
    assert (moved.result, moved.steps[0]) == (
        "continues",
        "waits at step 0.0.1 until 2026-03-03 09:00:00: continues then",
    )
    run.advance(DAY)
    ended = of_flow(explained(run, shipment("o1", "delivered", run.now)), "ends")
    assert ended.result == "ends"
    assert ended.steps[0].startswith("step 1: exit: the parcel was delivered")


def test_notes() -> None:
    """A duplicate, a parcel of an unknown order and a merged customer are explained once, for the whole event."""
    shipped = flow_text("trigger: {on: shipment.shipped, once_per: parcel}\n" + SEND, "shipped")
    run = Driver(ruleset_of(flow_text(PLACED + SEND), shipped))
    (note,) = explained(run, shipment("o1", "shipped", run.now)).notes
    assert note == "the order o1 is unknown: flows about its parcels start once it is placed"
    assert of_flow(explained(run, shipment("o1", "shipped", run.now)), "shipped").reason == note
    buy(run)
    (note,) = explained(run, placed(run)).notes
    assert note.startswith("nothing changes: ")
    merged = replace(new_customer("c1"), merge=Merge(into="c2", at=START))
    (note,) = explain(run.ruleset, merged, placed(run), run.now).notes
    assert note.startswith("the customer was merged into c2")


def test_an_event_that_counts_only_for_known_customers() -> None:
    """An answer of an unknown customer starts nothing, and the reason is not the trigger; that of a known one starts the flow."""
    run = Driver(ruleset_of(flow_text("trigger: {on: survey.answered, once_per: customer}\n" + SEND)))
    answer = SurveyAnswered(customer_id="c1", send_id=None, question="nps", answer="9", occurred_at=run.now)
    assert of_flow(explained(run, answer)).reason.startswith("nothing changes: the customer is unknown")
    buy(run)
    assert of_flow(explained(run, answer)).result == "starts"


def changed_flows(ruleset: Ruleset, state: Customer, event: Event, run: Driver) -> set[str]:
    """The flows that the core starts or moves at an event: those that send or give something, or whose instances differ."""
    after, effects = advance(ruleset, state, event, run.now)
    differing = set(after.instances).symmetric_difference(state.instances)
    return {each.flow for each in differing} | {effect.flow for effect in effects if isinstance(effect, _GIVEN)}


@pytest.mark.parametrize("case", [*CASES, *LANGUAGE_CASES], ids=lambda case: case.name)
def test_cases(case: Case) -> None:
    """At every event of every case, each flow is explained once, and those that the core changes neither more nor less."""
    playing = CaseRun(case) if case in CASES else language_run(case)
    for at, events in case.events_by_time():
        playing.advance_to_day(at)
        for each in events:
            if each.topic == topics.PRODUCTS:
                playing.handle([each])
                continue
            run = playing.driver
            sends = {mail.message: mail.send_id for mail in run.mails()}
            record = each.record(case.name, run.now, sends)
            value = CODEC.encode(topics.SCHEMA_OF[each.topic], record)
            key = each.customer(case.name).encode()
            event = DECODER.event(each.topic, key, value, round(run.now.timestamp() * 1000))
            state = run.customers.get(event.customer_id) or new_customer(event.customer_id)
            explanation = explain(run.ruleset, state, event, run.now)
            assert sorted(flow.flow for flow in explanation.flows) == sorted(run.ruleset.by_name)
            assert all(flow.reason for flow in explanation.flows if flow.result == "does not start")
            moved = {flow.flow for flow in explanation.flows if flow.result != "does not start"}
            skipped = {flow.flow for flow in explanation.flows if any(": skip: " in step for step in flow.steps)}
            changed = changed_flows(run.ruleset, state, event, run)
            assert changed <= moved <= changed | skipped
            playing.handle([each])
