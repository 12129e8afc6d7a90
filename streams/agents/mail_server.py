"""The mail server of the settings."""

from __future__ import annotations

from streams.endpoints import rates_by_domain
from streams.mail.delivery.smtp.pool import SmtpPool
from streams.mail.delivery.smtp.rate_limits import RateLimits
from streams.mail.delivery.smtp.server import Server, Timeouts
from streams.settings import Settings


def open_pool(settings: Settings) -> SmtpPool:
    """Return the pool of connections to the mail server; none is open yet."""
    server = Server(
        host=settings.smtp_host,
        port=settings.smtp_port,
        tls=settings.smtp_tls,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        connections=settings.smtp_connections,
        timeouts=Timeouts(
            connect_s=min(Timeouts.connect_s, settings.smtp_timeout_s),
            greeting_s=settings.smtp_greeting_timeout_s,
            command_s=settings.smtp_timeout_s,
            envelope_s=settings.smtp_envelope_timeout_s,
            data_s=settings.smtp_data_timeout_s,
            dot_s=settings.smtp_dot_timeout_s,
        ),
        helo_name=settings.smtp_helo_name or settings.mail_domain,
    )
    rates = rates_by_domain(settings.smtp_max_per_second_per_domain)
    return SmtpPool(server, RateLimits(settings.smtp_max_per_second, rates))
