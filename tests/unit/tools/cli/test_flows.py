"""`takk flows`: the errors it prints, the list, the drawings, the schema and the plan of a migration."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.tools.cli.runner import HELLO, run, write_flow


def test_no_consent_policy(tmp_path: Path) -> None:
    """Without consent.yaml `flows check` warns a shop that sends more than receipts; with a broken one it says where it is broken."""
    write_flow(tmp_path, "live")
    path = tmp_path / HELLO / "flow.yaml"
    path.write_text(path.read_text().replace("purpose: order", "purpose: marketing"))
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 0
    assert "consent.yaml:1:1: warning consent.W001: missing file: only transactional emails" in output
    (tmp_path / "consent.yaml").write_text("orders: {}\n")
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 1
    assert f"{tmp_path}/consent.yaml:1:1: error yaml.E010: unknown key 'orders' (did you mean 'order'?)\n" in output


def test_flows(tmp_path: Path) -> None:
    """`flows check` and `flows list` read the folder given, and say what they found."""
    write_flow(tmp_path, "live")
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
    write_flow(tmp_path, "alive")
    for command in ("check", "list"):
        code, output = run("flows", command, "--templates", str(tmp_path))
        assert code == 1
        assert "flow.yaml:3:9: " in output
        assert "did you mean 'live'" in output
        assert "1 mistake." in output


def test_messages_are_checked(tmp_path: Path) -> None:
    """A message that could not be written fails the check, at its place; in JSON too."""
    write_flow(tmp_path, "live")
    (tmp_path / HELLO / "hi.html.j2").write_text("<p>Hi</p>\n{{ ordr.total }}\n")
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 1
    assert (
        f"{tmp_path}/{HELLO}/hi.html.j2:2:4: error message.E002: unknown name 'ordr' (did you mean 'order'?)\n"
        in output
    )
    code, output = run("flows", "check", "--json", "--templates", str(tmp_path))
    assert (code, [one["line"] for one in json.loads(output)["errors"]]) == (1, [2])


def test_segments_and_rules_are_checked(tmp_path: Path) -> None:
    """Mistakes in segments.yaml and rules.yaml are told beside those of flows; what is right is counted."""
    write_flow(tmp_path, "live")
    (tmp_path / "segments.yaml").write_text("new: customer.orders == 1\nold: customer.ordrs > 1\n")
    (tmp_path / "rules.yaml").write_text("caps: [{most: 2, per: 1d}]\nholdout: 100\n")
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 1
    assert f"{tmp_path}/segments.yaml:2:6: error condition.E009: " in output
    assert f"{tmp_path}/rules.yaml:2:10: error yaml.E013: " in output
    (tmp_path / "segments.yaml").write_text("new: customer.orders == 1\n")
    (tmp_path / "rules.yaml").write_text("caps: [{most: 2, per: 1d}, {most: 4, per: 7d}]\ncalm: {while_late: true}\n")
    assert run("flows", "check", "--templates", str(tmp_path)) == (0, "1 flow, 1 segment, 3 rules: no mistakes.\n")


def test_warnings(tmp_path: Path) -> None:
    """A warning is told as one and does not fail the check; `--json` has both kinds, with their places."""
    write_flow(tmp_path, "live")
    (tmp_path / HELLO / "old.html.j2").touch()
    code, output = run("flows", "check", "--templates", str(tmp_path))
    place = f"{tmp_path}/{HELLO}/flow.yaml:1:7: "
    assert code == 0
    assert f"{place}warning flow.W002: no step sends message 'old' (hint: " in output
    assert output.endswith("1 flow, 0 segments, 0 rules: no mistakes, 1 warning.\n")
    code, output = run("flows", "check", "--json", "--templates", str(tmp_path))
    told = json.loads(output)
    assert (code, told["flows"], told["errors"]) == (0, 1, [])
    assert [(one["line"], one["column"], one["id"], one["level"]) for one in told["warnings"]] == [
        (1, 7, "flow.W002", "warning")
    ]


def test_show(tmp_path: Path) -> None:
    """A flow as text, as a Mermaid chart, and as a picture in a file; one that there is not is a message with the nearest name."""
    write_flow(tmp_path, "live")
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
    write_flow(tmp_path, "live")
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
    assert "error flow.E058: " in output
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
