"""The app: its settings of Faust, and the exit code of its worker."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from pathlib import Path

import faust
import mode
import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException
from faust import stores
from faust.auth import SASLCredentials

from streams.runtime.app import EXIT_FATAL, App, RestartableWorker, hint_after, state_error_in
from streams.runtime.errors import GroupLeft, StateError
from streams.runtime.faust_adapter.store import Store


def test_the_group_membership_uses_all_brokers(tmp_path: Path) -> None:
    """Faust's consumer gets the address of every broker, not one invalid address."""
    app = App("app", {}, brokers="kafka://a:1;kafka://b:2", partitions=1, state_dir=tmp_path)
    assert [str(url) for url in app.faust.transport.url] == ["kafka://a:1", "kafka://b:2"]


def test_the_worker_stays_in_the_group_without_reads(tmp_path: Path) -> None:
    """aiokafka reads no records, because Takk's fetcher does; it must not leave the group for that reason."""
    app = App("app", {}, brokers="kafka://a:1", partitions=1, state_dir=tmp_path)
    assert app.faust.conf.broker_max_poll_interval > 50 * 365 * 86_400


@pytest.mark.parametrize("session_s", [1.0, 6.0, 45.0, 600.0])
def test_any_session_has_heartbeats_and_requests_that_fit(tmp_path: Path, session_s: float) -> None:
    """A session has at least three heartbeats, and no request is shorter than it, which Faust refuses."""
    conf = App(
        "app", {}, brokers="kafka://a:1", partitions=1, state_dir=tmp_path, session_timeout_s=session_s
    ).faust.conf
    assert conf.broker_heartbeat_interval <= min(3.0, session_s / 3)
    assert conf.broker_request_timeout >= max(90.0, session_s)


def test_faust_finds_the_store(tmp_path: Path) -> None:
    """The entry point `takk-rocksdb` is Takk's store. A wrong entry point would fail only when a worker starts.

    After the entry point changes in pyproject.toml, run `pip install -e . --no-deps --no-build-isolation`.
    """
    app = App("app", {}, brokers="kafka://a:1", partitions=1, state_dir=tmp_path)
    assert stores.by_url(app.faust.conf.store) is Store


def test_a_step_of_the_clock_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a batch is never one hour wrong: the process exits for a restart, and its log has the reason."""

    def end(code: int) -> None:
        raise SystemExit(code)

    clock = App("app", {}, brokers="kafka://a:1", partitions=1, state_dir=tmp_path).task_manager.clock
    now = time.time()
    assert clock() >= int(now * 1000)
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(SystemExit) as ended, structlog.testing.capture_logs() as lines:
        clock()
    assert ended.value.code == EXIT_FATAL
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("the clock of this machine stepped, exiting", "critical")
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [(GroupLeft("outside"), EXIT_FATAL), (StateError("cannot read the state"), EXIT_FATAL), (ValueError("a bug"), 1)],
)
async def test_a_crash_ends_the_process_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, code: int
) -> None:
    """A crash of any service of the worker is logged, and ends the process with the code 75 if a restart repairs it."""

    def end(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(os, "_exit", end)
    worker = RestartableWorker(faust.App("app", broker="kafka://a:1"), loop=asyncio.get_running_loop())
    child = mode.Service(beacon=worker.beacon)
    with pytest.raises(SystemExit) as exit_code:
        await child.crash(error)
    assert exit_code.value.code == code
    assert str(error) in caplog.text


def test_a_state_error_is_found_in_a_group() -> None:
    """The mailer's errors come in groups. A state error in one ends the process like any other."""
    state = StateError("cannot read the state")
    assert state_error_in(state) is state
    assert state_error_in(ExceptionGroup("batches", [ValueError("x"), ExceptionGroup("inner", [state])])) is state
    assert state_error_in(ExceptionGroup("batches", [ValueError("x")])) is None
    assert state_error_in(ValueError("x")) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            Exception("IO error: No space left on device: While appending to file: /state/0/000020.log"),
            "TAKK_STATE_DIR",
        ),
        (Exception("IO error: File too large: While appending to file: /state/0/000020.log"), "TAKK_STATE_DIR"),
        (Exception("Local: Broker transport failure"), "check the broker"),
        (KafkaException(KafkaError(KafkaError._FENCED)), "another process has taken over this partition"),
    ],
)
def test_the_hint_after_a_failed_commit(error: Exception, words: str) -> None:
    """A full disk and a fenced producer are named, since the log leaves out the text of the error; otherwise the broker is the suspect."""
    assert words in hint_after(error)


def test_the_members_are_asked_for_as_faust_joins(tmp_path: Path) -> None:
    """The request for the members of the group uses the addresses, the login and the TLS context of Faust's consumer."""
    context = ssl.create_default_context()
    credentials = SASLCredentials(
        username="u",
        password="p",
        mechanism="SCRAM-SHA-256",
        ssl_context=context,
    )
    app = App("app", {}, brokers="kafka://a:1;kafka://b:2", partitions=1, state_dir=tmp_path, credentials=credentials)
    assert app.group_members.settings == {
        "bootstrap_servers": ["a:1", "b:2"],
        "client_id": "app",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "u",
        "sasl_plain_password": "p",
        "ssl_context": context,
    }
