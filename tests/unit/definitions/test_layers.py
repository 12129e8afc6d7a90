"""Layers: what a shop's templates folder takes from the library, and which file a problem names."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from streams.definitions.all_problems import check_all
from streams.definitions.layers import LIBRARY, MARKER, open_layers, read_files, read_snapshot, version_of
from streams.definitions.loader import load_flows, load_ruleset, read_templates
from streams.mail.rendering.copy import copy_texts
from streams.testing import Scenario
from streams.tools.preview.emails import Emails
from tests.harness.commands import TEMPLATES

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ORDER = "flows/transactional/order-confirmation"


def shop_of(root: Path, flows: str = "order-confirmation") -> Path:
    """A folder over the library with a brand and a consent policy."""
    (root / "shared").mkdir(parents=True)
    shutil.copyfile(TEMPLATES / "shared" / "brand.yaml", root / "shared" / "brand.yaml")
    shutil.copyfile(TEMPLATES / "consent.yaml", root / "consent.yaml")
    (root / MARKER).write_text(f"flows: [{flows}]\n")
    return root


def test_a_folder_without_the_marker_is_read_as_it_is(tmp_path: Path) -> None:
    """Without `library.yaml` nothing comes from the library, and the folder itself is read."""
    root = shop_of(tmp_path)
    shutil.copytree(TEMPLATES / ORDER, root / ORDER)
    (root / MARKER).unlink()
    with open_layers(root) as layers:
        assert layers.path == root
    assert [flow.name for flow in load_flows(root)] == ["order-confirmation"]
    assert set(read_snapshot(root).files) == set(read_files(root))


def test_only_named_flows_run(tmp_path: Path) -> None:
    """A folder over the library has the flows that `library.yaml` names, with all files that it lacks, and no errors."""
    root = shop_of(tmp_path, "order-confirmation, review, thank-you")
    templates = read_templates(root)
    assert templates.errors == ()
    assert {flow.name for flow in templates.newest} == {"order-confirmation", "review", "thank-you"}
    checked = check_all(root, NOW)
    assert checked.errors == ()
    assert not [each for each in checked.warnings if str(LIBRARY) in each.location.file]
    with open_layers(root) as layers:
        assert (layers.path / "shared" / "layout.html.j2").read_bytes() == (
            LIBRARY / "shared" / "layout.html.j2"
        ).read_bytes()
        assert "goes-well-with" in layers.off
    assert not layers.path.exists()


def test_a_flow_of_the_shop_replaces_the_whole_flow(tmp_path: Path) -> None:
    """The shop's folder of a flow is used without any file of the library's folder, whatever its group."""
    root = shop_of(tmp_path)
    own = root / "flows" / "mine" / "order-confirmation"
    own.mkdir(parents=True)
    for name in ("flow.yaml", "confirmation.html.j2"):
        if (TEMPLATES / ORDER / name).exists():
            shutil.copyfile(TEMPLATES / ORDER / name, own / name)
    files = read_snapshot(root).files
    assert {name for name in files if "order-confirmation" in name} == {
        f"flows/mine/order-confirmation/{path.name}" for path in own.iterdir()
    }


def test_shared_copy_is_merged_text_by_text(tmp_path: Path) -> None:
    """The shop's texts win, and all others are those of the library."""
    root = shop_of(tmp_path)
    (root / "copy").mkdir()
    (root / "copy" / "en.yaml").write_text('unsubscribe: "No more"\n')
    texts = copy_texts(read_snapshot(root).files["copy/en.yaml"].decode())
    takk = copy_texts((LIBRARY / "copy" / "en.yaml").read_text(encoding="utf-8"))
    assert texts == {**takk, "unsubscribe": "No more"}


def test_segments_are_merged_one_by_one(tmp_path: Path) -> None:
    """The shop's segments win, and all others are those of the library, which its flows may use."""
    root = shop_of(tmp_path)
    (root / "segments.yaml").write_text("# Ours\nvip: customer.orders >= 9\nbig: customer.spend >= 5000\n")
    takk = yaml.safe_load((LIBRARY / "segments.yaml").read_text(encoding="utf-8"))
    with open_layers(root) as layers:
        segments = yaml.safe_load((layers.path / "segments.yaml").read_text(encoding="utf-8"))
        assert segments == {**takk, "vip": "customer.orders >= 9", "big": "customer.spend >= 5000"}
        assert not read_templates(layers.path).errors
    wrong = (root / "segments.yaml").read_text() + "wrong: customer.nothing == 1\n"
    (root / "segments.yaml").write_text(wrong)
    with open_layers(root) as layers:
        (problem, *_) = layers.shown(read_templates(layers.path).errors)
    assert (problem.location.file, problem.location.line) == (str(root / "segments.yaml"), 4)


@pytest.mark.parametrize(
    "own", ["", "# Ours\n", "  vip: customer.orders >= 9\n", "---\n# Ours\nvip: customer.orders >= 9"]
)
def test_segments_of_a_file_without_any_or_with_indented_ones(own: str, tmp_path: Path) -> None:
    """The segments of Takk remain in a file with comments only, and in one whose lines are indented."""
    root = shop_of(tmp_path, "order-confirmation, win-back")
    (root / "segments.yaml").write_text(own)
    takk = yaml.safe_load((LIBRARY / "segments.yaml").read_text(encoding="utf-8"))
    with open_layers(root) as layers:
        segments = yaml.safe_load((layers.path / "segments.yaml").read_text(encoding="utf-8"))
        assert segments == {**takk, **({"vip": "customer.orders >= 9"} if "vip" in own else {})}
        assert not read_templates(layers.path).errors


@pytest.mark.parametrize("own", ["vip:\n", "vip: customer.nothing == 1\n", "vip: 'x'\nvip: 'x'\n"])
def test_an_invalid_segment_is_no_error_of_flows(own: str, tmp_path: Path) -> None:
    """Only the shop's file has errors: flows find the segments of Takk after an invalid one."""
    root = shop_of(tmp_path, "order-confirmation, win-back")
    (root / "segments.yaml").write_text(own)
    with open_layers(root) as layers:
        errors = layers.shown(read_templates(layers.path).errors)
    assert {problem.location.file for problem in errors} == {str(root / "segments.yaml")}


@pytest.mark.parametrize("own", ["- vip\n", "{vip: customer.orders >= 9}", "vip: [", "\ufffe"])
def test_segments_that_cannot_be_merged_stay(tmp_path: Path, own: str) -> None:
    """A file in another form, or an invalid one, is the shop's alone: its check reports what is wrong."""
    root = shop_of(tmp_path)
    (root / "segments.yaml").write_text(own, encoding="utf-8")
    assert read_snapshot(root).files["segments.yaml"] == own.encode()


@pytest.mark.parametrize("own", ["{unsubscribe: No more}", "- a\n", "unsubscribe: [", "\ufffe"])
def test_a_copy_that_cannot_be_merged_stays(tmp_path: Path, own: str) -> None:
    """A shared copy in another form, or an invalid one, is the shop's alone: its check reports what is wrong."""
    root = shop_of(tmp_path)
    (root / "copy").mkdir()
    (root / "copy" / "en.yaml").write_text(own, encoding="utf-8")
    assert read_snapshot(root).files["copy/en.yaml"] == own.encode()


def test_the_brand_and_the_consent_policy_are_the_shops(tmp_path: Path) -> None:
    """Neither comes from the library: a shop has no name and no consent rules that it did not state."""
    root = shop_of(tmp_path)
    (root / "consent.yaml").unlink()
    (root / "shared" / "brand.yaml").unlink()
    files = read_snapshot(root).files
    assert "consent.yaml" not in files
    assert "shared/brand.yaml" not in files
    assert load_ruleset(root).consent_policy.is_built_in


def test_an_unknown_flow_is_an_error(tmp_path: Path) -> None:
    """A flow that the library lacks is reported at its place in `library.yaml`."""
    root = shop_of(tmp_path, "order-confirmation, reviw")
    (problem,) = read_templates(root).errors
    assert problem.id == "files.E011"
    assert str(problem).startswith(f"{root / MARKER}:1:")
    assert "did you mean 'review'?" in str(problem)


@pytest.mark.parametrize("content", ["", "flow: []\n", "flows: all\n", "flows: [", "\ufffe"])
def test_an_invalid_marker_is_an_error(tmp_path: Path, content: str) -> None:
    """An invalid `library.yaml` is an error, and no flow of the library runs."""
    root = shop_of(tmp_path)
    (root / MARKER).write_text(content, encoding="utf-8")
    templates = read_templates(root)
    assert templates.flows == ()
    assert str(root / MARKER) in [problem.location.file for problem in templates.errors]


def test_problems_name_the_file_of_their_layer(tmp_path: Path) -> None:
    """Problems are reported in the shop's file or the library's, never in a temporary folder."""
    root = shop_of(tmp_path)
    (root / "shared" / "blocks").mkdir()
    (root / "shared" / "blocks" / "footer.html.j2").write_text("{{ nothing.here }")
    (root / "copy").mkdir()
    (root / "copy" / "en.yaml").write_text('unsubscrib: "No more"\n')
    checked = check_all(root, NOW)
    assert checked.errors
    problems = [*checked.errors, *checked.warnings]
    assert not [each for each in problems if "takk-templates-" in str(each)]
    assert any(each.location.file == str(root / "copy" / "en.yaml") for each in checked.warnings)


def test_a_scenario_and_a_preview_see_the_layers(tmp_path: Path) -> None:
    """A scenario sends the emails of the library's flows, and the preview shows them."""
    root = shop_of(tmp_path)
    shop = Scenario(root)
    shop.order("anna")
    assert any(name.startswith("order-confirmation/") for name in shop.mails("anna"))
    with open_layers(root) as layers:
        assert {flow for flow, _ in Emails(layers.path).messages} == {"order-confirmation"}


def test_a_version_is_that_of_the_shops_files(tmp_path: Path) -> None:
    """The version changes with each file that is read, and with none that is not: tests, pages for people, hidden files."""
    root = shop_of(tmp_path)
    before = read_snapshot(root).version
    (root / "tests").mkdir()
    for name in ("tests/test_flows.py", "README.md", ".hidden", "rules.yaml~"):
        (root / name).write_text("x")
    assert read_snapshot(root).version == before
    (root / "rules.yaml").write_text("")
    assert read_snapshot(root).version != before
    assert version_of({"ab": b"c"}) != version_of({"a": b"bc"})


def test_a_folder_of_links_is_read(tmp_path: Path) -> None:
    """A mounted folder may consist of links, as a ConfigMap does; a link to a parent folder ends there."""
    data = shop_of(tmp_path / "..data")
    root = tmp_path / "mounted"
    root.mkdir()
    for path in data.iterdir():
        (root / path.name).symlink_to(path)
    (root / "shared" / "again").symlink_to(root / "shared")
    assert read_files(root) == read_files(data)
    assert MARKER in read_files(root)
