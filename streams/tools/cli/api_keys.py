"""`takk api-key`."""

from __future__ import annotations

import click

#: As `streams.gateway.api.keys.ROLES`, which is imported when the command runs.
_ROLES = ("orders", "shipments", "customers", "products", "events", "admin")


@click.group("api-key")
def api_key() -> None:
    """Create keys for the JSON API of the gateway."""


@api_key.command("create")
@click.option(
    "--role",
    "roles",
    type=click.Choice(_ROLES),
    required=True,
    multiple=True,
    help="The records that the key may send; admin: all. Repeatable.",
)
@click.option("--shop", default="", help="Let the key write orders of this shop only: the shop_id of its orders.")
@click.option("--name", default="", help="A name for people, such as checkout.")
def create(roles: tuple[str, ...], shop: str, name: str) -> None:
    """Create an API key, and print it once.

    The second line of the output belongs into the file that TAKK_GATEWAY_API_KEYS_FILE names. It contains a hash, from which the
    key cannot be computed. The gateway reads the file again when it changes: to withdraw a key, delete its line.

    \b
    takk api-key create --role orders --role shipments --name checkout
    curl -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d @order.json http://localhost:8000/v1/orders
    """
    from streams.gateway.api.keys import MAX_TEXT, create_key, file_line

    for option, value in (("--shop", shop), ("--name", name)):
        if len(value) > MAX_TEXT or not value.isprintable():
            raise click.UsageError(f"{option} has more than {MAX_TEXT} characters, or a line break")
    text, key = create_key(roles, shop, name)
    click.echo(text)
    click.echo(file_line(key))
    click.echo(
        "The first line is the key: it is shown only now. Put the second line into the file of API keys.", err=True
    )
