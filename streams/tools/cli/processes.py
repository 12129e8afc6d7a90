"""`takk worker`, `takk mailer` and `takk gateway`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from streams.runtime.collector import collect_less_often
from streams.tools.cli.options import check_registry, read_settings

if TYPE_CHECKING:
    from streams.agents.new_app import Accepted


def process_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a process to `command`."""
    for option in (
        click.option(
            "--take-over",
            is_flag=True,
            help="For one start: replace the installation that uses TAKK_APP_ID on this cluster by TAKK_INSTALLATION.",
        ),
        click.option(
            "--accept-offsets",
            is_flag=True,
            help="For one start: read from the group's committed offsets, even if the state contains others.",
        ),
        click.option(
            "--accept-changelog",
            is_flag=True,
            help="For one start: discard state on disk that does not fit its changelog topic, and restore it from the topic.",
        ),
        click.option(
            "--web-port",
            type=int,
            help="Port of /metrics, /livez and /readyz; 0 selects a free one. Default: TAKK_WEB_PORT.",
        ),
    ):
        command = option(command)
    return command


def accepted(changelog: bool, offsets: bool, take_over: bool) -> set[Accepted]:
    """Return what the options accept."""
    chosen: dict[Accepted, bool] = {"changelog": changelog, "offsets": offsets, "take-over": take_over}
    return {name for name, is_chosen in chosen.items() if is_chosen}


@click.command()
@process_options
def worker(web_port: int | None, accept_changelog: bool, accept_offsets: bool, take_over: bool) -> None:
    """Run a worker: flows, timers, code pools and sales counts.

    Run one worker, or up to one per partition (TAKK_PARTITIONS); they share the customers. A worker restarts within seconds if
    it has its own TAKK_GROUP_INSTANCE_ID, and keeps the disk of TAKK_STATE_DIR.

    The worker does not start while the flows contain errors. While Kafka is away, it waits. SIGTERM stops it cleanly. It serves /livez (it runs),
    /readyz (its partitions are assigned and restored) and /metrics on TAKK_WEB_HOST:TAKK_WEB_PORT. On one machine, give each process its own port.

    \b
    takk worker
    TAKK_GROUP_INSTANCE_ID=worker-2 TAKK_STATE_DIR=/var/lib/takk-2 takk worker --web-port 8082

    Exit codes: 0 stopped by SIGTERM, 1 the process could not start, or failed.
    """
    collect_less_often()
    from streams.agents.worker import run_worker

    settings = read_settings(web_port=web_port)
    check_registry(settings)
    run_worker(settings, accepted(accept_changelog, accept_offsets, take_over))


@click.command()
@process_options
def mailer(web_port: int | None, accept_changelog: bool, accept_offsets: bool, take_over: bool) -> None:
    """Run a mailer: render emails and send them over SMTP.

    It reads the commands that the workers write, and sends each email at most once; README.md names the one exception.
    While the mail server or Kafka is unavailable it pauses, and resumes automatically. Run any number of mailers.

    Needs SMTP_HOST, TAKK_MAIL_FROM, TAKK_MAIL_BASE_URL and TAKK_MAIL_SECRET; `takk doctor` checks them. SIGTERM stops it
    cleanly. It serves /livez, /readyz and /metrics like a worker.

    \b
    takk mailer --web-port 8081

    Exit codes: 0 stopped by SIGTERM, 1 the process could not start, or failed.
    """
    collect_less_often()
    from streams.agents.mailer_process import run_mailer

    settings = read_settings(web_port=web_port)
    check_registry(settings)
    run_mailer(settings, accepted(accept_changelog, accept_offsets, take_over))


@click.command()
@click.option(
    "--take-over",
    is_flag=True,
    help="For one start: replace the installation that uses TAKK_APP_ID on this cluster by TAKK_INSTALLATION.",
)
@click.option(
    "--port", type=int, help="Port for customers' requests; 0 selects a free one. Default: TAKK_GATEWAY_PORT."
)
@click.option("--host", help="Address for customers' requests. Default: TAKK_GATEWAY_HOST.")
@click.option(
    "--web-port", type=int, help="Port of /metrics, /livez and /readyz; 0 selects a free one. Default: TAKK_WEB_PORT."
)
def gateway(web_port: int | None, host: str | None, port: int | None, take_over: bool) -> None:
    """Run a gateway: the links of emails, and the pages behind them.

    It listens on TAKK_GATEWAY_HOST:TAKK_GATEWAY_PORT. Put it behind your HTTPS proxy, under the address of TAKK_MAIL_BASE_URL,
    and list the proxy in TAKK_GATEWAY_TRUSTED_PROXIES. It needs the TAKK_MAIL_SECRET and TAKK_SHOP_ID of the mailer.

    A request is answered once Kafka has its record. While Kafka is away, the records go to a spool on the disk of TAKK_STATE_DIR,
    and are published in order when it returns. Run any number of gateways, each with its own TAKK_GROUP_INSTANCE_ID and disk. A gateway
    with the same name and disk publishes what its predecessor left.

    SIGTERM stops it cleanly: requests are answered, and the spool stays. It serves /livez, /readyz and /metrics like a worker; keep
    that port internal.

    \b
    takk gateway --web-port 8083
    curl -i http://localhost:8000/u/not-a-token        404: only links of your own emails work

    Exit codes: 0 stopped by SIGTERM, 1 the process could not start, or failed.
    """
    collect_less_often()
    try:
        from streams.gateway.process import run_gateway
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"this installation does not have the package {error.name}, which gateways need. Install the extra takk[gateway]"
        ) from error
    settings = read_settings(web_port=web_port, gateway_host=host, gateway_port=port)
    run_gateway(settings, take_over)
