"""`takk flows`: the errors it prints, the list, the drawings, the schema and the plan of a migration."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.tools.cli.runner import HELLO, run, write_flow


def test_no_consent_policy(tmp_path: Path) -> None:
    """Without consent.yaml `flows check` warns a shop that sends more than receipts; an invalid one is an error with its position."""
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
    assert "consent.W001" not in output  # the file is not missing


def test_flows(tmp_path: Path) -> None:
    """`flows check` and `flows list` read the given directory, and count the flows."""
    write_flow(tmp_path, "live")
    assert run("flows", "check", "--templates", str(tmp_path)) == (0, "1 flow, 0 segments, 0 rules: no errors.\n")
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


def test_flows_with_an_error(tmp_path: Path) -> None:
    """An error is printed with file, line and column, and the exit code is 1; `list` prints it too."""
    write_flow(tmp_path, "alive")
    for command in ("check", "list"):
        code, output = run("flows", command, "--templates", str(tmp_path))
        assert code == 1
        assert "flow.yaml:3:9: " in output
        assert "did you mean 'live'" in output
        assert "1 error." in output


def test_messages_are_checked(tmp_path: Path) -> None:
    """A message that cannot be rendered fails the check, with its position; in JSON too."""
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
    """Errors in segments.yaml and rules.yaml are printed with those of flows; valid entries are counted."""
    write_flow(tmp_path, "live")
    (tmp_path / "segments.yaml").write_text("new: customer.orders == 1\nold: customer.ordrs > 1\n")
    (tmp_path / "rules.yaml").write_text("caps: [{most: 2, per: 1d}]\nholdout: 100\n")
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 1
    assert f"{tmp_path}/segments.yaml:2:6: error condition.E009: " in output
    assert f"{tmp_path}/rules.yaml:2:10: error yaml.E013: " in output
    (tmp_path / "segments.yaml").write_text("new: customer.orders == 1\n")
    (tmp_path / "rules.yaml").write_text("caps: [{most: 2, per: 1d}, {most: 4, per: 7d}]\ncalm: {while_late: true}\n")
    assert run("flows", "check", "--templates", str(tmp_path)) == (0, "1 flow, 1 segment, 3 rules: no errors.\n")


def test_the_brand_is_checked(tmp_path: Path) -> None:
    """Errors in brand.yaml fail `flows check`, but not the commands that only read flows, as a worker does."""
    write_flow(tmp_path, "live")
    (tmp_path / "shared").mkdir(exist_ok=True)
    (tmp_path / "shared" / "brand.yaml").write_text("name: Tea\nlgo: tea.svg\n")
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 1
    assert f"{tmp_path}/shared/brand.yaml:2:1: error yaml.E010: unknown key 'lgo' (did you mean 'logo'?)\n" in output
    assert run("flows", "list", "--templates", str(tmp_path))[0] == 0


def test_service_emails_are_listed(tmp_path: Path) -> None:
    """Each service email is listed for a person to judge, in JSON too."""
    write_flow(tmp_path, "live")
    path = tmp_path / HELLO / "flow.yaml"
    path.write_text(path.read_text().replace("purpose: order", "purpose: service"))
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 0
    assert "to review: hello/hi is a service email, which customers get without consent\n" in output
    _, output = run("flows", "check", "--json", "--templates", str(tmp_path))
    assert json.loads(output)["service"] == ["hello/hi"]


def test_languages_that_stand_in_for_others(tmp_path: Path) -> None:
    """The copies that customers of each language get are printed, in JSON too."""
    write_flow(tmp_path, "live")
    for language in ("pt", "pt-BR", "zh-Hant"):
        (tmp_path / HELLO / "copy" / f"{language}.yaml").write_text("hi.subject: Hi")
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 0
    assert "languages: en, pt > pt-BR, pt-BR > pt, zh-Hant; all others get en\n" in output
    _, output = run("flows", "check", "--json", "--templates", str(tmp_path))
    assert json.loads(output)["languages"] == {
        "en": ["en"],
        "pt": ["pt", "pt-BR"],
        "pt-BR": ["pt-BR", "pt"],
        "zh-Hant": ["zh-Hant"],
        "*": ["en"],
    }


def test_warnings(tmp_path: Path) -> None:
    """A warning does not fail the check; `--json` has errors and warnings, with their positions."""
    write_flow(tmp_path, "live")
    (tmp_path / HELLO / "old.html.j2").touch()
    code, output = run("flows", "check", "--templates", str(tmp_path))
    place = f"{tmp_path}/{HELLO}/flow.yaml:1:7: "
    assert code == 0
    assert f"{place}warning flow.W002: no step sends message 'old' (hint: " in output
    assert output.endswith("1 flow, 0 segments, 0 rules: no errors, 1 warning.\n")
    code, output = run("flows", "check", "--json", "--templates", str(tmp_path))
    report = json.loads(output)
    assert (code, report["flows"], report["errors"]) == (0, 1, [])
    assert [(one["line"], one["column"], one["id"], one["level"]) for one in report["warnings"]] == [
        (1, 7, "flow.W002", "warning")
    ]


def test_show(tmp_path: Path) -> None:
    """A flow as text, as a Mermaid chart and as SVG; an unknown flow is an error that suggests the nearest name."""
    write_flow(tmp_path, "live")
    where = ("--templates", str(tmp_path))
    code, output = run("flows", "show", "hello", *where)
    assert code == 0
    assert "starts on order.placed" in output
    assert "0 send hi" in output
    assert run("flows", "show", "hello", "--mermaid", *where)[1].startswith("flowchart TD\n")
    picture = tmp_path / "hello.svg"
    code, output = run("flows", "show", "hello", "--svg", str(picture), *where)
    assert (code, output) == (0, f"Wrote {picture}.\n")
    assert picture.read_text().startswith("<svg ")
    code, output = run("flows", "show", "helo", *where)
    assert code == 1
    assert "unknown flow 'helo'; did you mean 'hello'?" in output
    code, output = run("flows", "show", "hello", "--version", "1", *where)
    assert code == 1
    assert "unknown version 1 of hello; known: 2" in output
    code, output = run("flows", "show", "hello", "--svg", str(tmp_path / "no" / "where.svg"), *where)
    assert code == 1
    assert "cannot write" in output


def test_schema() -> None:
    """The schema is JSON on standard output, and needs no directory."""
    code, output = run("flows", "schema")
    assert code == 0
    assert json.loads(output)["title"] == "A flow of Takk"


def test_migrate(tmp_path: Path) -> None:
    """The steps where customers wait, the effect of a mapping, and the lines for flow.yaml, which load as printed. Nothing is changed."""
    write_flow(tmp_path, "live")
    where = ("--templates", str(tmp_path))
    home = tmp_path / HELLO
    text = (home / "flow.yaml").read_text()
    code, output = run("flows", "migrate", "hello", *where)
    assert code == 1
    assert "hello has no older version" in output
    kept = text.replace("version: 2", "version: 1").replace("steps:\n", "steps:\n  - wait: 3d\n")
    (home / "flow.v1.yaml").write_text(kept)
    code, output = run("flows", "migrate", "hello", *where)
    assert code == 0
    assert "1 send hi, priority 50, expires after 5 days  finishes on its own version" in output
    assert "--map OLD=NEW" in output
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
    assert (code, output) == (0, "1 flow, 1 older version, 0 segments, 0 rules: no errors.\n")
    code, output = run("flows", "migrate", "hello", *where)
    assert code == 0
    assert "1 send hi, priority 50, expires after 5 days  -> 0 send hi" in output
    assert "hello/flow.yaml already contains this migration." in output
    assert "--map" not in output
    assert "Add these lines" not in output


def test_stories_are_checked(tmp_path: Path) -> None:
    """A story of the folder that cannot be played is an error of the check too, with its position. One that can be played is not."""
    write_flow(tmp_path, "live")
    (tmp_path / "stories").mkdir()
    story = tmp_path / "stories" / "anna.yaml"
    story.write_text(
        "story: anna\ntitle: Anna\nabout: Buys\ncustomer: {name: Anna, country: DK, language: da}\nevents:\n  - {day: 1, no-such: S-1}\n"
    )
    code, output = run("flows", "check", "--templates", str(tmp_path))
    assert code == 1
    assert f"{story}:" in output
    assert "error" in output
    story.unlink()
    assert run("flows", "check", "--templates", str(tmp_path))[0] == 0
