"""The limits of an address: which emails it may get, in whatever order its events arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.model.address_state import (
    NEW_ADDRESS,
    NOTHING_SUPPRESSED,
    AddressState,
    Suppression,
    decode_address,
    encode_address,
)
from streams.core.model.effects import NoteAddress
from streams.core.rules.sending_rules import Cap
from streams.core.sending.address_limits import AddressRules, apply, find_rule, suppression_of, without_send

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = AddressRules(
    (Cap(most=2, per=DAY), Cap(most=3, per=7 * DAY), Cap(most=1, per=3 * DAY, purposes=("survey",))), transactional=4
)
ALL = ("marketing", "profile", "review", "survey")


def event(kind: Any, hours: float = 0, **fields: Any) -> NoteAddress:
    """Return an event of an address, so many hours after `AT`."""
    return NoteAddress(event_id="e", address="a", kind=kind, occurred_at=AT + hours * HOUR, **fields)


def sent(number: int, hours: float, purpose: str = "marketing") -> NoteAddress:
    """Return the event of an email."""
    is_transactional = purpose in ("order", "service")
    return event("sent", hours, send_id=f"s-{number}", purpose=purpose, is_transactional=is_transactional)


def state_of(*events: NoteAddress, rules: AddressRules = RULES) -> AddressState:
    """Return the state of an address after events."""
    state = NEW_ADDRESS
    for each in events:
        state = apply(state, each, rules)
    return state


def known(*events: NoteAddress, rules: AddressRules = RULES) -> Suppression:
    """Return what mailers know of an address after events."""
    return suppression_of(state_of(*events, rules=rules), rules)


def suppressed(*events: NoteAddress) -> tuple[str, ...]:
    """Return the purposes that an address refuses after events."""
    return tuple(purpose for purpose, _ in known(*events).suppressed)


@pytest.mark.parametrize(
    ("refusal", "purposes"),
    [
        (event("refused", scope="marketing", reason="unsubscribed"), ALL),
        (event("refused", scope="review", reason="unsubscribed"), ("review",)),
        (event("refused", scope="marketing", reason="answered_no"), ALL),
        (event("refused", scope="survey", reason="answered_no"), ("survey",)),
        (event("refused", scope="catalogue", reason="new"), ALL),
        (event("complained"), ALL),
        (event("bounced_hard"), ALL),
        (event("unknown"), ()),
    ],
)
def test_a_refusal_ends_the_emails_of_its_scope(refusal: NoteAddress, purposes: tuple[str, ...]) -> None:
    """An unknown scope ends all emails that are not transactional; an unknown kind of event ends none. Transactional emails continue."""
    assert suppressed(refusal) == purposes
    suppression = known(refusal)
    assert find_rule(suppression, "order", AT) is None
    assert [find_rule(suppression, purpose, AT) is not None for purpose in ALL] == [name in purposes for name in ALL]


def test_a_newer_yes_ends_a_refusal() -> None:
    """A yes to the scope ends a refusal, one to a purpose ends it for the purpose; an older one, or one of the same time, does not."""
    no = event("refused", scope="marketing", reason="unsubscribed")
    assert suppressed(no, event("consented", 1, scope="marketing")) == ()
    assert suppressed(no, event("consented", 1, scope="review")) == ("marketing", "profile", "survey")
    assert suppressed(no, event("consented", 0, scope="marketing")) == ALL
    assert suppressed(no, event("consented", -1, scope="marketing")) == ALL
    assert suppressed(event("refused", scope="review"), event("consented", 1, scope="marketing")) == ("review",)
    assert suppressed(event("bounced_hard"), event("consented", 1, scope="marketing")) == ()
    assert suppressed(event("complained"), event("consented", 1, scope="marketing")) == ALL


def test_a_no_to_marketing_leaves_purposes_with_a_yes() -> None:
    """A customer who says no to marketing and yes to reviews gets review requests; an unsubscription ends them too."""
    yes = event("consented", -1, scope="review")
    assert suppressed(event("refused", scope="marketing", reason="answered_no"), yes) == (
        "marketing",
        "profile",
        "survey",
    )
    assert suppressed(event("refused", scope="marketing", reason="unsubscribed"), yes) == ALL


def test_caps_count_the_emails_of_an_address() -> None:
    """A full cap ends when its oldest email is older than the period, exactly as for a customer. Each cap counts its own purposes."""
    assert known(sent(1, 0)).capped == ()
    full = known(sent(1, 0), sent(2, 1))
    assert dict(full.capped) == dict.fromkeys(ALL, AT + DAY)
    assert find_rule(full, "marketing", AT + DAY - HOUR) == ("address_cap", "until 2026-03-03T09:00:00+00:00")
    assert find_rule(full, "marketing", AT + DAY) is None
    assert dict(known(sent(1, 0), sent(2, 1), sent(3, 30)).capped) == dict.fromkeys(ALL, AT + 7 * DAY)
    assert dict(known(sent(1, 0, "survey")).capped) == {"survey": AT + 3 * DAY}
    assert known(sent(1, 0), sent(2, 25)).capped == ()
    assert known(sent(1, 0, "order"), sent(2, 0, "service")).capped == ()


def test_a_bound_for_transactional_emails() -> None:
    """The emails of a day, all kinds together, are bounded; other emails do not count."""
    orders = [sent(number, number, "order" if number % 2 else "service") for number in range(4)]
    assert known(*orders[:3], sent(9, 3)).limited_until is None
    full = known(*orders)
    assert full.limited_until == AT + DAY
    assert find_rule(full, "order", AT + 4 * HOUR) == ("address_limit", "until 2026-03-03T09:00:00+00:00")
    assert find_rule(full, "service", AT + DAY) is None
    assert find_rule(full, "marketing", AT + 4 * HOUR) is None


def test_periods_are_scaled() -> None:
    """If a day takes a second, so does the day of a cap."""
    rules = AddressRules((Cap(most=1, per=DAY),), transactional=1, day_scale=1 / 86_400)
    suppression = known(sent(1, 0), sent(2, 0, "order"), rules=rules)
    assert (dict(suppression.capped)["review"], suppression.limited_until) == (AT + timedelta(seconds=1),) * 2


def test_an_email_can_be_left_out() -> None:
    """The state without an email is the state before it."""
    assert without_send(state_of(sent(1, 0), sent(2, 1)), "s-2") == state_of(sent(1, 0))


def test_the_state_is_bounded_and_stored() -> None:
    """Thousands of emails and refusals take a few kilobytes, which are decoded to the same state."""
    events = [sent(n, n / 100, purpose) for n in range(500) for purpose in (*ALL, "order")]
    events += [
        event("refused", n, scope=scope, reason=r)
        for n in range(9)
        for scope in (*ALL, "x")
        for r in ("answered_no", "y")
    ]
    rules = AddressRules((Cap(most=20, per=400 * DAY),), transactional=20)
    state = state_of(*events, *[event("consented", scope=scope) for scope in ALL], rules=rules)
    assert len(state.sends) <= 100
    assert len(encode_address(state)) < 4096
    assert decode_address(encode_address(state)) == state


PURPOSES = (*ALL, "order", "service", "new")


def one_send(number: int) -> NoteAddress:
    """Return the event of an email. All events of one send have the same time and purpose."""
    return sent(number, 7 * number, PURPOSES[number % len(PURPOSES)])


SENDS = st.builds(one_send, st.integers(0, 40))
OTHERS = st.builds(
    event,
    st.sampled_from(["refused", "consented", "bounced_hard", "complained", "unknown"]),
    st.integers(0, 400),
    scope=st.sampled_from((*ALL, "", "new")),
    reason=st.sampled_from(["unsubscribed", "answered_no", "new"]),
)


@given(st.lists(SENDS | OTHERS, max_size=60), st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter_and_doubles_are_harmless(events: list[NoteAddress], random: Any) -> None:
    """Every order of the same events, with any of them repeated, leads to the same state."""
    shuffled = [*events, *random.choices(events, k=5)] if events else []
    random.shuffle(shuffled)
    assert state_of(*shuffled) == state_of(*events)


@given(st.lists(st.integers(0, 200), max_size=60))
def test_no_period_has_more_emails_than_a_cap_allows(hours: list[int]) -> None:
    """An address that gets every email that is not forbidden gets no more than its caps allow in any period."""
    state, accepted = NEW_ADDRESS, []
    for number, hour in enumerate(sorted(hours)):
        email = sent(number, hour)
        if find_rule(suppression_of(state, RULES), "marketing", email.occurred_at) is None:
            state = apply(state, email, RULES)
            accepted.append(email.occurred_at)
    for cap in RULES.caps[:2]:
        assert all(sum(at <= other < at + cap.per for other in accepted) <= cap.most for at in accepted)


def test_a_new_address_may_get_every_email() -> None:
    """An address without events has no limit."""
    assert suppression_of(NEW_ADDRESS, RULES) == NOTHING_SUPPRESSED
    assert all(find_rule(NOTHING_SUPPRESSED, purpose, AT) is None for purpose in (*ALL, "order", "service"))


def test_an_opt_out_of_service_emails_is_no_refusal() -> None:
    """An opt-out of service emails, which earlier versions noted, suppresses nothing."""
    assert suppressed(event("refused", scope="service", reason="unsubscribed")) == ()
