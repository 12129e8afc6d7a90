"""Incidents that a healthy demo does not have, one function each. They leave the traces for which dashboards and alerts look."""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from aiosmtpd.smtp import Envelope

from streams.mail.tokens import LinkKeys, Use
from streams.tools.local.inbox.server import HANG_UP
from streams.wire import topics
from tests.harness import records
from tests.harness.observed_stack import ObservedStack
from tests.harness.stack import Stack, wait_until

#: The answers of a mail server in trouble: greylisting, a dead address, a full mailbox, spam, and a lost connection after the data.
REPLIES = (
    "451 4.7.1 Greylisted, try again later",
    "550 5.1.1 User unknown",
    "552 5.2.2 Mailbox full",
    "554 5.7.1 Message rejected as spam",
    HANG_UP,
)
#: One email in so many gets one of them.
REPLY_EVERY = 4
#: Share of invalid records among the shop's records.
POISON = 0.02
ORDERS_PER_S = 8.0
#: Longest time that the shop is open, in seconds. The script closes it earlier.
LONGEST_S = 1800.0
#: Opens addresses of this machine, whatever proxy the environment names.
_DIRECT = build_opener(ProxyHandler({}))
AGENTS = ("human", "privacy_proxy", "scanner", "unknown")

#: The series that the mail server's answers leave in Prometheus.
ANSWERED = (
    'takk_bounces_total{kind="hard"}',
    'takk_bounces_total{kind="soft"}',
    'takk_mails_total{outcome="deferred"}',
    'takk_mails_total{outcome="refused"}',
    'takk_sends_unknown_total{action="sent_again"}',
)
#: The series that all incidents leave in Prometheus: each was above 0 at some time.
TRACES = (
    *ANSWERED,
    'takk_mails_total{outcome="suppressed"}',
    "takk_dead_letters_total",
    "takk_smtp_paused",
    *(f'takk_opens_total{{agent="{agent}"}}' for agent in AGENTS),
    'takk_clicks_total{agent="human"}',
    "takk_unsubscribes_total",
    "takk_complaints_total",
    "takk_attributed_orders_total",
    "takk_attributed_revenue_minor_total",
    # The mailer reads the catalogue for the first email that recommends products.
    "takk_catalogue_read_timestamp_seconds",
    "takk_withdrawals_read_timestamp_seconds",
    "takk_pool_claims",
    "takk_codes_granted_total",
    "takk_codes_expired_total",
    *(f'takk_gateway_requests_total{{route="{route}"}}' for route in ("click", "open", "unsubscribe")),
    "takk_gateway_bad_links_total",
    "takk_gateway_repeats_total",
    "takk_gateway_records_total",
)
#: The trace of the last incident, which ends the counters of a worker.
LAST_TRACE = "takk_restored_records_total"


def run_incidents(observed: ObservedStack) -> None:
    """Run all incidents while the shop sells, and wait until each has left its trace."""
    stack = observed.stack
    is_over = threading.Event()
    shop = stack.run_shop(LONGEST_S, ORDERS_PER_S, poison=POISON, until=is_over)
    try:
        wait_until(lambda: stack.inbox.accepted >= 20, "the first 20 emails")
        refuse_emails(observed)
        engage(stack)
        follow_links(stack)
        fill_pool(stack)
        stop_mail_server(observed)
        for trace in TRACES:
            wait_until(partial(has_trace, observed, trace), f"{trace} is above 0")
        restore_worker(stack)
        wait_until(partial(has_trace, observed, LAST_TRACE), f"{LAST_TRACE} is above 0")
        # While partitions move, no worker exports the gauges of the pool.
        settled = "takk_pool_claims and on () (min(takk_ready) == 1)"
        wait_until(lambda: observed.prometheus.query(settled) != [], "all workers are ready, and the pool has an owner")
    finally:
        is_over.set()
        shop.join()


def has_trace(observed: ObservedStack, selector: str) -> bool:
    """Return whether a series was above 0 at some time."""
    return is_above_0(observed, f"max_over_time({selector}[1h])")


def is_above_0(observed: ObservedStack, expression: str) -> bool:
    """Return whether the expression has a series above 0."""
    return any(series.value > 0 for series in observed.prometheus.query(expression))


def refuse_emails(observed: ObservedStack) -> None:
    """Defer and refuse some emails, and cut some connections after the data, until each answer has left its trace.

    An email leaves a trace only if it has the right purpose and does not expire before it is sent again.
    """
    replies, count = itertools.cycle(REPLIES), itertools.count(1)

    def answer(envelope: Envelope) -> str | None:
        return None if next(count) % REPLY_EVERY else next(replies)

    observed.stack.inbox.behaviour = answer
    for trace in ANSWERED:
        wait_until(partial(has_trace, observed, trace), f"{trace} is above 0")
    observed.stack.inbox.behaviour = None


def engage(stack: Stack) -> None:
    """Open and click emails by every agent, unsubscribe, complain, and order after a click."""
    wait_until(lambda: len(_newest_emails(stack)) >= 2 * len(AGENTS), "emails to eight customers")
    events = iter(_newest_emails(stack).values())
    for agent in AGENTS:
        event = next(events)
        _engage(stack, event, "opened", agent=agent)
        _engage(stack, event, "clicked", agent=agent, link="https://shop.example/order")
    _engage(stack, next(events), "unsubscribed", scope="marketing", agent="human")
    _engage(stack, next(events), "complained")
    is_credited, buyers = _counts(stack, "takk_attributed_orders_total"), set[str]()

    def is_credited_after_purchase() -> bool:
        # Another customer each time: a customer with many later emails has forgotten the one that is clicked.
        for customer, event in _newest_emails(stack).items():
            if not is_credited() and customer not in buyers:
                buyers.add(customer)
                _order_after_click(stack, event)
                break
        return is_credited()

    wait_until(is_credited_after_purchase, "an order is attributed to an email")


def _newest_emails(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return the newest sent email of every customer, the newest of all first."""
    sent = [event for event in stack.records(topics.EVENTS) if event["outcome"] == "sent"]
    newest: dict[str, dict[str, Any]] = {}
    for event in sorted(sent, key=lambda event: event["occurred_at"], reverse=True):
        newest.setdefault(event["customer_id"], event)
    return newest


def _order_after_click(stack: Stack, event: dict[str, Any]) -> None:
    _engage(stack, event, "clicked", agent="human", link="https://shop.example/product")
    customer, later = event["customer_id"], datetime.now(UTC) + timedelta(milliseconds=50)
    order = records.order(order_id=f"o-{customer}", customer_id=customer, placed_at=later, occurred_at=later)
    stack.produce(topics.ORDERS, customer.encode(), order)


def _engage(stack: Stack, event: dict[str, Any], kind: str, **more: Any) -> None:
    record = records.engagement(
        kind, customer_id=event["customer_id"], send_id=event["send_id"], occurred_at=datetime.now(UTC), **more
    )
    stack.produce(topics.ENGAGEMENT, event["customer_id"].encode(), record)


def follow_links(stack: Stack) -> None:
    """Open, click and unsubscribe over HTTP, follow a link twice, and try one that is not valid."""
    keys = LinkKeys("shop", stack.env["TAKK_MAIL_SECRET"].encode())
    gateway, now = stack.gateways[0].public_url, datetime.now(UTC)
    event = next(iter(_newest_emails(stack).values()))

    def request(use: Use, target: str, body: bytes | None = None) -> None:
        token = keys.seal(use, event["customer_id"], event["send_id"], target, now)
        with _DIRECT.open(f"{gateway}/{use}/{token}", body, timeout=30):
            pass

    request("o", "")
    request("o", "")
    request("u", "marketing", b"List-Unsubscribe=One-Click")
    for use, target in (("c", f"{gateway}/nothing"), ("c", "")):
        with suppress(HTTPError):  # the target of the first is missing, the second is not valid
            request(use, target)


def fill_pool(stack: Stack) -> None:
    """Add three codes to the empty pool, one of them expired. The other customers continue to wait."""
    wait_until(_counts(stack, "takk_pool_claims"), "a customer waits for a code")
    now = datetime.now(UTC)
    for number, days in enumerate((-1, 9, 9)):
        code = records.discount_code(code=f"CODE-{number}", expires_at=now + timedelta(days=days))
        stack.produce(topics.CODES, b"spring-10", code)
    wait_until(_counts(stack, "takk_codes_granted_total"), "a code is granted")
    wait_until(_counts(stack, "takk_codes_expired_total"), "an expired code is dropped")


def _counts(stack: Stack, name: str) -> Callable[[], bool]:
    """Return a condition: a worker's metric is above 0."""
    return lambda: any(worker.metrics().get(name, 0.0) > 0 for worker in stack.workers)


def stop_mail_server(observed: ObservedStack) -> None:
    """Stop the mail server until a waiting email has been withdrawn, then start it again."""
    stack, customer, now = observed.stack, "c-waits", datetime.now(UTC)
    stack.inbox.stop()
    wait_until(lambda: is_above_0(observed, "takk_smtp_paused"), "the mailer pauses")
    facts = {"customer_id": customer, "order_id": "o-waits", "occurred_at": now}
    stack.produce(topics.ORDERS, customer.encode(), records.order(**facts, placed_at=now))
    stack.produce(topics.SHIPMENTS, customer.encode(), records.shipment(**facts, status="delivered"))
    wait_until(partial(_has_marketing_email, stack, customer), "a marketing email waits")
    unsubscription = records.engagement(
        "unsubscribed", customer_id=customer, send_id=None, scope="marketing", occurred_at=datetime.now(UTC)
    )
    stack.produce(topics.ENGAGEMENT, customer.encode(), unsubscription)
    wait_until(lambda: _of(stack, topics.WITHDRAWALS, customer) != [], "the email is withdrawn")
    stack.inbox.start()
    wait_until(lambda: not is_above_0(observed, "takk_smtp_paused"), "the mailer resumes")


def _has_marketing_email(stack: Stack, customer_id: str) -> bool:
    return any(command["purpose"] == "marketing" for command in _of(stack, topics.COMMANDS, customer_id))


def _of(stack: Stack, topic: str, customer_id: str) -> list[dict[str, Any]]:
    return [record for record in stack.records(topic) if record["customer_id"] == customer_id]


def restore_worker(stack: Stack) -> None:
    """Kill a worker, delete its disk, and start it again."""
    worker = stack.workers[1]
    worker.kill()
    shutil.rmtree(stack.state_dir(1))
    worker.start()
    worker.await_ready()
