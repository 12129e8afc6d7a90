"""Warnings about emails that can be rendered: links, images, texts that no template uses, and offers in service emails."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.definitions.checks.advertising import check_advertising
from streams.definitions.checks.rendered_emails import check_rendered_emails
from streams.definitions.checks.unused_copy import check_unused_copy
from streams.definitions.loader import read_templates
from streams.definitions.problems import Problem
from tests.harness.events import TEMPLATES

FOLDER = "flows/care/f"
UNSUBSCRIBE = '<a href="{{ unsubscribe_url }}">no</a>'


def shop(
    root: Path,
    html: str,
    copy: str = "a.subject: S",
    *,
    text: str | None = None,
    purpose: str = "marketing",
    shared: str = "",
    on: str = "order.placed",
    steps: str = "[{send: {message: a}}]",
) -> Path:
    """A folder with one flow of one message."""
    folder = root / FOLDER
    (folder / "copy").mkdir(parents=True)
    (root / "shared").mkdir()
    (root / "copy").mkdir()
    (folder / "flow.yaml").write_text(
        f"flow: f\nversion: 1\nstatus: live\npurpose: {purpose}\ntrigger: {{on: {on}}}\nsteps: {steps}\n"
    )
    (folder / "copy/en.yaml").write_text(copy + "\n", encoding="utf-8")
    (folder / "a.html.j2").write_text(html + "\n", encoding="utf-8")
    if text is not None:
        (folder / "a.txt.j2").write_text(text + "\n", encoding="utf-8")
    (root / "shared/part.html.j2").write_text(shared + "\n", encoding="utf-8")
    return root


def described(problems: list[Problem], root: Path) -> list[str]:
    """File, position and id of each problem."""
    places = [(problem.location, problem.id) for problem in problems]
    return [f"{at.file.removeprefix(f'{root}/')}:{at.line}:{at.column} {id}" for at, id in places]


def rendered(root: Path) -> list[str]:
    """The warnings of the rendered emails."""
    templates = read_templates(root)
    assert not templates.errors
    return described(check_rendered_emails(root, templates.flows), root)


@pytest.mark.parametrize(
    ("html", "text", "purpose", "found"),
    [
        ("<p>Hi</p>", None, "marketing", [f"{FOLDER}/a.html.j2:1:1 message.W002"]),
        ("<p>{{ unsubscribe_url }}</p>", None, "survey", [f"{FOLDER}/a.html.j2:1:1 message.W002"]),
        ("<p>Hi</p>", None, "service", [f"{FOLDER}/a.html.j2:1:1 message.W002"]),
        ("<p>Hi</p>", None, "order", []),
        (UNSUBSCRIBE, None, "marketing", []),
        (UNSUBSCRIBE, "Hi", "marketing", [f"{FOLDER}/a.txt.j2:1:1 message.W002"]),
        (UNSUBSCRIBE, "{{ unsubscribe_url }}", "review", []),
        ("{% if unsubscribe_url %}<a href='{{ unsubscribe_url }}'>no</a>{% endif %}", None, "marketing", []),
    ],
)
def test_link_to_unsubscribe(html: str, text: str | None, purpose: str, found: list[str], tmp_path: Path) -> None:
    """Every email that is not about an order links to unsubscribe, in both of its parts."""
    assert rendered(shop(tmp_path, html, text=text, purpose=purpose)) == found


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ("content", []),
        ("body", [f"{FOLDER}/a.html.j2:2:1 message.W007"]),
        ("content %}{% block inner", []),
    ],
)
def test_blocks(block: str, found: list[str], tmp_path: Path) -> None:
    """A block that the extended template does not show is reported. Blocks within a block that it shows are not."""
    ends = "{% endblock %}" * (1 + block.count("block"))
    html = f'{{% extends "shared/part.html.j2" %}}\n{{% block {block} %}}Hi{ends}'
    assert rendered(shop(tmp_path, html, purpose="order", shared="{% block content %}{% endblock %}")) == found


@pytest.mark.parametrize(
    ("address", "is_valid"),
    [
        ("https://shop.dk/tea", True),
        ("mailto:help@shop.example", True),
        ("mailto:?subject=Tea", True),
        ("mailto:", False),
        ("tel:+4512345678", True),
        ("#top", True),
        ("{{ order.status_url }}", True),
        ("shop.example/tea", False),
        ("www.shop.example", False),
        ("/tea", False),
        ("https:/shop.example", False),
        ("htps://shop.example", False),
        ("#", False),
        ("", False),
        ("https://[x", False),
        ("javascript:void(0)", False),
    ],
)
def test_links(address: str, is_valid: bool, tmp_path: Path) -> None:
    """A link that is not an address is a warning, at its own line; the values of an order are addresses."""
    root = shop(tmp_path, f'{UNSUBSCRIBE}\n<p><a href="{address}">tea</a></p>')
    column = 13 if address else 1
    line = 2 if address else 1
    if address == "#":  # the first one in the file
        line, column = rendered_place(root, "#")
    assert rendered(root) == ([] if is_valid else [f"{FOLDER}/a.html.j2:{line}:{column} message.W003"])


def rendered_place(root: Path, text: str) -> tuple[int, int]:
    """The line and column of a text in the message."""
    lines = (root / FOLDER / "a.html.j2").read_text(encoding="utf-8").splitlines()
    return next((number, line.index(text) + 1) for number, line in enumerate(lines, 1) if text in line)


def test_places(tmp_path: Path) -> None:
    """A mistake in a text is at its line in the copy, one in a shared template at its line there."""
    html = f'{UNSUBSCRIBE}{{% include "shared/part.html.j2" %}}<a href="{{{{ t("page") }}}}">tea</a>'
    copy = 'a.subject: "S"\npage: "tea.example"'
    root = shop(tmp_path, html, copy, shared='\n<img width="9" src="https://shop.dk/tea.png">')
    assert rendered(root) == [f"{FOLDER}/copy/en.yaml:2:8 message.W003", "shared/part.html.j2:2:21 message.W004"]


@pytest.mark.parametrize(
    ("on", "status"),
    [
        ("shipment.ready_for_pickup", "ready_for_pickup"),
        ("shipment.exception", "exception"),
        ("shipment.tracking_known", "shipped"),
        ("shipment.delivered", "delivered"),
    ],
)
@pytest.mark.parametrize("is_awaited", [False, True])
def test_part_about_a_status(on: str, status: str, is_awaited: bool, tmp_path: Path) -> None:
    """A part of an email that only one status shows is checked with the status of the trigger, or of the awaited event."""
    wait = f"[{{wait_for: {{event: {on}, up_to: 3d, then: [{{send: {{message: a}}}}]}}}}]"
    started = {"on": "order.placed", "steps": wait} if is_awaited else {"on": on}
    html = f"{UNSUBSCRIBE}\n{{% if shipment.status == '{status}' %}}<a href=\"www.shop.example\">tea</a>{{% endif %}}"
    (found,) = rendered(shop(tmp_path, html, **started))
    assert found.endswith("message.W003")


def test_images(tmp_path: Path) -> None:
    """An image has a text, which may be empty, and an address; a picture in the email itself has a content id."""
    images = '<img width="1" src="cid:logo" alt="Shop"><img width="1" src="https://shop.dk/x.png" alt=""><img width="1" src="x.png" alt="x">'
    assert rendered(shop(tmp_path, f"{UNSUBSCRIBE}\n{images}")) == [f"{FOLDER}/a.html.j2:2:112 message.W003"]


@pytest.mark.parametrize(
    ("html", "copy", "found"),
    [
        ("{{ t('hello') }}", "a.subject: S\na.preview: P\nhello: H", []),
        ("{{ t('hello') }}", "a.subject: S\nhelo: H", ["3:1 did you mean 'hello'?"]),
        ("Hi", "a.subject: S\na.subjekt: S", ["3:1 remove it, or use it in a template"]),
        ("Hi", "a.subjct: S", ["2:1 did you mean 'a.subject'?"]),
        ("Hi", "a.subject: S\nleft-over: L", ["3:1 remove it, or use it in a template"]),
        ("{{ t('row.' ~ order.order_id) }}", "a.subject: S\nrow.tax: T\nrows: R", ["4:1 remove it, or use it in a template"]),
        ("{{ t('x' if order else 'y') }}", "a.subject: S\nx: X\ny: Y", []),
        ("{% set key = 'x' %}{{ t(key) }}", "a.subject: S\nx: X", []),
        ("Hi", 'a.subject: "{{ t(\'inner\') }}"\ninner: I', []),
        ("Hi", "a.subject: S\ngreeting.weekend: Hi\nregards: R", []),
    ],
)  # fmt: skip
def test_unused_texts(html: str, copy: str, found: list[str], tmp_path: Path) -> None:
    """A text that no template uses is a warning at its line, with the text that was likely meant."""
    root = shop(tmp_path, html, f"# Texts\n{copy}")
    problems = check_unused_copy(root)
    assert {problem.id for problem in problems} <= {"message.W005"}
    assert [f"{each.location.line}:{each.location.column} {each.hint}" for each in problems] == found


def test_unused_shared_texts(tmp_path: Path) -> None:
    """A shared text is used if any flow or shared template uses it; an invalid file is left to the errors."""
    root = shop(tmp_path, "{{ t('one') }}", shared="{{ t('two') }}{% if %}")
    (root / "copy/en.yaml").write_text("one: 1st\ntwo: 2nd\nthree: 3rd\n", encoding="utf-8")
    (root / "copy/da.yaml").write_text("one: [\n", encoding="utf-8")
    assert described(check_unused_copy(root), root) == [
        "copy/en.yaml:2:1 message.W005",
        "copy/en.yaml:3:1 message.W005",
    ]


def test_own_emails() -> None:
    """The emails of the repository have no warnings."""
    assert check_rendered_emails(TEMPLATES, read_templates(TEMPLATES).flows) == []
    assert check_unused_copy(TEMPLATES) == []


@pytest.mark.parametrize(
    ("copy", "purpose", "found"),
    [
        ('a.subject: "S"\na.preview: "A voucher for you"', "service", [f"{FOLDER}/copy/en.yaml:2:15 message.W006"]),
        ('a.subject: "Din rabatkode"', "service", [f"{FOLDER}/copy/en.yaml:1:17 message.W006"]),
        ('a.subject: "Din rabatkode"', "order", []),
        ('a.subject: "S"\nb.subject: "A voucher"', "service", []),
        ('a.subject: "S"\n# A voucher', "service", []),
    ],
)
def test_offers_in_service_emails(copy: str, purpose: str, found: list[str], tmp_path: Path) -> None:
    """A service email that speaks of an offer is a warning at the line of the word; another message's text is not."""
    root = shop(tmp_path, UNSUBSCRIBE, copy, purpose=purpose)
    (root / FOLDER / "b.html.j2").write_text("<p></p>", encoding="utf-8")
    assert described(check_advertising(root, read_templates(root).flows), root) == found
