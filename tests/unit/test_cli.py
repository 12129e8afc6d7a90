"""The command: its help, what it says of mistakes, and that it starts fast."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import structlog
from click.testing import CliRunner

from streams import cli
from streams.logs import setup_logs
from streams.settings import Settings, env_name
from tests.driver.facts import TEMPLATES

SECRET = "a-secret-that-is-long-enough"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(env_name(field), raising=False)


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli.main, words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


@pytest.mark.parametrize("path", [path for path, _ in commands(cli.main)], ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    """Each command has a help text, and so has each of its options."""
    code, output = run(*path, "--help")
    assert code == 0
    command = dict(commands(cli.main))[path]
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))
    assert "Usage:" in output


def test_help_teaches() -> None:
    """The first help shows the way from a trial to production."""
    _, output = run("--help")
    for words in (
        "takk demo --for 60",
        "KAFKA_BOOTSTRAP_SERVERS",
        "takk doctor",
        "takk topics create",
        "takk flows check",
    ):
        assert words in output


@pytest.mark.parametrize("path", [(), *(p for p, c in commands(cli.main) if isinstance(c, click.Group))], ids=" ".join)
def test_lists_of_commands_are_whole(path: tuple[str, ...]) -> None:
    """What a list says of a command fits into its line."""
    assert "..." not in run(*path, "--help")[1].partition("Commands:")[2]


def test_help_loads_nothing_heavy() -> None:
    """Neither Faust nor Kafka's client nor RocksDB is loaded for the help."""
    code = "import sys, streams.cli; print([m for m in ('faust', 'confluent_kafka', 'rocksdict', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_wrong_settings_are_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong variable ends the command with its name, not with a stack of calls."""
    monkeypatch.setenv("TAKK_PARTITIONS", "many")
    code, output = run("settings")
    assert code == 1
    assert "TAKK_PARTITIONS" in output


def test_settings_hide_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """`takk settings` shows every variable, and no secret."""
    monkeypatch.setenv("TAKK_MAIL_SECRET", SECRET)
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", f"http://user:{SECRET}@registry")
    code, output = run("settings")
    assert code == 0
    assert SECRET not in output
    assert all(f"{env_name(field)}=" in output for field in Settings.model_fields)


def flow(folder: Path, status: str) -> None:
    home = folder / "hello"
    home.mkdir()
    (home / "hi.html.j2").write_text("<p>Hi</p>")
    (home / "flow.yaml").write_text(
        f"flow: hello\nversion: 2\nstatus: {status}\npurpose: order\ntrigger: {{on: order.placed}}\nsteps:\n  - send: {{message: hi}}\n"
    )


def test_flows(tmp_path: Path) -> None:
    """`flows check` and `flows list` read the folder given."""
    flow(tmp_path, "live")
    (tmp_path / "consent.yaml").write_text((TEMPLATES / "consent.yaml").read_text())
    assert run("flows", "check", "--templates", str(tmp_path)) == (0, "1 flows, no mistakes.\n")
    code, output = run("flows", "list", "--templates", str(tmp_path))
    assert code == 0
    assert output.split() == ["hello", "v2", "live", "order", "on", "order.placed"]


def test_no_consent_rules(tmp_path: Path) -> None:
    """Without consent.yaml `flows check` says what will happen; with a broken one, where it is broken."""
    flow(tmp_path, "live")
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 0
    assert "only what is owed goes, and what a customer agreed to" in output
    (tmp_path / "consent.yaml").write_text("orders: {}\n")
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 1
    assert f"{tmp_path}/consent.yaml:1:1: unknown key 'orders'; did you mean 'order'?" in output


def test_flows_with_a_mistake(tmp_path: Path) -> None:
    """A mistake is told with file, line and column, and the exit code is 1."""
    flow(tmp_path, "alive")
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 1
    assert "flow.yaml:3:9: " in output
    assert "did you mean 'live'" in output


def test_replay_wants_to_know_which() -> None:
    """Nothing is published again by accident."""
    code, output = run("dead-letters", "replay")
    assert code == 2
    assert "--all" in output


def test_no_broker_is_a_message(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    """A cluster that is not there ends the command within seconds, with what to do."""
    monkeypatch.setattr("streams.doctor.PATIENCE_S", 0.5)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{unused_tcp_port}")
    code, output = run("topics", "create")
    assert code == 1
    assert "KAFKA_BOOTSTRAP_SERVERS" in output


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    setup_logs(stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_logs_are_json_without_addresses(logged: io.StringIO) -> None:
    """Each line is JSON with level and time, from structlog and from logging alike; mail addresses are blotted out, in errors too."""
    structlog.get_logger("takk").info("sent", send_id="s1", detail="to anna@shop.example")
    try:
        raise ValueError("550 <anna@shop.example> unknown")
    except ValueError:
        logging.getLogger("library").exception("refused %s", "anna@shop.example")
    first, second = (json.loads(line) for line in logged.getvalue().splitlines())
    assert (first["event"], first["send_id"], first["level"], first["detail"]) == ("sent", "s1", "info", "to <address>")
    assert first["timestamp"].endswith("Z")
    assert second["event"] == "refused <address>"
    assert "ValueError" in second["exception"]
    assert "anna" not in logged.getvalue()


@pytest.mark.parametrize("role", ["worker", "mailer"])
def test_a_process_without_a_broker_says_so(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Kafka there: a line that names the address and what to look at, not a stack of calls."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    code, said = run(role)
    assert code == 1
    assert "no answer from 127.0.0.1:1" in said
    assert "KAFKA_BOOTSTRAP_SERVERS" in said
