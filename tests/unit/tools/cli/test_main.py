"""The help of all commands: complete, with examples, and quick."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from streams.tools.cli.main import main
from tests.unit.tools.cli.runner import run


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


@pytest.mark.parametrize("path", [path for path, _ in commands(main)], ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    """Each command has a help text, and so has each of its options."""
    code, output = run(*path, "--help")
    assert code == 0
    command = dict(commands(main))[path]
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))
    assert "Usage:" in output


@pytest.mark.parametrize(
    "path",
    [
        path
        for path, one in commands(main)
        if any(isinstance(word, click.Argument) or word.required for word in one.params)
    ],
    ids=" ".join,
)
def test_every_command_with_arguments_shows_an_example(path: tuple[str, ...]) -> None:
    """The help of a command that needs arguments or options has a line to copy."""
    assert f"  takk {' '.join(path)} " in run(*path, "--help")[1].partition("Usage:")[2].partition("\n")[2]


def test_help_teaches() -> None:
    """The help of `takk` shows the commands from a trial to production."""
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


@pytest.mark.parametrize("path", [(), *(p for p, c in commands(main) if isinstance(c, click.Group))], ids=" ".join)
def test_lists_of_commands_are_complete(path: tuple[str, ...]) -> None:
    """The summary of each command fits into its line of the list."""
    assert "..." not in run(*path, "--help")[1].partition("Commands:")[2]


def test_help_loads_nothing_heavy() -> None:
    """The help imports neither Faust nor a Kafka client, RocksDB, Jinja or pydantic."""
    heavy = ("faust", "aiokafka", "confluent_kafka", "rocksdict", "jinja2", "pydantic")
    code = f"import sys, streams.tools.cli.main; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("number", ["nan", "inf", "1e12", "-1", "many"])
@pytest.mark.parametrize(
    "words",
    [("why", "c1", "--days"), ("simulate", "--from", "x.avro", "--days"), ("demo", "--for"), ("demo", "--rate")],
    ids=" ".join,
)
def test_invalid_numbers(words: tuple[str, ...], number: str) -> None:
    """An invalid number of days, seconds or orders is rejected before anything starts, and the option is named."""
    code, output = run(*words, number)
    assert code == 2
    assert f"Invalid value for '{words[-1]}'" in output
