"""A shop's own templates folder, and its tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.definitions.loader import brand_problems, load_brand, read_templates
from streams.tools.preview.emails import Emails, Variant
from streams.tools.preview.folder_checks import check_emails, run_tests
from streams.tools.preview.shop_folder import CannotInit, copy_to_shop, init_folder
from tests.harness.commands import TEMPLATES
from tests.harness.small_templates import FLOW, write_folder


def test_a_folder(tmp_path: Path) -> None:
    """The folder is valid and has the shop's name; transactional and named flows are live, all others drafts; its tests pass."""
    target = tmp_path / "shop"
    live = init_folder(TEMPLATES, target, "Tea & Co", live=["review"], languages=("da", "en"))
    templates = read_templates(target)
    assert not templates.errors
    statuses = {flow.name: flow.status for flow in templates.newest}
    assert {name for name, status in statuses.items() if status == "live"} == set(live)
    assert {"review", "order-confirmation"} <= set(live)
    assert set(statuses.values()) == {"live", "draft"}
    brand = load_brand(target)
    assert brand is not None
    assert brand.name == "Tea & Co"
    assert {problem.level for problem in brand_problems(target)} == {"warning"}
    assert "[da, en]" in (target / "languages.yaml").read_text()
    assert "`order-confirmation`" in (target / "README.md").read_text()
    assert not list(target.rglob("LANGUAGE.md"))
    result = run_tests(target / "tests")
    assert (result.passed, result.failures) == (3, ())


def test_an_empty_folder_is_enough(tmp_path: Path) -> None:
    """An empty folder is filled, and nothing is ever overwritten."""
    init_folder(TEMPLATES, tmp_path / "shop")
    with pytest.raises(CannotInit, match="nothing is overwritten"):
        init_folder(TEMPLATES, tmp_path / "shop")
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotInit):
        init_folder(TEMPLATES, tmp_path / "file")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"live": ["reviw"]}, "did you mean 'review'"),
        ({"languages": ("xx",)}, "no copy in the language"),
        ({"languages": ("../en",)}, "no copy in the language"),
        ({"name": 'a"b'}, "invalid name"),
        ({"name": "a\nb"}, "invalid name"),
    ],
)
def test_invalid_options(tmp_path: Path, options: dict[str, object], reason: str) -> None:
    """Unknown flows and languages and invalid names are refused before anything is written."""
    with pytest.raises(CannotInit, match=reason):
        init_folder(TEMPLATES, tmp_path / "shop", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "shop").exists()


def test_names_with_backslashes(tmp_path: Path) -> None:
    """A name is written as it is."""
    with pytest.raises(CannotInit):
        init_folder(TEMPLATES, tmp_path / "shop", r"Tea \1")


@pytest.mark.parametrize(
    ("html", "message"),
    [
        ("<p>" + "x" * 102_001 + "</p>", "Gmail cuts emails"),
        ('<a href="tea">x</a>', "the link 'tea' is not an address"),
        ('<img src="tea.jpg" alt="">', "the image 'tea.jpg' is not an address"),
        ('<img src="https://shop.example/a.jpg">', "has no `alt`"),
        ("{{ ordr }}", "cannot be rendered"),
    ],
)
def test_emails_are_checked(tmp_path: Path, html: str, message: str) -> None:
    """Size, links, pictures and rendering are checked with the shop's own examples."""
    root = write_folder(tmp_path)
    (root / FLOW / "hi.html.j2").write_text(html)
    (root / FLOW / "hi.txt.j2").write_text("Hi")
    result = check_emails(Emails(root), [Variant("hello", "hi", "en", "example")])
    (finding,) = result.findings
    assert finding.is_error
    assert message in str(finding)


def test_valid_emails(tmp_path: Path) -> None:
    """Valid emails have no finding; a long subject is a warning, an empty text part an error."""
    root = write_folder(tmp_path)
    variants = list(Emails(root).variants(has_samples=True))
    result = check_emails(Emails(root), variants)
    assert (result.emails, result.findings) == (12, ())
    assert result.largest > 0
    (root / FLOW / "hi.txt.j2").write_text(" ")
    copy = root / FLOW / "copy" / "en.yaml"
    copy.write_text(copy.read_text().replace("Hello there", "x" * 51))
    findings = check_emails(Emails(root), [Variant("hello", "hi", "en", "example")]).findings
    assert [finding.is_error for finding in findings] == [False, True]


def test_failed_tests(tmp_path: Path) -> None:
    """Tests that fail and files that cannot be read are reported with their traceback; the others run."""
    (tmp_path / "test_a.py").write_text(
        "def test_one():\n    pass\n\ndef test_two():\n    assert 1 == 2, 'not two'\n\nvalue = 1\n"
    )
    (tmp_path / "test_b.py").write_text("import nothing_of_that_name\n")
    result = run_tests(tmp_path)
    assert result.passed == 1
    assert [name for name, _ in result.failures] == ["test_a.py::test_two", "test_b.py"]
    assert "not two" in result.failures[0][1]


def test_a_folder_over_the_library(tmp_path: Path) -> None:
    """A layer has only what the shop states, runs the live flows of the library, and passes its checks and tests."""
    target = tmp_path / "shop"
    live = init_folder(TEMPLATES, target, "Tea & Co", live=["review"], languages=("da", "en"), is_layer=True)
    assert {path.name for path in target.rglob("*") if path.is_file()} == {
        "brand.yaml", "consent.yaml", "languages.yaml", "library.yaml", "README.md", "test_flows.py",
    }  # fmt: skip
    templates = read_templates(target)
    assert not templates.errors
    assert {flow.name for flow in templates.newest if flow.status == "live"} == {flow.name for flow in templates.newest}
    assert {flow.name for flow in templates.newest} == set(live)
    assert (run_tests(target / "tests").passed, run_tests(target / "tests").failures) == (3, ())


def test_a_copied_flow_is_the_shops(tmp_path: Path) -> None:
    """A copied flow is read from the shop's folder, with its version; it is copied once."""
    target = tmp_path / "shop"
    init_folder(TEMPLATES, target, is_layer=True)
    folder, is_draft = copy_to_shop(TEMPLATES, target, "order-confirmation")
    assert not is_draft
    assert folder == target / "flows" / "transactional" / "order-confirmation"
    path = folder / "flow.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("status: live", "status: draft"), encoding="utf-8")
    statuses = {flow.name: flow.status for flow in read_templates(target).newest}
    assert statuses["order-confirmation"] == "draft"
    with pytest.raises(CannotInit, match="has the flow"):
        copy_to_shop(TEMPLATES, target, "order-confirmation")
    with pytest.raises(CannotInit, match="did you mean 'review'"):
        copy_to_shop(TEMPLATES, target, "reviw")


def test_a_copied_flow_that_did_not_run_is_a_draft(tmp_path: Path) -> None:
    """Copying a flow that library.yaml does not name starts no emails."""
    target = tmp_path / "shop"
    init_folder(TEMPLATES, target, is_layer=True)
    _, is_draft = copy_to_shop(TEMPLATES, target, "review")
    assert is_draft
    assert {flow.name: flow.status for flow in read_templates(target).newest}["review"] == "draft"
