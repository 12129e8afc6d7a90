"""The command `takk`. Each command imports what it needs when it runs, so that the help answers at once."""

from __future__ import annotations

import click

from streams.tools.cli import flows, local, operations, processes, simulate, topics


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="takk", prog_name="takk")
def main() -> None:
    """Takk runs the mail a shop owes its customers after a purchase.

    Orders, shipments and what customers do with their mail come in on Kafka; flows (templates/flows/) decide who
    gets which mail when; a mailer sends them over SMTP, each once.

    \b
    Try it:          takk demo --for 60
    On your Kafka:   export KAFKA_BOOTSTRAP_SERVERS=broker:9092 SMTP_HOST=mail SMTP_PORT=587 SMTP_TLS=starttls
                     takk doctor                  what is missing, and what to do
                     takk topics create           make the topics
                     takk worker                  run it: flows and timers
                     takk mailer --web-port 8081  and the mails; any number of each
    Write flows:     takk flows check             mistakes, with file, line and what would be right
                     takk simulate --from topic   what they would have sent, from what happened
    Look back:       takk why CUSTOMER            what a customer got, what not, and by which rule

    All settings come from the environment: `takk settings` lists them, README.md explains them.
    """


for command in (
    local.demo,
    local.kafka,
    processes.worker,
    processes.mailer,
    topics.topics,
    flows.flows,
    simulate.simulate,
    operations.why,
    operations.dead_letters,
    operations.doctor,
    operations.settings,
):
    main.add_command(command)
