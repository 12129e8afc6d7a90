"""Sends a shown email to one address, through the mail server of the settings."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime

from streams.addresses import parse_address
from streams.agents.mail_server import open_pool
from streams.mail.delivery.smtp.answers import Accepted
from streams.mail.links import Sender
from streams.mail.mime import Unsendable, compose
from streams.settings import Settings
from streams.tools.preview.emails import LINK_BASE, EmailFailed, Emails, Variant
from streams.tools.preview.examples import InvalidExample

#: Seconds to wait for the mail server. A person is waiting for the page.
TIMEOUT_S = 60.0


class NotSent(RuntimeError):
    """An email that was not sent. The text says why."""


async def send_email(settings: Settings, emails: Emails, variant: Variant, to: str) -> str:
    """Send an email, and return what happened.

    Args:
        settings: the mail server, and the header From.
        emails: renders the email.
        variant: the email.
        to: the address. Nobody else gets it, and the links of the email lead nowhere.

    Raises:
        NotSent: the address is invalid, the email cannot be rendered, or the mail server did not accept it.
    """
    address = parse_address(to)
    if address is None:
        raise NotSent(f"{to!r} is not an email address")
    sender = Sender.parse(settings.mail_from, settings.mail_domain, LINK_BASE, emails.shown_sender.keys)
    try:
        email = await asyncio.to_thread(emails.email, variant)
        command = emails.command(variant, send_id=f"preview-{secrets.token_hex(12)}", to=address)
        data = compose(sender, command, email, emails.links(command), datetime.now(UTC))
    except (EmailFailed, InvalidExample, Unsendable) as error:
        raise NotSent(str(error)) from error
    where = f"{settings.smtp_host}:{settings.smtp_port}"
    pool = open_pool(settings)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer = await pool.send(sender.address, address, data, lambda: None)
    except TimeoutError as error:
        raise NotSent(f"the mail server {where} did not answer within {TIMEOUT_S:.0f} s") from error
    finally:
        await pool.close()
    if not isinstance(answer, Accepted):
        raise NotSent(
            f"the mail server {where} did not accept the email: {answer.text} (hint: `takk doctor` checks SMTP_HOST, SMTP_PORT and SMTP_TLS)"
        )
    return f"Sent to {address} through {where}."
