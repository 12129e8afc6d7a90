"""`takk import`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.tools.cli.options import on_kafka, read_settings, show_progress

if TYPE_CHECKING:
    from streams.tools.operations.importing.importer import Importer, Outcome


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--kind",
    required=True,
    type=click.Choice(("orders", "shipments", "customers", "products")),
    help="The kind of the rows.",
)
@click.option(
    "--mapping",
    "mapping_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A YAML file that says which column is which field.",
)
@click.option("--dry-run", is_flag=True, help="Check every row, and publish nothing.")
@click.option("--restart", is_flag=True, help="Publish all rows again, also those of an earlier run.")
@click.option("--encoding", default="utf-8-sig", show_default=True, help="Encoding of CSV and JSON files.")
@click.pass_context
def import_(
    context: click.Context,
    files: tuple[Path, ...],
    kind: str,
    mapping_file: Path | None,
    dry_run: bool,
    restart: bool,
    encoding: str,
) -> None:
    """Import history, without mailing anybody about it.

    FILE is a CSV file with a header (.csv, .tsv), JSON Lines (.jsonl, .ndjson) or an Avro container file (.avro). The rows are
    published on the topics that Takk reads, marked as imported: they update customers, totals and segments, and start no flow.
    Import customers first, then orders, then shipments.

    \b
    Columns have the names of the fields in schemas/. In addition:
      total, discount    amounts in major units (129.50), in place of total_minor and discount_minor
      placed_at          and paid_at, cancelled_at, refunded_at: one record for each time that a row has
      shipped_at         and delivered_at, returned_at: the same for shipments
      attributes.size    and any other name after attributes., dates. or external_ids.: one value of the customer
      lines              a list in JSON: [{"sku": "s1", "title": "Tea", "quantity": 2, "unit_price_minor": 4900}]

    \b
    A mapping file names other columns:
      fields:
        order_id: Name                                     # the column Name
        total_minor: {column: Total, decimal: "."}         # 129.50 becomes 12950
        placed_at: {column: Created at, format: "%Y-%m-%d %H:%M:%S %z"}
        kind: {column: Status, values: {paid: placed, voided: cancelled}}
        customer_id: {column: Email}
        country: {value: DK}                               # the same for all rows
        attributes.shoe_size: Shoe size
        dates.wedding: {column: Wedding, format: "%d.%m.%Y"}
      lines:                                               # if each line of an order has a row of its own
        sku: Lineitem sku
        quantity: Lineitem quantity
        unit_price_minor: {column: Lineitem price, decimal: "."}

    For customers whose earlier orders you do not import, write history (complete or partial), orders_before and
    spend_before into the rows of --kind customers: then nobody is thanked for a "first order" that is not the first.

    A row without customer_id, or with the id 0, is a guest's: its customer id is derived from the column email with
    TAKK_ADDRESS_SECRET, the same in orders, shipments and customers.

    Invalid rows are left out and written to FILE.errors.jsonl with the reason. An import that was interrupted continues
    where it stopped (FILE.import.json), and a row that is published twice counts once.

    \b
    takk import customers.csv --kind customers --dry-run
    takk import orders.csv --kind orders --mapping shopify.yaml

    Exit codes: 0 all rows are valid, 1 some are invalid, a file is not readable, or Kafka does not answer, 2 invalid options.
    """
    from datetime import UTC, datetime

    from streams.runtime.avro.schemas import load_schemas
    from streams.tools.operations.importing.importer import Importer, NoSink, Sink
    from streams.tools.operations.importing.kafka_sink import KafkaSink
    from streams.tools.operations.importing.mapping import ImportMapping, read_mapping
    from streams.tools.operations.importing.records import KINDS, RecordBuilder
    from streams.tools.operations.importing.rows import ImportFailed
    from streams.wire.codec import codec_of, open_codec

    try:
        "".encode(encoding)
    except LookupError as error:
        raise click.UsageError(f"--encoding: unknown encoding {encoding!r}") from error
    settings = read_settings()
    codec = open_codec(schemas=settings.schemas_dir) if dry_run else on_kafka(settings, lambda: codec_of(settings))
    schema = load_schemas(settings.schemas_dir)[KINDS[kind].schema]
    builder = RecordBuilder(
        kind, schema, ImportMapping(), settings.shop_currency, codec, datetime.now(UTC), settings.guest_key
    )
    ok = True
    try:
        text = ""
        if mapping_file is not None:
            builder = builder.with_mapping(
                read_mapping(mapping_file, builder.fields, builder.line_fields, builder.maps)
            )
            text = mapping_file.read_text(encoding="utf-8")
        for path in files:
            sink: Sink = NoSink() if dry_run else KafkaSink(settings, codec, KINDS[kind].schema)
            importer = Importer(
                path,
                builder,
                sink,
                encoding=encoding,
                is_dry_run=dry_run,
                mapping_text=text,
                on_progress=show_progress("imported" if not dry_run else "checked", "bytes"),
            )
            outcome = importer.run(restart=restart) if dry_run else on_kafka(settings, _running(importer, restart))
            for line in _report(importer, outcome, dry_run=dry_run):
                click.echo(line)
            ok = ok and not outcome.progress.invalid
    except ImportFailed as error:
        raise click.ClickException(str(error)) from error
    context.exit(0 if ok else 1)


def _running(importer: Importer, restart: bool) -> Callable[[], Outcome]:
    return lambda: importer.run(restart=restart)


def _report(importer: Importer, outcome: Outcome, *, dry_run: bool) -> Iterator[str]:
    """Yield what a person should know after the import of a file."""
    from streams.core.values.text import counted, plain

    progress, name = outcome.progress, importer.path.name
    if outcome.resumed_at and outcome.resumed_at == progress.rows:
        yield f"{name}: all {counted(progress.rows, 'row')} were imported before. To publish them again, use --restart."
        return
    if outcome.resumed_at:
        yield f"{name}: continued after row {outcome.resumed_at:,}."
    verb = "would be published" if dry_run else "published"
    yield f"{name}: {counted(progress.rows, 'row')}, {counted(progress.records, 'record')} {verb}, {counted(progress.invalid, 'invalid row')}."
    if outcome.oldest is not None and outcome.newest is not None:
        yield f"  events from {outcome.oldest:%Y-%m-%d} to {outcome.newest:%Y-%m-%d}"
    if outcome.unused:
        yield f"  unused columns: {', '.join(plain(column) for column in outcome.unused)}"
    for reason, count in outcome.reasons.most_common():
        yield f"  {counted(count, 'row')}: {reason}"
    if progress.invalid:
        yield f"  see {importer.errors_path}"
