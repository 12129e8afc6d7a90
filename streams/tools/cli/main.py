"""The command `takk`. Each command imports what it needs when it runs, so that the help answers at once."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType
from typing import Any

import click

from streams.observability.log_filter import without_secrets
from streams.tools.cli import (
    api_keys,
    flows,
    importing,
    local,
    operations,
    people,
    preview,
    processes,
    schemas,
    simulate,
    story,
    templates,
    topics,
)


class _Masked(click.Group):
    """A group whose error messages contain no secret of the settings."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and mask what it raises."""
        sys.excepthook = _print_masked
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            error.message = without_secrets(error.message)
            raise
        except SystemExit as stop:
            if isinstance(stop.code, str):
                stop.code = without_secrets(stop.code)
            raise


def _print_masked(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    sys.stderr.write(without_secrets("".join(traceback.format_exception(kind, error, frames))))


@click.group(cls=_Masked, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="takk", prog_name="takk")
def main() -> None:
    """Takk sends a shop's emails after a purchase.

    It reads orders, shipments and engagement from Kafka. Flows (templates/flows/) decide which customer receives which
    email, and when. A worker runs the flows, and a mailer sends each email over SMTP.

    \b
    Try it:          takk demo --for 60
    On your Kafka:   export KAFKA_BOOTSTRAP_SERVERS=broker:9092 SMTP_HOST=mail SMTP_PORT=587 SMTP_TLS=starttls
                     takk doctor                  check the configuration
                     takk topics create           create the topics
                     takk import orders.csv --kind orders   import past orders, without mailing anybody
                     takk worker                  run the flows
                     takk mailer --web-port 8081  send the emails
                     takk gateway --web-port 8083 answer the links of the emails
    Write flows:     takk templates init shop     start a templates folder of your own
                     takk preview                 see the emails while you edit them
                     takk flows check             list errors, with file, line and a hint
                     takk flows explain EVENT     which flows an event would start, and why the others would not
                     takk story first-time        the emails of an invented customer over 60 days, and why
                     takk simulate --from topic   simulate the flows on past orders
    Look back:       takk why CUSTOMER            which emails a customer received or missed, and why

    Settings come from environment variables. `takk settings` lists them; deploy/SETTINGS.md explains them.

    Exit codes: 0 success, 1 failure, 2 invalid options.
    """


for command in (
    local.demo,
    local.kafka,
    local.shop,
    processes.worker,
    processes.mailer,
    processes.gateway,
    topics.topics,
    api_keys.api_key,
    schemas.schemas,
    flows.flows,
    preview.preview,
    story.story,
    templates.templates,
    simulate.simulate,
    importing.import_,
    operations.why,
    operations.resend,
    people.export,
    people.forget,
    people.requests,
    operations.dead_letters,
    operations.doctor,
    operations.settings,
):
    main.add_command(command)
