"""Flow files on disk: all mistakes of all files at once, each with its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streams.core.model.consent_policy import STRICT
from streams.definitions.loader import FlowFileError, load_flows, load_ruleset, read_templates
from tests.harness.events import FOLDERS, MESSAGES, TEMPLATES

REVIEW, THANKS, RECEIPT = "flows/asking/review", "flows/care/thank-you", "flows/transactional/order-confirmation"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shop's flows with empty messages."""
    for name, messages in MESSAGES.items():
        home = tmp_path / FOLDERS[name].relative_to(TEMPLATES)
        home.mkdir(parents=True)
        shutil.copy(FOLDERS[name] / "flow.yaml", home)
        for message in messages:
            (home / f"{message}.html.j2").touch()
    shutil.copy(TEMPLATES / "consent.yaml", tmp_path)
    return tmp_path


def test_the_shop_s_flows_load(folder: Path) -> None:
    """The four flows are live and found by their triggers."""
    ruleset = load_ruleset(folder, day_scale=0.5)
    assert [flow.name for flow in ruleset.flows] == sorted(MESSAGES)
    assert {flow.status for flow in ruleset.flows} == {"live"}
    assert {on: [one.flow.name for one in found] for on, found in ruleset.by_trigger.items()} == {
        "order.placed": ["order-confirmation", "thank-you"],
        "shipment.delivered": ["review"],
        "shipment.shipped": ["shipment-confirmation"],
    }
    assert ruleset.day_scale == 0.5


def test_all_mistakes_at_once(folder: Path) -> None:
    """A missing message, a bad word and a file that is no text are told together, as file:line:column."""
    (folder / REVIEW / "ask.html.j2").unlink()
    flow = folder / THANKS / "flow.yaml"
    flow.write_text(flow.read_text().replace("status: live", "status: lve"))
    (folder / RECEIPT / "flow.yaml").write_bytes(b"flow: \xff")
    with pytest.raises(FlowFileError) as caught:
        load_flows(folder)
    assert len(caught.value.errors) == 3
    words = str(caught.value)
    assert (
        f"{folder}/{REVIEW}/flow.yaml:16:29: there is no message 'ask'; known: ask-first-time (or add ask.html.j2)"
        in words
    )
    assert f"{flow}:3:9: unknown status 'lve'; did you mean 'live'?" in words
    assert "is not UTF-8" in words


def test_no_flows(tmp_path: Path) -> None:
    """An empty folder and a missing one are mistakes: a Takk without flows would do nothing and say nothing."""
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FlowFileError):
            load_ruleset(folder)


def keep(folder: Path, name: str, version: int, newest: int) -> Path:
    """The review flow at version `newest`, and a copy of it as an older one called `name`."""
    path = folder / REVIEW / "flow.yaml"
    text = path.read_text()
    path.write_text(text.replace("version: 1", f"version: {newest}"))
    (path.parent / name).write_text(text.replace("version: 1", f"version: {version}"))
    return path.parent / name


def test_older_versions_are_kept(folder: Path) -> None:
    """flow.v3.yaml is loaded for who is still on it, and begins for nobody; a message that only it sends is not unused."""
    kept = keep(folder, "flow.v3.yaml", 3, 12)
    kept.write_text(kept.read_text().replace("message: ask,", "message: ask-old,"))
    (folder / REVIEW / "ask-old.html.j2").touch()
    found = read_templates(folder)
    assert (found.errors, found.warnings) == ((), ())
    assert [(flow.name, flow.version) for flow in found.newest if flow.name == "review"] == [("review", 12)]
    ruleset = load_ruleset(folder)
    assert sorted(ruleset.by_name["review"]) == [3, 12]
    assert [compiled.flow.version for compiled in ruleset.by_trigger["shipment.delivered"]] == [12]


@pytest.mark.parametrize(
    ("name", "version", "newest", "line", "words"),
    [
        ("flow.v3.yaml", 4, 5, "flow.v3.yaml:2:10: ", "the file's name says version 3, the file itself 4"),
        ("flow.v3.yaml", 3, 3, "flow.v3.yaml:2:10: ", "but flow.yaml has version 3; give flow.yaml a higher version"),
        ("flow.v3.yaml", 3, 2, "flow.v3.yaml:2:10: ", "but flow.yaml has version 2; give flow.yaml a higher version"),
        ("flow.v03.yaml", 3, 4, "flow.v03.yaml:1:1: ", "rename it"),
        ("flow.old.yaml", 3, 4, "flow.old.yaml:1:1: ", "kept as flow.v<version>.yaml"),
    ],
)
def test_versions_that_do_not_fit(folder: Path, name: str, version: int, newest: int, line: str, words: str) -> None:
    """A name that says something else than the file, a version that is there twice or newer than the flow, a name that says none."""
    keep(folder, name, version, newest)
    with pytest.raises(FlowFileError) as caught:
        load_flows(folder)
    (told,) = caught.value.errors
    assert line in told
    assert words in told


def test_migrations_are_checked(folder: Path) -> None:
    """A mapping that cannot be is told at its place; so is one from a version that is not kept."""
    keep(folder, "flow.v3.yaml", 3, 4)
    path = folder / REVIEW / "flow.yaml"
    good = path.read_text() + 'migrations: [{from: 3, steps: {"1": "1"}}]\n'
    path.write_text(good)
    flow = read_templates(folder).newest[1]
    assert [(one.version, one.steps) for one in flow.migrations] == [(3, (("1", "1"),))]
    path.write_text(good.replace('{"1": "1"}', '{"1": "1", "0": "1"}'))
    with pytest.raises(FlowFileError, match=rf"{path}:17:47: nobody waits to take the step 0 of version 3"):
        load_flows(folder)
    path.write_text(good.replace("from: 3", "from: 2"))
    with pytest.raises(FlowFileError, match=rf"{path}:17:14: version 2 is not there"):
        load_flows(folder)


def test_only_older_versions(folder: Path) -> None:
    """A folder with older versions and no flow is a mistake: its runs would have nowhere to begin."""
    (folder / REVIEW / "flow.yaml").rename(folder / REVIEW / "flow.v1.yaml")
    with pytest.raises(FlowFileError, match=r"review/flow\.yaml:1:1: older versions are kept here, but not the flow"):
        load_flows(folder)


def test_guards_are_told_with_their_place(folder: Path) -> None:
    """What the guards find has file, line and column; a warning does not keep the flows from loading."""
    path = folder / REVIEW / "flow.yaml"
    path.write_text(path.read_text() + "  - wait: 1d\n")
    found = read_templates(folder)
    assert [str(one) for one in found.warnings] == [
        f"{path}:17:5: nothing comes after this wait; take it out, or add a step"
    ]
    assert len(load_flows(folder)) == len(MESSAGES)
    path.write_text(path.read_text().replace("customer.orders == 1", "true"))
    with pytest.raises(FlowFileError, match=rf"{path}:15:9: this arm is never taken"):
        load_ruleset(folder)


def test_the_consent_policy_comes_from_beside_the_flows(folder: Path) -> None:
    """The shop's own file; without one the strictest, so that receipts go on and nobody is mailed by mistake."""
    assert load_ruleset(folder).consent_policy.line("marketing", "DK").verdict == "soft_opt_in"
    (folder / "consent.yaml").unlink()
    assert load_ruleset(folder).consent_policy is STRICT


def test_mistakes_of_flows_and_of_the_consent_policy_are_told_together(folder: Path) -> None:
    """A worker that does not start says everything at once."""
    flow, consent = folder / THANKS / "flow.yaml", folder / "consent.yaml"
    flow.write_text(flow.read_text().replace("status: live", "status: lve"))
    text = (TEMPLATES / "consent.yaml").read_text(encoding="utf-8")
    consent.write_text(text.replace("  US:", "  UK:", 1), encoding="utf-8")
    line = text[: text.index("  US:")].count("\n") + 1
    with pytest.raises(FlowFileError) as caught:
        load_ruleset(folder)
    assert caught.value.errors == [
        f"{consent}:{line}:3: unknown country 'UK'; did you mean 'GB'?",
        f"{flow}:3:9: unknown status 'lve'; did you mean 'live'?",
    ]
    consent.write_bytes(b"order: \xff")
    with pytest.raises(FlowFileError, match=r"consent\.yaml:1:1: the file is not UTF-8 at byte 7"):
        load_ruleset(folder)


def test_a_folder_s_name_does_nothing_to_the_terminal(tmp_path: Path) -> None:
    """Escape sequences in the name of a folder are shown, not obeyed."""
    home = tmp_path / "flows" / "care" / "a\x1b[31mb"
    home.mkdir(parents=True)
    (home / "flow.yaml").write_text("flow: a\n")
    assert "\x1b" not in "".join(map(str, read_templates(tmp_path).errors))
