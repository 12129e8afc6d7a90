"""`takk flows explain`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from streams.tools.cli.options import on_kafka, read_settings, show_progress, templates_dir_option


@click.command("explain")
@click.argument("event", metavar="EVENT")
@click.option("--customer", help="Id of a customer of the running stack. Default: a new customer.")
@click.option(
    "--endpoint",
    type=click.Choice(("orders", "shipments", "events", "customers")),
    help="Endpoint of the API that EVENT is for. Default: judged by its fields.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@templates_dir_option
def flows_explain(
    event: str, customer: str | None, endpoint: str | None, as_json: bool, templates_dir: Path | None
) -> None:
    """Explain what an event would do to each flow, and why.

    EVENT is a record in JSON as the API takes it, or the name of a file with one; - reads the standard input. Without `customer_id` it
    is about the customer.

    With --customer, the command reads the customer's state from Kafka. Otherwise the customer is new, and it needs no Kafka. It
    changes nothing and sends nothing. The event counts as received now, so a flow does not start by one that is too old for it.

    Each flow that starts, continues or ends is printed with its decisions, what it waits for, and its next email. Each other flow is
    printed with the first reason: another trigger, a condition that is false with the values of its names, or an earlier start. The
    values may be personal data.

    \b
    takk flows explain order.json
    takk flows explain order.json --customer c1042
    takk flows explain '{"kind": "unsubscribed", "scope": "marketing", "occurred_at": "2026-03-02T09:00:00Z"}' --customer c1042

    Exit codes: 0 success, 1 the event or the flows contain errors, the customer is unknown, or Kafka does not answer.
    """
    from msgspec import to_builtins

    from streams.core.model.customer import new_customer
    from streams.definitions.loader import load_ruleset
    from streams.definitions.problems import FlowFileError
    from streams.tools.operations.customer_states import find_customer
    from streams.tools.operations.event_records import EventError, read_event
    from streams.tools.operations.explanation import explain, format_explanation

    settings, now = read_settings(templates_dir=templates_dir), datetime.now(UTC)
    try:
        ruleset = load_ruleset(settings.templates_dir, **settings.ruleset_options())
        read = read_event(_text_of(event), customer, settings.schemas_dir, now, endpoint or "")
    except FlowFileError as error:
        raise click.ClickException(f"the flows contain errors:\n{error}") from error
    except EventError as error:
        raise click.ClickException(f"the event is invalid:\n{error}") from error
    state = new_customer(read.customer_id)
    if customer is not None:
        found = on_kafka(settings, lambda: find_customer(settings, customer, show_progress()))
        if found is None:
            raise click.ClickException(
                f"no state of customer {customer!r} in {settings.app_id}. Use the customer id of the orders, or leave --customer out."
            )
        state = found
    explanation = explain(ruleset, state, read, now)
    click.echo(json.dumps(to_builtins(explanation)) if as_json else "\n".join(format_explanation(explanation)))


def _text_of(event: str) -> bytes:
    """Return the record that the argument is or names.

    Raises:
        click.ClickException: there is no such file, or it cannot be read.
    """
    if event.lstrip().startswith("{"):
        return event.encode()
    try:
        with click.open_file(event, "rb") as file:
            return bytes(file.read())
    except OSError as error:
        raise click.ClickException(f"cannot read {event}: {error.strerror}") from error
