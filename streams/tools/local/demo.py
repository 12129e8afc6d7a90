"""The demo: Kafka, a shop, a worker, a mailer, a gateway, an inbox and its readers on this machine; at the end all of it is checked."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console
from rich.live import Live
from rich.table import Table

from streams.gateway.api.keys import ADMIN, create_key, file_line
from streams.mail.tokens import LinkKeys
from streams.runtime.avro.codec import Codec
from streams.settings import Settings
from streams.tools.local.api_client import ApiClient
from streams.tools.local.closing import close
from streams.tools.local.demo_report import most_frequent, quantiles, report, summarize
from streams.tools.local.inbox.server import Inbox
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.tools.local.kafka.jars import classpath
from streams.tools.local.live_shop import open_shop
from streams.tools.local.past import CUSTOMERS, import_past, write_past
from streams.tools.local.processes import Process
from streams.tools.local.progress import ProgressReader
from streams.tools.local.recipients.email_events import EmailEvents, SentEmails
from streams.tools.local.recipients.readers import Readers
from streams.tools.local.shop.shop import Shop
from streams.tools.operations.customer_records import read_timeline
from streams.tools.operations.timeline_text import format_timeline
from streams.wire import topics
from streams.wire.codec import codec_of

#: Directory of the summary, the logs and the state. Each demo starts with an empty one.
DEMO_DIR = Path(".takk/demo")
#: Seconds to wait until the worker has read the import.
IMPORT_TIMEOUT_S = 60.0


def run(settings: Settings, *, seconds: float | None, rate: float, seed: int = 7) -> int:
    """Run the demo and return the exit code: 1 if an email or an action of a recipient is missing, or happened twice.

    Args:
        settings: the flows, and the length of a day.
        seconds: how long the shop is open; None until Ctrl-C.
        rate: orders per second.
        seed: selects the customers, the orders and the reactions.

    Raises:
        KafkaStartError: Kafka cannot be downloaded, or did not start.
        ProcessFailed: the worker, the mailer or the gateway did not start.
    """
    console = Console(stderr=False, highlight=False, soft_wrap=True)
    shutil.rmtree(DEMO_DIR, ignore_errors=True)
    DEMO_DIR.mkdir(parents=True)
    started = time.monotonic()
    with ExitStack() as stack:
        classpath()  # may download Kafka, and prints that
        console.print("starting Kafka, the inbox, the worker, the mailer and the gateway (about 15 seconds) ...")
        kafka = stack.enter_context(EmbeddedKafka())
        inbox = stack.enter_context(Inbox(journal=DEMO_DIR / "inbox.jsonl"))
        address_secret, mail_secret = (SecretStr(secrets.token_urlsafe(32)) for _ in range(2))
        env = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(inbox.smtp_port),
            "TAKK_STATE_DIR": str(DEMO_DIR / "state"),
            "TAKK_MAIL_SECRET": mail_secret.get_secret_value(),
            "TAKK_ADDRESS_SECRET": address_secret.get_secret_value(),
            "TAKK_GROUP_INSTANCE_ID": "demo",
            "TAKK_GATEWAY_TRUSTED_PROXIES": "127.0.0.1",  # each recipient has a network address of their own
            "DAY": str(settings.day_scale_seconds),
        }
        keys = {"address_secret": address_secret, "mail_secret": mail_secret}
        ours = settings.model_copy(update={"kafka_bootstrap_servers": kafka.bootstrap, **keys})
        topics.create_topics(ours)
        api_key, entry = create_key([ADMIN], name="demo")
        keys_file = DEMO_DIR / "api-keys.yaml"
        keys_file.write_text(file_line(entry) + "\n")
        env["TAKK_GATEWAY_API_KEYS_FILE"] = str(keys_file.resolve())
        gateway = Process("gateway", env, DEMO_DIR / "gateway.log")
        env["TAKK_MAIL_BASE_URL"] = inbox.pictures_origin = gateway.public_url
        worker, mailer = (Process(role, env, DEMO_DIR / f"{role}.log") for role in ("worker", "mailer"))
        processes = [worker, gateway, mailer]
        for process in processes:
            stack.callback(process.stop)
            process.start()
        for process in processes:
            process.await_ready()
        console.print(f"ready after {time.monotonic() - started:.1f} s")
        console.print(f"inbox    {inbox.web_url} (open it to read the emails)")
        console.print(f"gateway  {gateway.public_url} (the links in the emails lead there)")
        console.print(
            f"kafka    {kafka.bootstrap} (for takk in another terminal: export KAFKA_BOOTSTRAP_SERVERS={kafka.bootstrap})"
        )
        console.print("metrics  " + ", ".join(f"{each.metrics_url} ({each.role})" for each in processes))
        end = f"closes after {seconds:g} s" if seconds is not None else "is open until you press Ctrl-C"
        console.print(
            f"The shop {end}: {rate:g} orders per second; one day of waiting takes {settings.day_scale_seconds:g} s.\n"
        )
        codec = codec_of(ours)
        progress = ProgressReader(ours.kafka(), codec)
        stack.callback(progress.close)
        imported = _import_past(ours, codec, seed, progress, console)
        shop = Shop(seed, rate, settings.day_scale_seconds, has_receipts=True)
        api = ApiClient(gateway.public_url, api_key)
        sent = SentEmails()
        events = EmailEvents(ours.kafka(), codec, sent)
        readers = Readers(inbox, gateway.public_url, seed, rate, settings.day_scale_seconds)
        stack.callback(events.stop)
        events.start()
        stack.callback(readers.stop)
        readers.start()
        try:
            asyncio.run(_open_shop(shop, codec, ours, seconds, processes, sent, console, api, readers))
        except KeyboardInterrupt:
            console.print("stopping ...")
        closing = close(progress, shop.order_ids, readers, worker, mailer, console.print)
        example = _explain(ours, sent)
        events.stop()
        exit_codes = [process.stop() for process in processes]
        console.print("comparing the inbox and the topics with a recomputation of every decision ...\n")
        link_keys = LinkKeys(settings.shop_id, mail_secret.get_secret_value().encode())
        history = DEMO_DIR / "history"
        summary = summarize(
            ours, codec, inbox, sent, shop.placed, closing.stopped_ms, history, imported, readers, link_keys, api
        )
        summary |= {
            "late": closing.late,
            "exit_codes": exit_codes,
            "seconds": round(time.monotonic() - started, 1),
        }
    (DEMO_DIR / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    for line in [*example, *report(summary, DEMO_DIR, _takk())]:
        console.print(line, markup=False)
    errors = sum(each["lost"] + each["duplicates"] for each in (summary, summary["gateway"]))
    return 0 if not errors and not summary["problems"] else 1


def _import_past(settings: Settings, codec: Codec, seed: int, progress: ProgressReader, console: Console) -> int:
    """Import the customers of an earlier system, wait until the worker has read them, and return the number of their orders.

    The shop opens only then: its first orders would wait behind the import, and be too old for their emails.
    """
    paths, orders = write_past(DEMO_DIR / "import", seed, datetime.now(UTC), settings.day_scale_seconds)
    began = time.monotonic()
    records = import_past(settings, codec, paths)
    is_processed = progress.wait(lambda so_far: so_far.inputs >= records and not so_far.unread, IMPORT_TIMEOUT_S)
    console.print(
        f"imported {orders:,} earlier orders of {CUSTOMERS:,} customers ({records:,} records) in {time.monotonic() - began:.1f} s"
        f"{'' if is_processed else '; the worker is still busy with them'}. Nobody gets an email about them.\n"
    )
    return orders


def _takk() -> str:
    """Return how to call `takk`: its name if the shell finds it, else the path of the running program."""
    program = Path(sys.argv[0])
    return os.path.relpath(program) if program.name == "takk" and shutil.which("takk") is None else "takk"


async def _open_shop(
    shop: Shop,
    codec: Codec,
    settings: Settings,
    seconds: float | None,
    processes: list[Process],
    sent: SentEmails,
    console: Console,
    api: ApiClient,
    readers: Readers,
) -> None:
    """Produce the shop's records, and show the progress, until `seconds` have passed."""

    async def show() -> None:
        opened = time.monotonic()
        with Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext() as live:
            while True:
                await asyncio.sleep(1 if live else 5)
                metrics = [await asyncio.to_thread(process.metrics) for process in processes]
                rows = _progress(time.monotonic() - opened, shop, sent, metrics, readers)
                if live:
                    live.update(_table(rows), refresh=True)
                else:
                    console.print("  ".join(f"{name}={value}" for name, value in rows.items()))

    screen = asyncio.create_task(show())
    try:
        await open_shop(shop, codec, settings.kafka(), seconds, api)
    finally:
        screen.cancel()


def _progress(
    elapsed_s: float, shop: Shop, sent: SentEmails, metrics: list[dict[str, float]], readers: Readers
) -> dict[str, str]:
    def total(name: str) -> float:
        return sum(values.get(name, 0.0) for values in metrics)

    late_s = total("takk_timer_lateness_seconds_sum") / max(1.0, total("takk_timer_lateness_seconds_count"))
    partitions = metrics[-1].get("takk_assigned_partitions", 0.0)  # of the mailer
    heartbeat_s = total("takk_heartbeat_seconds") / max(1.0, partitions)
    p50, p99 = quantiles(sent.delays_s[-2000:])
    return {
        "seconds": f"{elapsed_s:.0f}",
        "orders": str(shop.placed),
        "emails": str(sent.by_flow.total()),
        **{flow: str(count) for flow, count in most_frequent(sent.by_flow)},
        "opens": f"{total('takk_opens_total'):.0f}",
        "clicks": f"{total('takk_clicks_total'):.0f}",
        "forms": str(readers.actions.forms),
        "lag": f"{total('takk_lag_records'):.0f}",
        "timers late": f"{late_s * 1000:.0f} ms",
        "heartbeat": f"{heartbeat_s * 1000:.0f} ms",
        "order to email p50": f"{p50 * 1000:.0f} ms",
        "p99": f"{p99 * 1000:.0f} ms",
    }


def _table(rows: Mapping[str, str]) -> Table:
    table = Table(title="Takk", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right", min_width=10)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _explain(settings: Settings, sent: SentEmails) -> list[str]:
    """Return the output of `takk why` for one email."""
    if sent.example is None:
        return []
    customer_id, send_id = sent.example
    timeline = read_timeline(settings, customer_id, send_id=send_id)
    return [
        "Why did this customer receive this email? On your Kafka, this command prints:",
        f"$ {_takk()} why {customer_id} --send {send_id}",
        *format_timeline(timeline),
        "",
    ]
