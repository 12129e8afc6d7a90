"""The command: its help, what it says of mistakes, and that it starts fast."""

from __future__ import annotations

import io
import json
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import structlog
from click.testing import CliRunner

from streams.observability.logs import setup_logs
from streams.settings import Settings, env_name
from streams.tools.cli import main

SECRET = "a-secret-that-is-long-enough"
HELLO = "flows/transactional/hello"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(env_name(field), raising=False)


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main.main, words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


@pytest.mark.parametrize("path", [path for path, _ in commands(main.main)], ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    """Each command has a help text, and so has each of its options."""
    code, output = run(*path, "--help")
    assert code == 0
    command = dict(commands(main.main))[path]
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))
    assert "Usage:" in output


@pytest.mark.parametrize(
    "path",
    [
        path
        for path, one in commands(main.main)
        if any(isinstance(word, click.Argument) or word.required for word in one.params)
    ],
    ids=" ".join,
)
def test_every_command_that_wants_words_shows_an_example(path: tuple[str, ...]) -> None:
    """The help of a command that does nothing without them has a line to copy."""
    assert f"  takk {' '.join(path)} " in run(*path, "--help")[1].partition("Usage:")[2].partition("\n")[2]


def test_help_teaches() -> None:
    """The first help shows the way from a trial to production."""
    _, output = run("--help")
    for words in (
        "takk demo --for 60",
        "KAFKA_BOOTSTRAP_SERVERS",
        "takk doctor",
        "takk topics create",
        "takk flows check",
        "takk simulate",
        "takk why",
    ):
        assert words in output


@pytest.mark.parametrize("path", [(), *(p for p, c in commands(main.main) if isinstance(c, click.Group))], ids=" ".join)
def test_lists_of_commands_are_whole(path: tuple[str, ...]) -> None:
    """What a list says of a command fits into its line."""
    assert "..." not in run(*path, "--help")[1].partition("Commands:")[2]


def test_help_loads_nothing_heavy() -> None:
    """Neither Faust nor Kafka's client nor RocksDB is loaded for the help."""
    code = "import sys, streams.tools.cli.main; print([m for m in ('faust', 'confluent_kafka', 'rocksdict', 'jinja2') if m in sys.modules])"
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
    home = folder / HELLO
    home.mkdir(parents=True)
    (home / "hi.html.j2").write_text("<p>Hi</p>")
    (home / "copy").mkdir()
    (home / "copy" / "en.yaml").write_text("hi.subject: Hi")
    (home / "flow.yaml").write_text(
        f"flow: hello\nversion: 2\nstatus: {status}\npurpose: order\ntrigger: {{on: order.placed}}\nsteps:\n  - send: {{message: hi}}\n"
    )


def test_no_consent_policy(tmp_path: Path) -> None:
    """Without consent.yaml `flows check` warns a shop that sends more than receipts; with a broken one it says where it is broken."""
    flow(tmp_path, "live")
    path = tmp_path / HELLO / "flow.yaml"
    path.write_text(path.read_text().replace("purpose: order", "purpose: marketing"))
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 0
    assert "consent.yaml:1:1: there is no such file: only what is owed goes, and what a customer agreed to" in output
    (tmp_path / "consent.yaml").write_text("orders: {}\n")
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 1
    assert f"{tmp_path}/consent.yaml:1:1: unknown key 'orders'; did you mean 'order'?" in output


def test_flows(tmp_path: Path) -> None:
    """`flows check` and `flows list` read the folder given, and say what they found."""
    flow(tmp_path, "live")
    assert run("flows", "check", "--templates", str(tmp_path)) == (0, "1 flow, 0 segments, 0 rules: no mistakes.\n")
    code, output = run("flows", "list", "--templates", str(tmp_path))
    assert code == 0
    head, row = output.splitlines()
    assert head.split() == ["NAME", "VERSION", "STATUS", "PURPOSE", "TRIGGER", "SENDS"]
    assert row.split() == ["hello", "2", "live", "order", "order.placed", "hi"]
    _, output = run("flows", "list", "--json", "--templates", str(tmp_path))
    assert json.loads(output) == {
        "name": "hello",
        "version": 2,
        "status": "live",
        "purpose": "order",
        "trigger": "order.placed",
        "sends": ["hi"],
    }


def test_flows_with_a_mistake(tmp_path: Path) -> None:
    """A mistake is told with file, line and column, and the exit code is 1; `list` tells it too."""
    flow(tmp_path, "alive")
    for command in ("check", "list"):
        code, output = run("flows", command, "--templates", str(tmp_path))
        assert code == 1
        assert "flow.yaml:3:9: " in output
        assert "did you mean 'live'" in output
        assert "1 mistake." in output


def test_messages_are_checked(tmp_path: Path) -> None:
    """A message that could not be written fails the check, at its place; in JSON too."""
    flow(tmp_path, "live")
    (tmp_path / HELLO / "hi.html.j2").write_text("<p>Hi</p>\n{{ ordr.total }}\n")
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 1
    assert f"{tmp_path}/{HELLO}/hi.html.j2:2:4: unknown name 'ordr'; did you mean 'order'?\n" in output
    code, output = run("flows", "check", "--json", "--templates", str(tmp_path))
    assert (code, [one["line"] for one in json.loads(output)["errors"]]) == (1, [2])


def test_segments_and_rules_are_checked(tmp_path: Path) -> None:
    """Mistakes in segments.yaml and rules.yaml are told beside those of flows; what is right is counted."""
    flow(tmp_path, "live")
    (tmp_path / "segments.yaml").write_text("new: customer.orders == 1\nold: customer.ordrs > 1\n")
    (tmp_path / "rules.yaml").write_text("caps: [{most: 2, per: 1d}]\nholdout: 100\n")
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 1
    assert f"{tmp_path}/segments.yaml:2:6: unknown name customer.ordrs; did you mean customer.orders?" in output
    assert f"{tmp_path}/rules.yaml:2:10: '100' is not a whole number between 1 and 99" in output
    (tmp_path / "segments.yaml").write_text("new: customer.orders == 1\n")
    (tmp_path / "rules.yaml").write_text("caps: [{most: 2, per: 1d}, {most: 4, per: 7d}]\ncalm: {while_late: true}\n")
    assert run("flows", "check", "--templates", str(tmp_path)) == (0, "1 flow, 1 segment, 3 rules: no mistakes.\n")


def test_warnings(tmp_path: Path) -> None:
    """A warning is told as one and does not fail the check; `--json` has both kinds, with their places."""
    flow(tmp_path, "live")
    (tmp_path / HELLO / "old.html.j2").touch()
    code, output = run("flows", "check", "--templates", str(tmp_path))
    place = f"{tmp_path}/{HELLO}/flow.yaml:1:7: "
    assert code == 0
    assert f"warning: {place}no step sends the message 'old'; " in output
    assert output.endswith("1 flow, 0 segments, 0 rules: no mistakes, 1 warning.\n")
    code, output = run("flows", "check", "--json", "--templates", str(tmp_path))
    told = json.loads(output)
    assert (code, told["flows"], told["errors"]) == (0, 1, [])
    assert [(one["line"], one["column"], one["problem"]) for one in told["warnings"]] == [
        (1, 7, "no step sends the message 'old'")
    ]


def test_show(tmp_path: Path) -> None:
    """A flow as text, as a Mermaid chart, and as a picture in a file; one that there is not is a message with the nearest name."""
    flow(tmp_path, "live")
    where = ("--templates", str(tmp_path))
    code, output = run("flows", "show", "hello", *where)
    assert code == 0
    assert "begins on order.placed" in output
    assert "0 send hi" in output
    assert run("flows", "show", "hello", "--mermaid", *where)[1].startswith("flowchart TD\n")
    picture = tmp_path / "hello.svg"
    code, output = run("flows", "show", "hello", "--svg", str(picture), *where)
    assert (code, output) == (0, f"Written: {picture}.\n")
    assert picture.read_text().startswith("<svg ")
    code, output = run("flows", "show", "helo", *where)
    assert code == 1
    assert "there is no flow 'helo'; did you mean 'hello'?" in output
    code, output = run("flows", "show", "hello", "--version", "1", *where)
    assert code == 1
    assert "there is no version 1 of hello; known: 2" in output
    code, output = run("flows", "show", "hello", "--svg", str(tmp_path / "no" / "where.svg"), *where)
    assert code == 1
    assert "cannot be written" in output


def test_schema() -> None:
    """The schema is JSON on standard output, and needs no folder."""
    code, output = run("flows", "schema")
    assert code == 0
    assert json.loads(output)["title"] == "A flow of Takk"


def test_migrate(tmp_path: Path) -> None:
    """Where people wait, what a mapping would do, and what to write: taken as it is printed, it loads. Nothing is changed."""
    flow(tmp_path, "live")
    where = ("--templates", str(tmp_path))
    home = tmp_path / HELLO
    text = (home / "flow.yaml").read_text()
    code, output = run("flows", "migrate", "hello", *where)
    assert code == 1
    assert "no older version of hello is kept" in output
    kept = text.replace("version: 2", "version: 1").replace("steps:\n", "steps:\n  - wait: 3d\n")
    (home / "flow.v1.yaml").write_text(kept)
    code, output = run("flows", "migrate", "hello", *where)
    assert code == 0
    assert "1 send hi, priority 50, expires after 5 days  finishes on its own version" in output
    assert "--map PATH=PATH" in output
    code, output = run("flows", "migrate", "hello", "--map", "0=0", *where)
    assert code == 1
    assert "who is in that wait goes on with 1: map that" in output
    code, output = run("flows", "migrate", "hello", "--map", "1", *where)
    assert code == 2
    assert "is not OLD=NEW" in output
    code, output = run("flows", "migrate", "hello", "--map", "1=0", *where)
    assert code == 0
    assert "1 send hi, priority 50, expires after 5 days  -> 0 send hi" in output
    assert (home / "flow.yaml").read_text() == text
    (home / "flow.yaml").write_text(text + "\n".join(output.partition("workers:\n")[2].splitlines()[:3]))
    code, output = run("flows", "check", *where)
    assert (code, output) == (0, "1 flow, 1 older version, 0 segments, 0 rules: no mistakes.\n")
    code, output = run("flows", "migrate", "hello", *where)
    assert code == 0
    assert "1 send hi, priority 50, expires after 5 days  -> 0 send hi" in output
    assert "hello/flow.yaml says so." in output
    assert "--map" not in output
    assert "write this" not in output


def test_replay_wants_to_know_which() -> None:
    """Nothing is published again by accident."""
    code, output = run("dead-letters", "replay")
    assert code == 2
    assert "--all" in output


@pytest.mark.parametrize("number", ["nan", "inf", "1e12", "-1", "many"])
@pytest.mark.parametrize(
    "words",
    [("why", "c1", "--days"), ("simulate", "--from", "x.avro", "--days"), ("demo", "--for"), ("demo", "--rate")],
    ids=" ".join,
)
def test_numbers_that_are_none(words: tuple[str, ...], number: str) -> None:
    """What is no number of days, seconds or orders is refused before anything starts, and the option is named."""
    code, output = run(*words, number)
    assert code == 2
    assert f"Invalid value for '{words[-1]}'" in output


def test_a_kafka_that_cannot_start(tmp_path: Path, unused_tcp_port: int) -> None:
    """A port that something else listens on is not taken for a start; a folder that cannot be made is a message too."""
    with socket.create_server(("127.0.0.1", unused_tcp_port)):
        code, output = run("kafka", "start", "--dir", str(tmp_path / "k"), "--port", str(unused_tcp_port))
    assert code == 1
    assert f"something listens on port {unused_tcp_port} already" in output
    assert "--port" in output
    (tmp_path / "file").touch()
    code, output = run("kafka", "start", "--dir", str(tmp_path / "file" / "k"), "--port", str(unused_tcp_port))
    assert code == 1
    assert f"{tmp_path / 'file' / 'k'} cannot be written" in output


def test_a_demo_that_has_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which nothing can be made is a message."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".takk").touch()
    code, output = run("demo", "--for", "1")
    assert code == 1
    assert ".takk/demo cannot be written: Not a directory" in output


def test_no_broker_is_a_message(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    """A cluster that is not there ends the command within seconds, with what to do."""
    monkeypatch.setattr("streams.tools.operations.doctor.PATIENCE_S", 0.5)
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
