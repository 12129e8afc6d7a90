"""`takk worker` and `takk mailer`."""

from __future__ import annotations

import click

from streams.tools.cli.options import (
    on_kafka,
    read_settings,
)


@click.command()
@click.option("--web-port", type=int, help="Port of /metrics, /livez and /readyz (0: a free one).")
def worker(web_port: int | None) -> None:
    """Run flows, timers, pools of codes, and count what sells.

    Start one, or as many as there are partitions (TAKK_PARTITIONS); they share the customers between them. Give each a name that it
    comes back with (TAKK_GROUP_INSTANCE_ID) and a disk that it keeps (TAKK_STATE_DIR), and a restart takes seconds. SIGTERM stops it
    cleanly.

    It answers on TAKK_WEB_HOST:TAKK_WEB_PORT: /livez (it runs), /readyz (it has its partitions), /metrics. On one machine each process
    needs a port of its own.
    """
    from streams.agents.worker import run_worker

    settings = read_settings(web_port=web_port)
    on_kafka(settings, lambda: run_worker(settings))


@click.command()
@click.option("--web-port", type=int, help="Port of /metrics, /livez and /readyz (0: a free one).")
def mailer(web_port: int | None) -> None:
    """Run the mailer: it hands each mail to the mail server, once.

    It reads the commands that the worker writes, renders and sends them. A mail server that is down pauses it; nothing is lost, and it
    goes on by itself. Needs SMTP_HOST, TAKK_MAIL_FROM, TAKK_MAIL_BASE_URL and TAKK_MAIL_SECRET. SIGTERM stops it cleanly.

    It answers as the worker does; on one machine each process needs a port of its own (--web-port).
    """
    from streams.agents.worker import run_mailer

    settings = read_settings(web_port=web_port)
    on_kafka(settings, lambda: run_mailer(settings))
