"""Hypothesis strategies for stories: events of the customer c1, with the time after each."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from streams.core.model.events import (
    MailBounced,
    MailClicked,
    MailDelivered,
    MailOpened,
    OrderCancelled,
    OrderChanged,
    OrderPlaced,
    OrderRefunded,
    Unsubscribed,
)
from streams.core.model.person_events import ProfileUpdated
from tests.harness.driver import START
from tests.harness.events import order, shipment, shop_ruleset

RULESET = shop_ruleset()
HOUR = timedelta(hours=1)
times = st.integers(0, 24 * 12).map(lambda hours: START + hours * HOUR)
order_ids = st.sampled_from(["o1", "o2", "o3"])
totals = st.sampled_from([10_000, 50_000, 1_200_000])
orders = st.builds(lambda name, total: order(name, START, total_minor=total), order_ids, totals)
order_events = st.one_of(
    st.builds(OrderPlaced, orders, times),
    st.builds(OrderPlaced, orders, times),
    st.builds(OrderChanged, orders, times),
    st.builds(OrderCancelled, orders, times),
    st.builds(OrderRefunded, orders, times),
)
statuses = st.sampled_from(["created", "shipped", "delivered", "delayed", "returned"])
parcels = st.sampled_from(["p1", "p2"])
shipment_events = st.builds(shipment, order_ids, statuses, times, parcels, st.integers(1, 2))
sends = st.sampled_from(["a" * 32, "b" * 32])
engagement_events = st.one_of(
    st.builds(MailDelivered, customer_id=st.just("c1"), send_id=sends, occurred_at=times),
    st.builds(MailOpened, customer_id=st.just("c1"), send_id=sends, agent=st.just("human"), occurred_at=times),
    st.builds(
        MailClicked,
        customer_id=st.just("c1"),
        send_id=sends,
        link=st.just("x"),
        agent=st.just("human"),
        occurred_at=times,
    ),
    st.builds(
        MailBounced,
        customer_id=st.just("c1"),
        send_id=sends,
        hard=st.booleans(),
        reason=st.just("5.1.1"),
        occurred_at=times,
    ),
    st.builds(
        ProfileUpdated,
        customer_id=st.just("c1"),
        name=st.text(max_size=10),
        marketing_consent=st.sampled_from([None, True, False]),
        occurred_at=times,
    ),
)
unsubscribed = st.builds(
    Unsubscribed, customer_id=st.just("c1"), send_id=st.none(), scope=st.just("marketing"), occurred_at=times
)
events = st.one_of(order_events, order_events, shipment_events, engagement_events, unsubscribed)
gaps = st.integers(0, 60).map(lambda hours: hours * HOUR)
stories = st.lists(st.tuples(events, gaps), max_size=14)
