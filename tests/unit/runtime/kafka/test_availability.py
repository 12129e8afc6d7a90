"""Whether a cluster answers: which failures waiting can remove, and which it cannot."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from streams.runtime.kafka import availability
from streams.runtime.kafka.availability import KafkaUnavailable, count_brokers, has_unknown_hosts_only
from tests.harness.certificates import self_signed

PATIENCE_S = 1.0


def failure(**kafka: str) -> KafkaUnavailable:
    """Return the error of a cluster that does not answer. `kafka` has its settings with underscores."""
    with pytest.raises(KafkaUnavailable) as error:
        count_brokers({name.replace("_", "."): value for name, value in kafka.items()}, PATIENCE_S)
    return error.value


def test_a_closed_port_is_no_wrong_setting(unused_tcp_port: int) -> None:
    """A broker that is away may come back. The reason is that of the connection, without statistics."""
    error = failure(bootstrap_servers=f"127.0.0.1:{unused_tcp_port}")
    assert not error.is_permanent
    assert str(error).endswith("Connection refused")


def test_unknown_names_are_wrong_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting does not help if no host of the addresses exists. A resolver that does not answer is another matter."""
    known = socket.getaddrinfo

    def resolve(host: str, port: object) -> object:
        if host in ("gone", "lost"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if host == "later":
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return known(host, None)

    monkeypatch.setattr(availability.socket, "getaddrinfo", resolve)
    assert has_unknown_hosts_only("gone:9092, lost:9092")
    assert not has_unknown_hosts_only("gone:9092,127.0.0.1:9092")
    assert not has_unknown_hosts_only("later:9092")
    assert not has_unknown_hosts_only("[::1]:9092")


def test_a_missing_file_is_a_wrong_setting(tmp_path: Path) -> None:
    """A certificate file that cannot be read is reported at once."""
    path = str(tmp_path / "gone.pem")
    error = failure(bootstrap_servers="127.0.0.1:1", security_protocol="SSL", ssl_ca_location=path)
    assert (error.is_permanent, "ssl.ca.location" in str(error)) == (True, True)


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[int]:
    """The port of a server with a certificate that no authority has signed."""
    _, context = self_signed(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with suppress(OSError), context.wrap_socket(client, server_side=True):
                        pass

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_a_certificate_of_nobody_is_a_wrong_setting(tls_port: int) -> None:
    """TLS that fails is not retried without end."""
    error = failure(bootstrap_servers=f"127.0.0.1:{tls_port}", security_protocol="SSL")
    assert (error.is_permanent, "certificate verify failed" in str(error)) == (True, True)
