"""Files of stories: what is read, and each error at its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.settings import PROJECT_ROOT, load_settings
from streams.tools.stories.story_files import SHIPPED, Stories, read_stories
from tests.harness.story_templates import STORY, write_story_templates

SCHEMAS = load_settings().schemas_dir
EVENTS = "title: A\nabout: B\ncustomer: {name: Ada, country: DK}\nevents:\n"
FIRST = "  - {day: 0, order: {lines: {BOOT-1: 1}}}\n"


def read(root: Path, **files: str) -> Stories:
    """Read the stories of a folder with these files."""
    (root / "stories").mkdir(exist_ok=True)
    for name, text in files.items():
        (root / "stories" / f"{name}.yaml").write_text(text)
    return read_stories(root, SCHEMAS)


def test_the_shipped_stories(tmp_path: Path) -> None:
    """Takk has at least five stories in five languages, and none has problems."""
    found = read_stories(tmp_path, SCHEMAS)
    assert found.problems == ()
    assert sorted(found.stories) == sorted(path.stem for path in SHIPPED.glob("*.yaml"))
    assert {story.customer.language for story in found.stories.values()} == {"da", "nb", "sv", "nl", "en"}
    assert not any(story.is_own for story in found.stories.values())


def test_own_stories(tmp_path: Path) -> None:
    """A shop's story replaces the one of Takk with its name, and may use products of its own."""
    found = read_stories(write_story_templates(tmp_path / "shop"), SCHEMAS)
    assert found.problems == ()
    assert next(iter(found.stories)) == "ada"
    assert found.stories["ada"].products["TEA"].title("da") == "Te"
    assert "TEA" not in found.stories["vip"].products
    replaced = read(tmp_path, vip=EVENTS + FIRST).stories["vip"]
    assert (replaced.title, replaced.is_own) == ("A", True)


def test_events_are_in_order(tmp_path: Path) -> None:
    """Events may be written in any order, and the time of an event without `at` is noon."""
    events = read(tmp_path, a=EVENTS + "  - {day: 3, delivered: }\n" + FIRST).stories["a"].events
    assert [(event.day, event.kind, event.at.hour) for event in events] == [(0, "order", 12), (3, "delivered", 12)]


@pytest.mark.parametrize(
    ("line", "column", "id", "text"),
    [
        ("  - {day: 1}", 5, "story.E001", "no kind"),
        ("  - {day: 1, paid: , delivered: }", 5, "story.E001", "not paid and delivered"),
        ("  - {day: 1, deliverd: }", 14, "yaml.E010", "did you mean 'delivered'"),
        ("  - {day: 1, order: {lines: {BOOT-9: 1}}}", 30, "story.E002", "unknown product 'BOOT-9'"),
        ("  - {day: 1, views: BOOT-9}", 21, "story.E002", "unknown product"),
        ("  - {day: 1, order: {lines: {BOOT-1: none}}}", 38, "yaml.E013", "invalid number"),
        ("  - {day: 1, order: {id: '1', lines: {BOOT-1: 1}}}", 26, "story.E003", "duplicate order '1'"),
        ("  - {day: 1, delivered: {order: seven}}", 33, "story.E003", "unknown order 'seven'"),
        ("  - {day: -1, delivered: }", 26, "story.E004", "no order is placed before"),
        ("  - {day: -1, delivered: {order: 1}}", 34, "story.E004", "is placed later"),
        ("  - {day: tomorrow, paid: }", 11, "yaml.E013", "invalid number 'tomorrow'"),
        ("  - {day: 9999, paid: }", 11, "yaml.E013", "from -730 to 366"),
        ("  - {day: 1, at: noon, paid: }", 18, "yaml.E015", "invalid time of day"),
        ("  - {day: 1, opens: the last one}", 21, "story.E008", "flow/message"),
        ("  - {day: 1, exception: {reason: lazy}}", 34, "yaml.E012", "unknown reason"),
        ("  - {day: 1, record: {kind: dances}}", 22, "story.E009", "invalid record: kind"),
        ("  - {day: 1, reviews: {stars: 9}}", 31, "yaml.E013", "from 1 to 5"),
        ("  - just text", 5, "yaml.E005", "expected a mapping"),
    ],
)
def test_errors_of_events(tmp_path: Path, line: str, column: int, id: str, text: str) -> None:
    """Each error of an event has its file, line and column, an id and a hint."""
    found = read(tmp_path, a=f"{EVENTS}{FIRST}{line}\n")
    assert "a" not in found.stories
    (problem,) = found.problems
    assert (problem.id, problem.location.line, problem.location.column) == (id, 6, column)
    assert problem.location.file.endswith("stories/a.yaml")
    assert text in str(problem)


@pytest.mark.parametrize(
    ("old", "new", "id"),
    [
        ("language: da", "language: Danish", "story.E006"),
        ("country: DK", "country: Denmark", "yaml.E012"),
        ("city: Aarhus", "time_zone: Europe/Aarhus", "story.E007"),
        ("city: Aarhus", "birthday: in May", "yaml.E016"),
        ("city: Aarhus", "town: Aarhus", "yaml.E010"),
        ("marketing: true", "marketing: maybe", "yaml.E012"),
        ("name: Ada Holm, ", "", "yaml.E011"),
        ("about: Two orders, one of them collected.\n", "", "yaml.E011"),
        ("about: Two orders, one of them collected.", "about:", "yaml.E008"),
        ("events:\n", "events: [\n", "yaml.E001"),
        (STORY[STORY.index("events:") :], "events: []\n", "yaml.E008"),
    ],
)
def test_errors_of_the_customer(tmp_path: Path, old: str, new: str, id: str) -> None:
    """Errors outside of the events are found too, and only the story with the error is missing."""
    root = write_story_templates(tmp_path / "shop")
    assert old in STORY
    found = read(root, ada=STORY.replace(old, new))
    assert [problem.id for problem in found.problems] == [id]
    assert "ada" not in found.stories
    assert "vip" in found.stories


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("- {sku: A, title: A, price: free}\n", "yaml.E013"),
        ("- {sku: A, price: 1}\n", "yaml.E011"),
        ("- {sku: A, title: A, price: 1, picture: ../a.png}\n", "story.E005"),
        ("sku: A\n", "yaml.E006"),
    ],
)
def test_errors_of_products(tmp_path: Path, text: str, id: str) -> None:
    """Errors of `products.yaml` are found too."""
    assert [problem.id for problem in read(tmp_path, products=text).problems] == [id]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A file in another encoding and one with an invalid name are reported."""
    (tmp_path / "stories").mkdir()
    (tmp_path / "stories" / "My story.yaml").write_text(STORY)
    (tmp_path / "stories" / "latin.yaml").write_bytes(b"title: \xe6\n")
    assert [problem.id for problem in read(tmp_path).problems] == ["yaml.E017", "files.E004"]


def test_the_example_of_the_guide(tmp_path: Path) -> None:
    """The story in PREVIEW.md is valid."""
    page = (PROJECT_ROOT / "templates" / "PREVIEW.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n", 1)[1].split("```", 1)[0]
    found = read(tmp_path, guide=example)
    assert found.problems == ()
    assert "guide" in found.stories
