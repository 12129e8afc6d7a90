"""Job `mailer`: from commands on `email-commands` to emails that a fast mail server accepted, through a real mailer process.

The peer is aiosmtplib, which sends finished bytes over the same number of connections.
"""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from streams.core.model.effects import Content, SendMail
from streams.core.model.orders.order import Address, LineDetails, OrderDetails, OrderLine, OrderTax
from streams.core.model.orders.order_state import OrderFacts, OrderState
from streams.mail.links import Sender
from streams.mail.mime import compose
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.renderer import Renderer
from streams.mail.tokens import LinkKeys
from streams.settings import load_settings
from streams.tools.local.processes import Process
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from streams.wire.topics import COMMANDS
from tests.bench.context import BENCH_DIR, Context, Result, median, steady_rate
from tests.bench.pipeline import worker_env
from tests.bench.sink import postfix_sink, read_journal, small_sink
from tests.harness.fixed_flows import FLOWS

EMAILS = 20_000
CONNECTIONS = 4
#: Order lines per email, each with a picture.
LINES = 4
#: Shipping cost of an order, in øre.
SHIPPING_MINOR = 4_900
SENDER = Sender.parse(
    "Butik Ø <hej@shop.example>", "shop.example", "https://links.example", LinkKeys("shop", b"x" * 40)
)


def _product(number: int, price_minor: int) -> OrderLine:
    page = f"https://shop.example/produkter/vandrestoevler-{number}"
    details = LineDetails(
        variant="blå, str. 42", tax_rate=25_000, image_url=f"{page}/billede.jpg?v=1795850171", product_url=page
    )
    return OrderLine(f"S-{number}", f"Vandrestøvler <let> nr. {number}", "shoes", 1, price_minor, None, details)


def _details(order_id: str, name: str, subtotal_minor: int, at: datetime) -> OrderDetails:
    total = subtotal_minor + SHIPPING_MINOR
    address = Address(name=name, line1="Nørrebrogade 12, 3. tv.", postal_code="2200", city="København N", country="DK")
    return OrderDetails(
        order_number=order_id, subtotal_minor=subtotal_minor, shipping_minor=SHIPPING_MINOR,
        shipping_method="PostNord, hjemmelevering", taxes=(OrderTax("Moms", 25_000, total // 5),), tax_minor=total // 5,
        paid_minor=total, payment_method="Dankort", payment_status="paid", payment_at=at, billing_address=address,
        shipping_address=address, status_url=f"https://shop.example/ordrer/{order_id}",
        return_url=f"https://shop.example/retur/{order_id}",
    )  # fmt: skip


def commands(count: int) -> Iterator[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """Yield key, value and headers of `count` order confirmations with all that an order can have, one per customer, with 400 products."""
    rng, encoder, now = random.Random(8), Encoder(open_codec()), datetime.now(UTC)
    products = [_product(number, rng.randrange(2_000, 90_000, 5)) for number in range(400)]
    for number in range(count):
        customer, order_id = f"c{number}", f"{100_000 + number}"
        lines = tuple([replace(product, quantity=rng.randrange(1, 4)) for product in rng.sample(products, LINES)])
        subtotal = sum(line.quantity * line.unit_price_minor for line in lines)
        name = f"{rng.choice(('Anna', 'Bo', 'Cecilie', 'Åse', 'Søren'))} Jensen"
        details = _details(order_id, name, subtotal, now)
        facts = OrderFacts(
            f"{customer}@post.example", name, "da", "DK", "DK", "DKK", subtotal + SHIPPING_MINOR, now, None, lines,
            details=details,
        )  # fmt: skip
        effect = SendMail(
            send_id=f"{rng.getrandbits(128):032x}", customer_id=customer, instance_id=f"{rng.getrandbits(128):032x}",
            flow="order-confirmation", flow_version=1, step="0", message="confirmation", purpose="order", priority=100,
            not_after=now + timedelta(days=2), to_address=facts.email, to_name=name, locale="da",
            time_zone="Europe/Copenhagen", country="DK", order_id=order_id, tracking=False,
            content=Content(customer, name, "da", "DK", 1, now, ZoneInfo("Europe/Copenhagen"), OrderState(order_id, facts)),
        )  # fmt: skip
        _, key, value, headers = encoder.effects.encode(effect, now)
        yield key, value, headers


def finished_email() -> bytes:
    """Return one of these emails as the server receives it."""
    command = Decoder(open_codec()).command(next(commands(1))[1])
    links = SENDER.links(command)
    rendered = Renderer(load_settings().templates_dir, EmailBrand(name=SENDER.name)).render(command, links)
    return compose(SENDER, command, rendered, links, datetime.now(UTC))


def mailer_env(context: Context, run_id: str, port: int, flows: frozenset[str] = FLOWS) -> dict[str, str]:
    """Return the settings of a mailer with its own group and state, and with some of the shipped flows, that sends to `port`."""
    return {
        **worker_env(context, run_id, flows),
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(port),
        "SMTP_CONNECTIONS": str(CONNECTIONS),
        "TAKK_MAIL_FROM": f"{SENDER.name} <{SENDER.address}>",
        "TAKK_MAIL_BASE_URL": SENDER.base_url,
    }


def run(context: Context) -> list[Result]:
    """Measure the mailer, its pipeline without Kafka, and aiosmtplib in turn, `context.runs` times."""
    context.reset_topics()
    context.log(f"producing {EMAILS:,} commands")
    producer = context.producer()
    for key, value, headers in commands(EMAILS):
        producer.produce(COMMANDS, value, key, headers=headers)
        producer.poll(0)
    producer.flush()
    email_file = context.state / "finished.eml"
    email_file.write_bytes(finished_email())
    rates: dict[str, list[float]] = {"takk": [], "without Kafka": [], "aiosmtplib": []}
    cpu: list[float] = []
    rendering: list[float] = []
    for number in range(context.runs):
        rate, cpu_us, rendering_us = _takk(context)
        rates["takk"].append(rate)
        cpu.append(cpu_us)
        rendering.append(rendering_us)
        rates["without Kafka"].append(
            _runner(context, "mail_pipeline", str(context.state / context.new_run_id("pipeline")))
        )
        rates["aiosmtplib"].append(_runner(context, "aiosmtplib_send", str(email_file)))
        latest = ", ".join(f"{name} {values[-1]:,.0f}/s" for name, values in rates.items())
        context.log(f"mailer {number + 1}/{context.runs}: {latest}")
    ours, peer = median(rates["takk"]), median(rates["aiosmtplib"])
    figures = {
        "without_kafka_per_s": median(rates["without Kafka"]),
        "mailer_cpu_s_per_million": round(median(cpu)),
        "renderers_s_per_million": round(median(rendering)),
        "mail_bytes": float(email_file.stat().st_size),
        "connections": float(CONNECTIONS),
    }
    return [
        Result("mailer", "takk", ours, "at most once", EMAILS, [round(r, 1) for r in rates["takk"]], figures),
        Result("mailer", "aiosmtplib", peer, "none", EMAILS, [round(r, 1) for r in rates["aiosmtplib"]], {"takk_times": round(ours / peer, 2)}),
    ]  # fmt: skip


def _takk(context: Context) -> tuple[float, float, float]:
    """Return the emails per second between 10 % and 95 % of them, and per email the mailer's CPU time and its renderers' time, in µs.

    Raises:
        RuntimeError: an email was lost or sent twice.
    """
    run_id, busy_s = context.new_run_id("mailer"), 0.0

    def done(series: dict[str, float]) -> float:
        nonlocal busy_s
        busy_s = series.get("takk_renderer_busy_seconds_total", busy_s)
        return emails_done(series)

    journal = context.state / f"{run_id}.txt"
    with postfix_sink() if shutil.which("smtp-sink") else small_sink(journal) as port:
        process = Process("mailer", mailer_env(context, run_id, port), BENCH_DIR / f"{run_id}.log")
        rate, cpu_us = steady_rate(process, EMAILS, done)
    if journal.exists() and sorted(map(len, read_journal(journal).values())) != [1] * EMAILS:
        raise RuntimeError(f"not each of {EMAILS} emails was accepted exactly once: {journal}")
    return rate, cpu_us, busy_s / EMAILS * 1e6


def emails_done(series: dict[str, float]) -> float:
    """Return the number of emails that the mailer's metrics count as finished."""
    return sum(value for name, value in series.items() if name.startswith("takk_mails_total"))


def _runner(context: Context, name: str, argument: str) -> float:
    """Return the emails per second of a runner that sends all emails to its own sink."""
    journal = context.state / f"{context.new_run_id(name)}.txt"
    with postfix_sink() if shutil.which("smtp-sink") else small_sink(journal) as port:
        command = [sys.executable, "-m", f"tests.bench.runners.{name}", str(port), str(CONNECTIONS), str(EMAILS)]
        emails, seconds = context.run_to_result([*command, argument])
    return emails / seconds
