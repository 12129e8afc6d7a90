"""Job `mailer`: commands on `email-commands` to mails that a fast server accepted, through a real mailer process; beside it aiosmtplib
sending ready-made bytes over as many connections."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from streams.core.model.customer import OrderFacts, OrderState
from streams.core.model.effects import Content, SendMail
from streams.core.model.events import OrderLine
from streams.mail.links import Sender
from streams.mail.mime import compose
from streams.mail.rendering.renderer import Renderer
from streams.settings import load_settings
from streams.tools.local.processes import Process
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from streams.wire.topics import COMMANDS
from tests.bench.context import BENCH_DIR, Context, Result, median, steady_rate
from tests.bench.pipeline import worker_env
from tests.bench.sink import postfix_sink, read_journal, small_sink

MAILS = 20_000
CONNECTIONS = 4
#: Makes a mail of 8 kB.
LINES = 8
SENDER = Sender.parse("Butik Ø <hej@shop.example>", "shop.example", "https://links.example", b"x" * 40)


def commands(count: int) -> Iterator[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """Key, value and headers of `count` order confirmations to one customer each: 400 products, and hardly two totals the same."""
    rng, encoder, now = random.Random(8), Encoder(open_codec()), datetime.now(UTC)
    products = [
        OrderLine(f"S-{n}", f"Vandrestøvler <let> nr. {n}", "shoes", 1, rng.randrange(2_000, 90_000, 5))
        for n in range(400)
    ]
    for number in range(count):
        customer, order_id = f"c{number}", f"{100_000 + number}"
        lines = tuple([replace(product, quantity=rng.randrange(1, 4)) for product in rng.sample(products, LINES)])
        total = sum(line.quantity * line.unit_price_minor for line in lines)
        name = f"{rng.choice(('Anna', 'Bo', 'Cecilie', 'Åse', 'Søren'))} Jensen"
        facts = OrderFacts(f"{customer}@post.example", name, "da", "DK", "DK", "DKK", total, now, None, lines)
        effect = SendMail(
            send_id=f"{rng.getrandbits(128):032x}", customer_id=customer, instance_id=f"{rng.getrandbits(128):032x}",
            flow="order-confirmation", flow_version=1, step="0", message="confirmation", purpose="order", priority=100,
            not_after=now + timedelta(days=2), to_address=facts.email, to_name=name, locale="da",
            time_zone="Europe/Copenhagen", country="DK", order_id=order_id, tracking=False,
            content=Content(customer, name, "da", "DK", 1, now, ZoneInfo("Europe/Copenhagen"), OrderState(order_id, facts)),
        )  # fmt: skip
        _, key, value, headers = encoder.effects.encode(effect, now)
        yield key, value, headers


def ready_mail() -> bytes:
    """One of these emails as the server receives it."""
    command = Decoder(open_codec()).command(next(commands(1))[1])
    links = SENDER.links(command)
    words = Renderer(load_settings().templates_dir, SENDER.name).render(command, links)
    return compose(SENDER, command, words, links, datetime.now(UTC))


def mailer_env(context: Context, run_id: str, port: int) -> dict[str, str]:
    """Settings of a mailer of its own that sends to `port`."""
    return {
        **worker_env(context, run_id),
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(port),
        "SMTP_CONNECTIONS": str(CONNECTIONS),
        "TAKK_MAIL_FROM": f"{SENDER.name} <{SENDER.address}>",
        "TAKK_MAIL_BASE_URL": SENDER.base_url,
    }


def run(context: Context) -> list[Result]:
    """Both, and Takk's mail road without Kafka, by turns `context.runs` times."""
    context.reset_topics()
    context.log(f"producing {MAILS:,} commands")
    producer = context.producer()
    for key, value, headers in commands(MAILS):
        producer.produce(COMMANDS, value, key, headers=headers)
        producer.poll(0)
    producer.flush()
    mail = context.state / "ready.eml"
    mail.write_bytes(ready_mail())
    rates: dict[str, list[float]] = {"takk": [], "road": [], "aiosmtplib": []}
    cpu: list[float] = []
    for number in range(context.runs):
        rate, seconds = _takk(context)
        rates["takk"].append(rate)
        cpu.append(seconds)
        rates["road"].append(_runner(context, "mail_road", str(context.state / context.new_run_id("road"))))
        rates["aiosmtplib"].append(_runner(context, "aiosmtplib_send", str(mail)))
        last = ", ".join(f"{name} {values[-1]:,.0f}/s" for name, values in rates.items())
        context.log(f"mailer {number + 1}/{context.runs}: {last}")
    ours, peer = median(rates["takk"]), median(rates["aiosmtplib"])
    figures = {
        "road_per_s": median(rates["road"]),
        "mailer_cpu_s_per_million": round(median(cpu)),
        "mail_bytes": float(mail.stat().st_size),
        "connections": float(CONNECTIONS),
    }
    return [
        Result("mailer", "takk", ours, "at most once", MAILS, [round(r, 1) for r in rates["takk"]], figures),
        Result("mailer", "aiosmtplib", peer, "none", MAILS, [round(r, 1) for r in rates["aiosmtplib"]], {"takk_times": round(ours / peer, 2)}),
    ]  # fmt: skip


def _takk(context: Context) -> tuple[float, float]:
    """Mails a second between 10 % and 95 % of them, and the mailer's CPU seconds for a million.

    Raises:
        RuntimeError: a mail was lost, or came twice.
    """
    run_id = context.new_run_id("mailer")
    journal = context.state / f"{run_id}.txt"
    with postfix_sink() if shutil.which("smtp-sink") else small_sink(journal) as port:
        process = Process("mailer", mailer_env(context, run_id, port), BENCH_DIR / f"{run_id}.log")
        measured = steady_rate(process, MAILS, mails_done)
    if journal.exists() and sorted(map(len, read_journal(journal).values())) != [1] * MAILS:
        raise RuntimeError(f"not each of {MAILS} mails was accepted once: {journal}")
    return measured


def mails_done(series: dict[str, float]) -> float:
    """Mails of whose end a mailer's series tell."""
    return sum(value for name, value in series.items() if name.startswith("takk_mails_total"))


def _runner(context: Context, name: str, argument: str) -> float:
    """Mails a second of a runner that sends all mails to a sink of its own."""
    journal = context.state / f"{context.new_run_id(name)}.txt"
    with postfix_sink() if shutil.which("smtp-sink") else small_sink(journal) as port:
        command = [sys.executable, "-m", f"tests.bench.runners.{name}", str(port), str(CONNECTIONS), str(MAILS)]
        mails, seconds = context.run_to_result([*command, argument])
    return mails / seconds
