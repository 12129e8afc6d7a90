"""The templates folder: its files are read together, and all problems are reported at once with their positions."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streams.core.rules.consent_policy import STRICT
from streams.definitions.loader import brand_problems, load_flows, load_ruleset, read_templates
from streams.definitions.problems import FlowFileError
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
    """The shop's flows are live and found by their triggers."""
    ruleset = load_ruleset(folder, day_scale=0.5)
    assert [flow.name for flow in ruleset.flows] == sorted(MESSAGES)
    assert {flow.status for flow in ruleset.flows} == {"live"}
    assert {on: [compiled.flow.name for compiled in flows] for on, flows in ruleset.by_trigger.items()} == {
        "order.placed": ["order-confirmation", "thank-you"],
        "shipment.delivered": ["review"],
        "shipment.shipped": ["shipment-confirmation"],
    }
    assert ruleset.day_scale == 0.5


def errors_of(folder: Path) -> list[str]:
    """File, position and id of each error."""
    with pytest.raises(FlowFileError) as caught:
        load_flows(folder)
    return [
        f"{(at := problem.location).file.removeprefix(f'{folder}/')}:{at.line}:{at.column} {problem.id}"
        for problem in caught.value.problems
    ]


def test_all_errors_at_once(folder: Path) -> None:
    """A missing message, an unknown value and an encoding error are reported together."""
    (folder / REVIEW / "ask.html.j2").unlink()
    flow = folder / THANKS / "flow.yaml"
    flow.write_text(flow.read_text().replace("status: live", "status: lve"))
    (folder / RECEIPT / "flow.yaml").write_bytes(b"flow: \xff")
    assert errors_of(folder) == [
        f"{RECEIPT}/flow.yaml:1:1 files.E004",
        f"{REVIEW}/flow.yaml:18:29 flow.E039",
        f"{THANKS}/flow.yaml:3:9 yaml.E012",
    ]


def test_an_invalid_segment_is_one_error(folder: Path) -> None:
    """Flows that use the segments of an invalid file have no error of their own."""
    segments = folder / "segments.yaml"
    segments.write_text("regular: customer.ordres >= 3\n")
    flow = folder / THANKS / "flow.yaml"
    flow.write_text(flow.read_text() + "goal: \"'regular' in customer.segments\"\n")
    assert errors_of(folder) == ["segments.yaml:1:10 condition.E009"]
    segments.write_text("regular: [\n")
    assert [error.partition(" ")[2] for error in errors_of(folder)] == ["yaml.E001"]


def test_no_flows(tmp_path: Path) -> None:
    """An empty folder and a missing one are errors: without flows nothing would happen."""
    for folder, id in ((tmp_path, "files.E002"), (tmp_path / "missing", "files.E001")):
        assert errors_of(folder) == [f"{folder}:1:1 {id}"]


def keep(folder: Path, name: str, version: int, newest: int) -> Path:
    """The review flow at version `newest`, and a copy of it as an older one called `name`."""
    path = folder / REVIEW / "flow.yaml"
    text = path.read_text()
    path.write_text(text.replace("version: 1", f"version: {newest}"))
    (path.parent / name).write_text(text.replace("version: 1", f"version: {version}"))
    return path.parent / name


def test_older_versions_are_kept(folder: Path) -> None:
    """An older version is loaded for the customers who are still on it, and starts for no customer. Its messages are not unused."""
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
    ("name", "version", "newest", "error"),
    [
        ("flow.v3.yaml", 4, 5, "flow.v3.yaml:2:10 flow.E054"),
        ("flow.v3.yaml", 3, 3, "flow.v3.yaml:2:10 flow.E055"),
        ("flow.v3.yaml", 3, 2, "flow.v3.yaml:2:10 flow.E055"),
        ("flow.v03.yaml", 3, 4, "flow.v03.yaml:1:1 files.E010"),
        ("flow.old.yaml", 3, 4, "flow.old.yaml:1:1 files.E010"),
    ],
)
def test_invalid_versions(folder: Path, name: str, version: int, newest: int, error: str) -> None:
    """The file name has the version of the file, which is older than the flow."""
    keep(folder, name, version, newest)
    assert errors_of(folder) == [f"{REVIEW}/{error}"]


def test_migrations_are_checked(folder: Path) -> None:
    """An impossible mapping is an error at its position, and so is a migration from a version that is not kept."""
    keep(folder, "flow.v3.yaml", 3, 4)
    path = folder / REVIEW / "flow.yaml"
    good = path.read_text() + 'migrations: [{from: 3, steps: {"1": "1"}}]\n'
    path.write_text(good)
    flow = read_templates(folder).newest[1]
    assert [(migration.version, migration.steps) for migration in flow.migrations] == [(3, (("1", "1"),))]
    path.write_text(good.replace('{"1": "1"}', '{"1": "1", "0": "1"}'))
    assert errors_of(folder) == [f"{REVIEW}/flow.yaml:19:47 flow.E058"]
    path.write_text(good.replace("from: 3", "from: 2"))
    assert errors_of(folder) == [f"{REVIEW}/flow.yaml:19:14 flow.E056"]


def test_only_older_versions(folder: Path) -> None:
    """A folder with only older versions of a flow is an error."""
    (folder / REVIEW / "flow.yaml").rename(folder / REVIEW / "flow.v1.yaml")
    assert errors_of(folder) == [f"{REVIEW}/flow.yaml:1:1 files.E008"]


def test_checks_have_positions(folder: Path) -> None:
    """Problems of checks have file, line and column. With only warnings the flows load."""
    path = folder / REVIEW / "flow.yaml"
    path.write_text(path.read_text() + "  - wait: 1d\n")
    found = read_templates(folder)
    assert [str(problem) for problem in found.warnings] == [
        f"{path}:19:5: warning flow.W004: no step follows this wait (hint: remove it, or add a step)"
    ]
    assert len(load_flows(folder)) == len(MESSAGES)
    path.write_text(path.read_text().replace("customer.is_new", "true"))
    assert errors_of(folder) == [f"{REVIEW}/flow.yaml:16:9 flow.E047"]


def test_a_problem_of_repeated_steps_is_reported_once(folder: Path) -> None:
    """The steps of a `repeat` are checked in each round, but they are in the file once."""
    path = folder / REVIEW / "flow.yaml"
    split = "split: [{when: customer.is_vip and not customer.is_vip, steps: [{emit: x}]}]"
    path.write_text(
        path.read_text() + f"  - repeat: {{times: 3, every: 1d, until: customer.is_vip, steps: [{{{split}}}]}}\n"
    )
    assert errors_of(folder) == [f"{REVIEW}/flow.yaml:19:76 flow.E046"]


def test_the_consent_policy_comes_from_beside_the_flows(folder: Path) -> None:
    """The shop's own policy is read. Without a file the strictest policy applies: transactional emails continue."""
    assert load_ruleset(folder).consent_policy.line("marketing", "DK").verdict == "soft_opt_in"
    (folder / "consent.yaml").unlink()
    assert load_ruleset(folder).consent_policy is STRICT


def test_errors_of_flows_and_consent_policy_together(folder: Path) -> None:
    """A worker that does not start reports the errors of all files at once."""
    flow, consent = folder / THANKS / "flow.yaml", folder / "consent.yaml"
    flow.write_text(flow.read_text().replace("status: live", "status: lve"))
    text = (TEMPLATES / "consent.yaml").read_text(encoding="utf-8")
    consent.write_text(text.replace("  US:", "  UK:", 1), encoding="utf-8")
    line = text[: text.index("  US:")].count("\n") + 1
    assert errors_of(folder) == [f"consent.yaml:{line}:3 consent.E003", f"{THANKS}/flow.yaml:3:9 yaml.E012"]
    consent.write_bytes(b"order: \xff")
    assert errors_of(folder) == ["consent.yaml:1:1 files.E004", f"{THANKS}/flow.yaml:3:9 yaml.E012"]


def test_a_worker_starts_with_a_broken_brand(folder: Path) -> None:
    """Errors in the brand do not stop the flows; they are reported apart from theirs."""
    brand = folder / "shared" / "brand.yaml"
    brand.parent.mkdir()
    brand.write_text("name: Tea\nlgo: tea.svg\n")
    assert [flow.name for flow in load_ruleset(folder).flows] == sorted(MESSAGES)
    assert [(problem.id, problem.location.line) for problem in brand_problems(folder)] == [("yaml.E010", 2)]
    brand.unlink()
    assert brand_problems(folder) == ()


def test_a_folder_s_name_does_nothing_to_the_terminal(tmp_path: Path) -> None:
    """Escape sequences in the name of a folder are replaced in errors."""
    home = tmp_path / "flows" / "care" / "a\x1b[31mb"
    home.mkdir(parents=True)
    (home / "flow.yaml").write_text("flow: a\n")
    assert "\x1b" not in "".join(map(str, read_templates(tmp_path).errors))
