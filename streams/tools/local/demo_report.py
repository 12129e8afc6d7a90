"""The end of a demo: compares the inbox with a recomputation, accounts for every order, and prints the summary."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streams.core.values.text import counted
from streams.definitions.loader import load_ruleset
from streams.mail.tokens import LinkKeys
from streams.runtime.avro.codec import Codec
from streams.runtime.avro.framing import DecodeFailed
from streams.settings import Settings
from streams.tools.local.api_client import ApiClient
from streams.tools.local.gateway_summary import gateway_lines, problems_of, summarize_gateway
from streams.tools.local.inbox.server import Inbox
from streams.tools.local.kafka.committed import read_all
from streams.tools.local.oracle import judge
from streams.tools.local.progress import CONFIRMATION, FINAL
from streams.tools.local.recipients.email_events import SentEmails
from streams.tools.local.recipients.readers import Readers
from streams.tools.operations.rule_texts import RULES
from streams.tools.simulation.history import TOPICS, write_file
from streams.wire import topics

#: Flows that the progress shows: those with the most emails. More would not fit on a screen.
SHOWN_FLOWS = 16
#: Timers that were due less than this before the end may not have fired yet. On a busy machine the worker is further behind: by some
#: times the delay of the slowest confirmations.
TIMER_GRACE_MS, GRACE_DELAYS = 5_000, 5


def summarize(
    settings: Settings,
    codec: Codec,
    inbox: Inbox,
    sent: SentEmails,
    placed: int,
    stopped_ms: int,
    directory: Path,
    imported: int,
    readers: Readers,
    keys: LinkKeys,
    api: ApiClient,
) -> dict[str, Any]:
    """Return the summary of a demo, and write the shop's history as Avro files to `directory`.

    Args:
        settings: the connection to the cluster, and the flows.
        codec: decodes the records.
        inbox: the emails that arrived.
        sent: the emails that were sent.
        placed: number of orders that the shop placed.
        stopped_ms: when the worker was stopped, in ms since 1970.
        directory: receives one file per topic.
        imported: number of orders that were imported.
        readers: the recipients.
        keys: open the links of the emails.
        api: the client of the JSON API.
    """
    records = read_all(settings.kafka(), topics.SCHEMA_OF)
    ruleset = load_ruleset(settings.templates_dir, **settings.ruleset_options())
    arrived = Counter(email.send_id for email in inbox.mails())
    p50, p99 = quantiles(sent.delays_s)
    until_ms = stopped_ms - TIMER_GRACE_MS - round(GRACE_DELAYS * p99 * 1000)
    verdict = judge(records, ruleset, codec, arrived, settings.partitions, until_ms, is_cut_short=True)
    decoded = {
        topic: _decodable(codec, topic, records[topic]) for topic in (*TOPICS, topics.DECISIONS, topics.DEAD_LETTERS)
    }
    for topic in TOPICS:
        write_file(directory / f"{topic}.avro", topic, decoded[topic])
    placements = [order for order in decoded[topics.ORDERS] if order["kind"] == "placed"]
    orders = [order["order_id"] for order in placements if not order["is_imported"]]
    events = _decodable(codec, topics.EVENTS, records[topics.EVENTS])
    confirmed = _confirmed(events)
    mailed = {order["order_id"] for order in placements if order["is_imported"]} & {e["order_id"] for e in events}
    verdict.add_problem("emails about imported orders", sorted(mailed))
    gateway = summarize_gateway(records, codec, readers.actions, keys, api.identities)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "orders": placed,
        "imported": imported,
        "imported_customers": len({order["customer_id"] for order in placements if order["is_imported"]}),
        "imported_mailed": len(mailed),
        "orders_by_result": account_for_orders(orders, confirmed, decoded[topics.DECISIONS], placed),
        "mails": sum(arrived.values()),
        "mails_by_flow": dict(sorted(sent.by_flow.items())),
        "expected": len(verdict.sends),
        "lost": len(verdict.lost),
        "duplicates": len(verdict.duplicates),
        "waiting": len(verdict.waiting),
        "unknown": len(verdict.unknown),
        "dead_letters": len(records[topics.DEAD_LETTERS]),
        "dead_letters_by_reason": dict(Counter(letter["reason"] for letter in decoded[topics.DEAD_LETTERS])),
        "decisions": len(records[topics.DECISIONS]),
        "order_to_mail_p50_s": round(p50, 4),
        "order_to_mail_p99_s": round(p99, 4),
        "gateway": gateway,
        "api_records": api.accepted,
        "problems": [*verdict.problems, *problems_of(gateway)],
        "day": f"{settings.day_scale_seconds:g}s",
    }


def account_for_orders(
    orders: Iterable[str], confirmed: Iterable[str], decisions: Iterable[Mapping[str, Any]], placed: int
) -> dict[str, int]:
    """Return what became of the orders: the result in words, and the number of orders. The numbers add up to `placed`.

    Args:
        orders: ids of the orders on the topic.
        confirmed: ids of the orders whose confirmation was sent.
        decisions: decisions of the flows agent and the mailer, in any order.
        placed: number of orders that the shop placed.
    """
    newest: dict[str, Mapping[str, Any]] = {}
    for decision in sorted(decisions, key=lambda decision: decision["decided_at"]):
        if decision["flow"] == CONFIRMATION and decision["order_id"]:
            newest[decision["order_id"]] = decision
    ids, confirmed_ids = set(orders), set(confirmed)
    results = Counter({"confirmed by email": 0})
    for order_id in ids:
        results["confirmed by email" if order_id in confirmed_ids else _reason(newest.get(order_id))] += 1
    if placed > len(ids):
        results["not written to Kafka"] = placed - len(ids)
    return dict(results)


def _reason(decision: Mapping[str, Any] | None) -> str:
    """Return why an order is not confirmed, from the newest decision of its confirmation."""
    if decision is None:
        return "not confirmed: no flow has handled the order yet"
    if decision["outcome"] in FINAL or decision["outcome"] == "defer":
        return f"not confirmed: {RULES.get(decision['rule'], decision['rule'])}"
    return "not confirmed: the email was still on its way when the demo ended"


def _confirmed(events: Iterable[Mapping[str, Any]]) -> set[str]:
    return {event["order_id"] for event in events if event["flow"] == CONFIRMATION and event["outcome"] == "sent"}


def _decodable(codec: Codec, topic: str, records: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the valid records; invalid ones are in the dead letters."""
    decoded = []
    for record in records:
        with suppress(DecodeFailed):
            decoded.append(codec.decode(topics.SCHEMA_OF[topic], record.value() or b""))
    return decoded


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile; 0 without values."""
    if len(values) < 2:
        return (values[0], values[0]) if values else (0.0, 0.0)
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def most_frequent(by_flow: Mapping[str, int], most: int = SHOWN_FLOWS) -> list[tuple[str, int]]:
    """Return the flows with the most emails and their numbers, and at last the number of emails of all others, if there are others."""
    flows = sorted(by_flow.items(), key=lambda item: (-item[1], item[0]))
    others = flows[most:]
    return [*flows[:most], *([(f"{len(others)} other flows", sum(count for _, count in others))] if others else [])]


def report(summary: Mapping[str, Any], directory: Path, takk: str = "takk") -> list[str]:
    """Return the lines that end the demo: problems, emails, errors, files, and at last what became of every order.

    Args:
        summary: as `summarize` returns it.
        directory: the directory of the demo.
        takk: how to call the command.
    """
    results = summary["orders_by_result"]
    is_late = any(result.endswith((RULES["not_after"], RULES["expired"])) for result in results)
    by_flow = summary["mails_by_flow"]
    flows = ", ".join(f"{count} {flow}" for flow, count in most_frequent(by_flow, len(by_flow)))
    p50, p99 = summary["order_to_mail_p50_s"] * 1000, summary["order_to_mail_p99_s"] * 1000
    return [
        *(f"problem: {problem}" for problem in summary["problems"]),
        f"emails   {summary['mails']} of {counted(len(by_flow), 'flow')}: {flows}",
        f"delay    order to confirmation: median {p50:.0f} ms, 99th percentile {p99:.0f} ms",
        f"errors   lost={summary['lost']} duplicates={summary['duplicates']} dead_letters={summary['dead_letters']}"
        " (compared with a recomputation of every decision)",
        *gateway_lines(summary["gateway"], summary["api_records"]),
        f"files    {directory}: summary.json, worker.log, mailer.log, gateway.log, inbox.jsonl and history/",
        "next     simulate these orders without the review flow:",
        f"         DAY={summary['day']} {takk} simulate --flow review@off $(printf ' --from %s' {directory}/history/*.avro)",
        *_imported(summary),
        f"orders   {counted(summary['orders'], 'order')} placed:",
        *(f"         {count:>5} {result}" for result, count in results.items()),
        *(
            [
                f"         (one day takes {summary['day']} here, so an email that is valid for 2 days expires within seconds)"
            ]
            * is_late
        ),
    ]


def _imported(summary: Mapping[str, Any]) -> list[str]:
    """Return what became of the imported orders, if there are any."""
    if not summary.get("imported"):
        return []
    return [
        f"import   {counted(summary['imported'], 'earlier order')} of {counted(summary['imported_customers'], 'customer')} imported:",
        f"         {summary['imported'] - summary['imported_mailed']:>5} counted for their customers, without an email",
        *[f"         {summary['imported_mailed']:>5} with an email, which is an error"]
        * bool(summary["imported_mailed"]),
    ]
