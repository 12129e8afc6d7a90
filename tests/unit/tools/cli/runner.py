"""Runs a command in this process, and writes a small flow for it."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from streams.tools.cli.main import main

HELLO = "flows/transactional/hello"


def run(*arguments: str) -> tuple[int, str]:
    """Run `takk` with these arguments; return the exit code and the output."""
    done = CliRunner().invoke(main, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def write_flow(templates: Path, status: str) -> None:
    """Write version 2 of the flow `hello`, with one message, to a templates directory."""
    home = templates / HELLO
    home.mkdir(parents=True)
    (home / "hi.html.j2").write_text("<p>Hi</p>")
    (home / "copy").mkdir()
    (home / "copy" / "en.yaml").write_text("hi.subject: Hi")
    (home / "flow.yaml").write_text(
        f"flow: hello\nversion: 2\nstatus: {status}\npurpose: order\ntrigger: {{on: order.placed}}\nsteps:\n  - send: {{message: hi}}\n"
    )
