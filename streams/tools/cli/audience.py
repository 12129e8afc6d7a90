"""`takk flows audience`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from streams.tools.cli.options import on_kafka, read_settings, show_progress, templates_dir_option


@click.command("audience")
@click.argument("name", metavar="FLOW")
@templates_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def flows_audience(name: str, templates_dir: Path | None, as_json: bool) -> None:
    """Count the customers for whom a campaign or a backfill would start.

    A dry run: the command reads the state of all customers from Kafka, changes nothing and sends nothing. FLOW starts on `date`,
    `segment.entered` or `customer.reached`, and need not be live or ask for a backfill yet. A campaign that is still to come is counted
    as if its moment were now reached by the customers as they are. Consent, caps, `where` and `exit_on` are not evaluated: they are
    decided for each email.

    \b
    takk flows audience winter-sale
    takk flows audience lapsed --templates my-templates

    Exit codes: 0 success, 1 the flow is unknown or has no audience, the flows contain errors, or Kafka does not answer.
    """
    from msgspec import to_builtins

    from streams.core.values.text import counted
    from streams.definitions.loader import load_ruleset
    from streams.definitions.problems import FlowFileError
    from streams.tools.operations.audience import NoAudience, audience_of
    from streams.tools.operations.customer_states import read_customers

    settings = read_settings(templates_dir=templates_dir)
    try:
        ruleset = load_ruleset(settings.templates_dir, **settings.ruleset_options())
        audience_of(ruleset, name, (), datetime.now(UTC))  # before all states are read
        states = on_kafka(settings, lambda: read_customers(settings, show_progress()))
        audience = audience_of(ruleset, name, states, datetime.now(UTC))
    except FlowFileError as error:
        raise click.ClickException(f"the flows contain errors:\n{error}") from error
    except NoAudience as error:
        raise click.ClickException(f"{error}.") from error
    if as_json:
        click.echo(json.dumps(to_builtins(audience)))
    else:
        click.echo(f"{name} would start for {audience.starts:,} of {counted(audience.customers, 'customer')}.")
