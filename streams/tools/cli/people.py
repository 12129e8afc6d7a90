"""`takk export` and `takk forget`: what is known of a customer, and its erasure."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from streams.tools.cli.options import on_kafka, read_settings, show_progress, writing


@click.command()
@click.argument("customer")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file, which only you can read."
)
def export(customer: str, out: Path | None) -> None:
    """Print everything that is known of a customer, as JSON.

    CUSTOMER is the customer id of the orders. The output has the state, the timers, the entries of the send ledger, the
    records of every topic, and the dead letters. It contains personal data: use --out rather than a terminal whose
    output is recorded. deploy/RETENTION.md says what each topic keeps, and for how long.

    The command reads the customer's partition of every topic, and all of code-claims and dead-letters. It changes nothing.
    Opens, clicks and answers are under the topic email-engagement.

    \b
    takk export c1042 --out c1042.json

    Exit codes: 0 success, 1 nothing is known of the customer, the file cannot be written, or Kafka does not answer.
    """
    from streams.tools.operations.customer_export import is_empty, read_export

    settings = read_settings()
    found = on_kafka(settings, lambda: read_export(settings, customer, datetime.now(UTC), show_progress()))
    if is_empty(found):
        raise click.ClickException(
            f"nothing is known of customer {customer!r} in {settings.app_id}. Use the customer id of the orders."
        )
    text = json.dumps(found, indent=2, ensure_ascii=False)
    if out is None:
        click.echo(text)
        return
    with writing(out):
        write_private(out, text + "\n")
    click.echo(f"Written to {out}.")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read. An existing file loses its content and the rights of others first."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(file, "w", encoding="utf-8") as opened:
        os.fchmod(file, 0o600)
        opened.write(text)


@click.command()
@click.argument("customers", nargs=-1, required=True, metavar="CUSTOMER...")
@click.option("--dry-run", is_flag=True, help="Only show what would be erased.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def forget(customers: tuple[str, ...], dry_run: bool, yes: bool) -> None:
    """Erase customers.

    CUSTOMER is the customer id of the orders. The command publishes a record without a value on the topic customers, as your
    shop can do itself. A worker then deletes the customer's state and timers, ends all flows, and withdraws every email
    that has not left, order confirmations too. This cannot be undone.

    The decision `erased` stays, and so do the scopes of an unsubscription, so that a later record does not start
    marketing again. Records on topics that Kafka deletes by time wait for their retention. deploy/RETENTION.md has the
    table. Records that arrive later are new data: stop the source first.

    If the customer was merged with others (`merged_into`), all ids of the person are erased.

    \b
    takk export c1042 --out c1042.json    what is known
    takk forget c1042 --dry-run           what the state has
    takk forget c1042                     erase it
    takk export c1042                     what waits for its retention

    Exit codes: 0 success, 1 an id is invalid, the confirmation is refused, or Kafka does not answer, 2 no customer is named.
    """
    from streams.core.values.text import counted
    from streams.tools.operations.customer_erasure import check_ids, look_up
    from streams.tools.operations.customer_erasure import forget as publish
    from streams.wire.validation import ValidationFailed

    try:
        check_ids(customers)
    except ValidationFailed as error:
        raise click.ClickException(f"invalid customer id: {error.detail}. Nothing was published.") from error
    settings = read_settings()
    found = on_kafka(settings, lambda: look_up(settings, customers, show_progress()))
    for known in found:
        click.echo(str(known))
    erased = [known.customer_id for known in found]
    count = counted(len(erased), "customer")
    if dry_run:
        click.echo(f"{count} would be erased.")
        return
    if not yes:
        click.confirm(f"Erase {count}? This cannot be undone.", abort=True)
    on_kafka(settings, lambda: publish(settings, erased))
    click.echo(
        f"{count} to be erased: a worker does it within seconds. deploy/RETENTION.md says what waits for its retention."
    )


@click.command()
@click.option(
    "--done", "done", multiple=True, metavar="REQUEST", help="Mark a request as done, by its id. Repeat it for several."
)
def requests(done: tuple[str, ...]) -> None:
    """List what customers asked for, confirmed, and still wait for.

    Customers ask for their data, an erasure or another address on the pages of the gateway, and confirm it by the link of an
    email. A worker erases, or changes the address, within seconds. The rest is yours: to send the data, and to do the same in your
    other systems. The law gives you a month (GDPR, article 12). The oldest request comes first.

    \b
    takk requests                                     what is open
    takk requests --done export-0f3c0f3c0f3c0f3c      mark it as done

    Exit codes: 0 success, 1 a request is not open, or Kafka does not answer.
    """
    from streams.tools.operations.customer_requests import mark_done, read_requests

    settings, now = read_settings(), datetime.now(UTC)
    found = on_kafka(settings, lambda: read_requests(settings, show_progress()))
    if not done:
        for request in found:
            click.echo(request.text(now))
        click.echo(f"{len(found)} open.")
        return
    chosen = [request for request in found if request.request_id in done]
    unknown = sorted(set(done) - {request.request_id for request in chosen})
    if unknown:
        raise click.ClickException(
            f"not open: {', '.join(unknown)}. Nothing was marked. `takk requests` lists the ids."
        )
    on_kafka(settings, lambda: mark_done(settings, chosen, now))
    click.echo(f"{len(chosen)} marked as done.")
