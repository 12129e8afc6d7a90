"""The mail server, and how to connect to it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds to wait for the server, per phase. The defaults are those of RFC 5321 4.5.3.2 where it has one.

    Attributes:
        connect_s: for a TCP connection, including the handshake of TLS from the first byte.
        greeting_s: for the greeting of a new connection.
        command_s: for the answers to EHLO, STARTTLS, a login, RSET and QUIT.
        envelope_s: for the answer to MAIL, and for the answer to RCPT.
        data_s: for the answer to DATA.
        dot_s: for the answer to the dot that ends an email. A shorter one sends emails twice.
    """

    connect_s: float = 10.0
    greeting_s: float = 300.0
    command_s: float = 30.0
    envelope_s: float = 300.0
    data_s: float = 120.0
    dot_s: float = 600.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """The mail server and how to connect to it.

    Attributes:
        host, port: its address.
        tls: `none`, `starttls`, or `tls` from the first byte.
        username, password: the login, or None.
        connections: the number of simultaneous connections.
        timeouts: how long to wait for it.
        helo_name: the domain name that EHLO gives to it; ASCII.
        context: the TLS context, or None for the default.
    """

    host: str
    port: int
    tls: str = "none"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    connections: int = 4
    timeouts: Timeouts = Timeouts()
    helo_name: str = "localhost"
    context: ssl.SSLContext | None = field(default=None, repr=False)
