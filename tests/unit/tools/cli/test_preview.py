"""`takk preview`, `takk flows new` and `takk templates`: what they print, and their exit codes."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.harness.fixed_flows import FLOWS, templates_with
from tests.harness.small_templates import FLOW, write_folder
from tests.unit.tools.cli.runner import run


@pytest.fixture(autouse=True)
def _without_chromium(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


def test_a_gallery_and_its_changes(tmp_path: Path) -> None:
    """Without Chromium the command says so; with --against it prints a line per changed email."""
    root = write_folder(tmp_path / "shop")
    before, after = str(tmp_path / "before"), str(tmp_path / "after")
    code, output = run("preview", "--templates", str(root), "--out", before)
    assert code == 0
    assert "Chromium is not installed" in output
    assert f"Wrote 4 emails, 0 pictures and 7 stories: {before}/index.html" in output
    assert "The first order" in (tmp_path / "before" / "story-first-time.html").read_text()
    copy = root / FLOW / "copy" / "en.yaml"
    copy.write_text(copy.read_text().replace("Hello there", "Good day"))
    code, output = run("preview", "--templates", str(root), "--out", after, "--against", before)
    assert code == 0
    assert "hello/hi en example: subject" in output
    assert "4 emails: 1 changed, 0 new, 0 removed, 3 unchanged." in output


def test_a_part_of_the_gallery(tmp_path: Path) -> None:
    """Flows and languages can be selected, and sample data added."""
    root, out = write_folder(tmp_path / "shop"), tmp_path / "out"
    code, output = run("preview", "--templates", str(root), "--out", str(out), "--language", "da", "--samples")
    assert code == 0
    assert "6 emails" in output
    code, output = run("preview", "--templates", str(root), "--out", str(out), "--flow", "other")
    assert code == 1
    assert "no message is selected" in output


@pytest.mark.parametrize("options", [("--flow", "hello"), ("--language", "en"), ("--samples",), ("--against", ".")])
def test_options_of_galleries(options: tuple[str, ...]) -> None:
    """Options of galleries need --out."""
    code, output = run("preview", *options)
    assert code == 2
    assert "need --out" in output


def test_the_page(tmp_path: Path) -> None:
    """The command prints the address of the page, and SIGTERM ends it without an error."""
    command = [sys.executable, "-m", "streams", "preview", "--port", "0", "--templates", str(write_folder(tmp_path))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert "Hello there" in answer.read().decode()
        process.terminate()
        assert process.wait(60) == 0


def test_the_same_folder_twice(tmp_path: Path) -> None:
    """A gallery is not compared with itself."""
    assert run("preview", "--out", str(tmp_path), "--against", str(tmp_path))[0] == 2


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    """Without a templates folder the commands say how to make one."""
    missing = str(tmp_path / "missing")
    for command in (("preview", "--templates", missing), ("templates", "test", missing)):
        code, output = run(*command)
        assert code == 1
        assert "takk templates init" in output


def test_against_something_else(tmp_path: Path) -> None:
    """A folder that is not a gallery is an error."""
    root, other = write_folder(tmp_path / "shop"), tmp_path / "other"
    other.mkdir()
    code, output = run("preview", "--templates", str(root), "--out", str(tmp_path / "out"), "--against", str(other))
    assert code == 1
    assert "is not a gallery" in output


def test_a_new_flow(tmp_path: Path) -> None:
    """The command copies a flow of the folder, or of Takk, prints what is next, and never overwrites."""
    root = write_folder(tmp_path / "shop")
    code, output = run("flows", "new", "welcome", "--from", "hello", "--templates", str(root))
    assert code == 0
    assert f"Wrote {root}/flows/care/welcome, a copy of hello and a draft." in output
    assert f"takk preview --templates {root}" in output
    assert "status: draft" in (root / "flows" / "care" / "welcome" / "flow.yaml").read_text()
    code, output = run("flows", "new", "welcome", "--from", "hello", "--templates", str(root))
    assert code == 1
    assert "exists" in output
    assert run("flows", "new", "my-review", "--from", "review", "--templates", str(root))[0] == 0
    assert (root / "flows" / "asking" / "my-review" / "ask.html.j2").is_file()
    assert run("flows", "new", "x", "--from", "nothing", "--templates", str(root))[0] == 1


def test_a_folder_of_a_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`init` writes a folder that `flows check` and `templates test` accept; a second time it refuses."""
    templates_with(FLOWS, tmp_path / "templates")
    monkeypatch.setattr("streams.settings.PROJECT_ROOT", tmp_path)
    target = str(tmp_path / "shop")
    code, output = run("templates", "init", target, "--name", "Tea Shop", "--live", "review")
    assert code == 0
    assert "These flows are live, all others are drafts: address-changed" in output
    assert f"export TAKK_TEMPLATES_DIR={target}" in output
    assert run("templates", "init", target)[0] == 1
    code, output = run("templates", "test", target)
    assert code == 0, output
    assert "Contrast: not measured, because Chromium is not installed." in output
    assert "Tests: 3 passed, 0 failed." in output
    assert "0 errors, " in output


def test_a_folder_with_errors(tmp_path: Path) -> None:
    """Errors of `flows check`, of emails and of tests are printed, and the exit code is 1."""
    root = write_folder(tmp_path / "shop")
    assert run("templates", "test", str(root), "--no-browser")[0] == 0
    (root / "tests").mkdir()
    (root / "tests" / "test_it.py").write_text("def test_two():\n    assert 1 == 2\n")
    code, output = run("templates", "test", str(root), "--no-browser")
    assert code == 1
    assert "test_it.py::test_two failed:" in output
    (root / "tests" / "test_it.py").unlink()
    (root / FLOW / "hi.html.j2").write_text("{{ ordr.total }}")
    code, output = run("templates", "test", str(root), "--no-browser")
    assert code == 1
    assert "message.E002" in output
    assert "hello/hi en example: error: it cannot be rendered" in output


def test_a_layer(tmp_path: Path) -> None:
    """`init --layer` writes a folder over the library, which the checks, the gallery and `copy` accept."""
    target = str(tmp_path / "shop")
    code, output = run("templates", "init", target, "--layer", "--name", "Tea Shop", "--language", "en")
    assert code == 0, output
    assert "no other runs" in output
    assert run("flows", "check", "--templates", target)[0] == 0
    code, output = run("templates", "copy", "order-confirmation", "--templates", target)
    assert code == 0, output
    assert run("templates", "copy", "order-confirmation", "--templates", target)[0] == 1
    assert "has no library.yaml" in run("templates", "copy", "review", "--templates", "templates")[1]
    out = tmp_path / "out"
    code, output = run("preview", "--templates", target, "--out", str(out), "--flow", "delivered")
    assert code == 0, output
    assert list(out.rglob("delivered.*"))
