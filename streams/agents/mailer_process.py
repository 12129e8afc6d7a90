"""The mailer process, built from the settings."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from functools import partial

import structlog
import uvloop

from streams.agents import mailer
from streams.agents.global_tables import assortment, suppressed_addresses, withdrawals
from streams.agents.global_tables.global_table import GlobalTable
from streams.agents.heartbeats import heartbeat_gauges
from streams.agents.instrumentation import Instrumentation
from streams.agents.mail_server import open_pool
from streams.agents.mailer_templates import MailerTemplates
from streams.agents.new_app import Accepted, new_app
from streams.agents.process import run_process
from streams.agents.process_templates import open_templates
from streams.agents.reload import Reloader, published_table
from streams.agents.renderers import Renderers
from streams.agents.zeros import zero_mailer
from streams.core.model.address_state import Suppression
from streams.core.offers.assortment import Assortment
from streams.core.values.local_time import utc_from_ms
from streams.definitions.checks.layout import old_layout
from streams.mail.address_check import AddressCheck
from streams.mail.links import Sender
from streams.mail.mailer import Mailer
from streams.mail.rendering.template_folders import messages_by_flow
from streams.mail.tokens import LinkKeys
from streams.observability import metrics
from streams.runtime.state.uncommitted import uncommitted_changes
from streams.settings import Settings
from streams.wire.codec import codec_of

log = structlog.get_logger(__name__)

#: The number of send commands in a batch of the mailer: about one second's work, so that a shutdown does not wait longer.
MAILER_BATCH = 400


def run_mailer(settings: Settings, accepted: Collection[Accepted] = ()) -> None:
    """Run the mailer until SIGTERM. It does not return.

    Args:
        settings: the settings.
        accepted: what an operator has accepted for this start.

    Raises:
        SystemExit: a topic, a setting, the brand or the layout of the templates directory is invalid; the message says which.
    """
    if settings.mail_secret is None:
        sys.exit("cannot start: set TAKK_MAIL_SECRET (or TAKK_MAIL_SECRET_FILE); it seals the links in emails")
    # With the flows in the wrong place every email would fail to render. The worker reads the flows and finds all other errors in them.
    if settings.templates_dir.is_dir() and (problems := list(old_layout(settings.templates_dir))):
        sys.exit("\n".join(["cannot start: the templates directory has an old layout:", *map(str, problems)]))
    copies = open_templates(settings, "mailer")
    uvloop.install()  # an email needs four socket round trips; with uvloop the mailer sends 10 % more than with asyncio's loop
    app = new_app(settings, "mailer", MAILER_BATCH, accepted)
    instrumentation = Instrumentation(codec_of(settings, registers_later=True))
    keys = LinkKeys(settings.shop_id, *settings.link_secrets())
    sender = Sender.parse(settings.mail_from, settings.mail_domain, settings.mail_base_url, keys)
    products = GlobalTable(
        settings.kafka(),
        assortment.TOPICS,
        partial(assortment.AssortmentTable, instrumentation.decoder),
        prepare=instrumentation.load_schemas,
    )
    on_withdrawn = mailer.late_withdrawals(app.task_manager, settings.partitions)
    withdrawn_emails = GlobalTable(
        settings.kafka(),
        withdrawals.TOPICS,
        partial(withdrawals.WithdrawalsTable, instrumentation.decoder, on_withdrawn=on_withdrawn),
        prepare=instrumentation.load_schemas,
    )

    suppressed = GlobalTable(
        settings.kafka(),
        suppressed_addresses.TOPICS,
        partial(suppressed_addresses.SuppressedAddresses, instrumentation.decoder),
        prepare=instrumentation.load_schemas,
    )

    async def fetch_withdrawn() -> Mapping[str, str]:
        return (await withdrawn_emails.view()).rules

    async def fetch_assortment() -> Assortment:
        return (await products.view()).assortment

    async def fetch_suppressed() -> Mapping[bytes, Suppression]:
        return (await suppressed.view()).by_address

    templates = MailerTemplates(settings, sender, copies)
    key = settings.address_key
    addresses = AddressCheck(key, templates.rules, fetch_suppressed) if key else None
    work = Mailer(
        templates.renderer,
        sender,
        open_pool(settings),
        fetch_withdrawn=fetch_withdrawn,
        fetch_assortment=fetch_assortment,
        addresses=addresses,
        newest_versions=templates.newest_versions,
        backoff_scale=settings.day_scale,
        clock=lambda: utc_from_ms(app.task_manager.clock()),  # one clock per process
        on_pause=metrics.SMTP_PAUSED.set,
        holds_marketing=templates.holds_marketing,
    )
    templates.attach(work, addresses)
    mailer.register(
        app,
        instrumentation,
        work,
        settings.heartbeat_s,
        lease_s=settings.session_timeout_s / 2,
        drain_timeout_s=settings.smtp_stop_timeout_s,
        address_key=key,
        uncommitted=partial(uncommitted_changes, settings.kafka()),
    )
    zero_mailer(messages_by_flow(copies.layers.path))
    published = published_table(settings, instrumentation)
    run_process(
        app,
        settings,
        instrumentation,
        accepted,
        gauges=[heartbeat_gauges()],
        global_tables=(products, withdrawn_emails, suppressed, published),
        renderers=Renderers(templates.renderer),
        reloader=Reloader(copies, templates.load, published.view),
    )
