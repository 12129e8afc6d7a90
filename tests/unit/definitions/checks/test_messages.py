"""Checks of messages before an email has to be written: each error has its position, id and hint."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.definitions.checks.messages import check_messages
from streams.definitions.loader import read_templates
from streams.definitions.problems import Problem
from tests.harness.events import TEMPLATES

REVIEW = "flows/asking/review"
ASK, ASK_TEXT, COPY = f"{REVIEW}/ask.html.j2", f"{REVIEW}/ask.txt.j2", f"{REVIEW}/copy/da.yaml"
CONFIRMATION = "flows/transactional/order-confirmation/confirmation.html.j2"
CONFIRMATION_TEXT = CONFIRMATION.replace(".html.", ".txt.")
NAMES = (
    "known: brand, closing, confirm_url, contest_url, customer, greeting, headline, language, local_time, mood, order, pixel_url, "
    "preferences_url, preview, referral_url, reorder_url, review_url, shipment, shop, shop_name, subject, survey_url, t, unsubscribe_url"
)


def put(name: str, line: int, text: str) -> Callable[[Path], None]:
    """Insert a line into a file."""

    def change(root: Path) -> None:
        lines = (root / name).read_text(encoding="utf-8").splitlines()
        (root / name).write_text("\n".join([*lines[: line - 1], text, *lines[line - 1 :], ""]), encoding="utf-8")

    return change


def instead(name: str, pattern: str, text: str) -> Callable[[Path], None]:
    """Replace the matches of a pattern in a file."""

    def change(root: Path) -> None:
        old = (root / name).read_text(encoding="utf-8")
        new = re.sub(pattern, text, old, flags=re.MULTILINE)
        assert new != old
        (root / name).write_text(new, encoding="utf-8")

    return change


def as_latin_1(name: str) -> Callable[[Path], None]:
    """Save a file in another encoding, with a letter that UTF-8 encodes differently."""

    def change(root: Path) -> None:
        (root / name).write_bytes("Køb\n".encode("latin-1"))

    return change


INVALID = [
    (as_latin_1(ASK), f"{ASK}:1:1 files.E004"),
    (as_latin_1(ASK_TEXT), f"{ASK_TEXT}:1:1 files.E004"),
    (as_latin_1(COPY), f"{COPY}:1:1 files.E004"),
    (as_latin_1("shared/layout.html.j2"), "shared/layout.html.j2:1:1 files.E004"),
    (put(ASK, 3, "{{ greting }}"), f"{ASK}:3:4 message.E002 did you mean 'greeting'?"),
    (put(ASK, 3, "{% if %}"), f"{ASK}:3:1 message.E001"),
    (put(ASK, 3, "<b>{{ order.totl | money }}</b>"), f"{ASK}:3:13 message.E004 did you mean 'total'?"),
    (put(ASK, 3, "{{ order.total | mony }}"), f"{ASK}:3:18 message.E005 did you mean 'money'?"),
    (put(ASK, 3, "{{ order.total | upside_down }}"), f"{ASK}:3:18 message.E005 see "),
    (put(ASK, 3, "{{ reward.code }}"), f"{ASK}:3:4 message.E003 add a `reward` before the `send`"),
    (put(ASK, 3, "{% if order is odder %}{% endif %}"), f"{ASK}:3:16 message.E005 did you mean 'odd'?"),
    (put(CONFIRMATION, 3, "{{ shipment.carrier }}"), f"{CONFIRMATION}:3:4 message.E003 start the flow with a parcel"),
    (put(CONFIRMATION, 3, "{{ products[0] }}"), f"{CONFIRMATION}:3:4 message.E003 add `products: 4` or `together: true` to the `send`"),
    (put(CONFIRMATION, 3, "{{ event.answer }}"), f"{CONFIRMATION}:3:4 message.E003 start the flow with an event that has data"),
    (put(CONFIRMATION, 3, "{{ product.title }}"), f"{CONFIRMATION}:3:4 message.E003 write `once_per: product`"),
    (put(ASK, 3, "{{ customer.xyzzy_qq }}"), f"{ASK}:3:13 message.E004 known: name, first_name, "),
    (put(CONFIRMATION, 3, "{{ order.lines[0].titel }}"), f"{CONFIRMATION}:3:19 message.E004 did you mean 'title'?"),
    (put("shared/blocks/products.html.j2", 2, "{{ products[0].sko }}"), "shared/blocks/products.html.j2:2:16 message.E004 did you mean 'sku'?"),
    (put(ASK_TEXT, 3, "{% if false %}{{ nothing_such }}{% endif %}"), f"{ASK_TEXT}:3:18 message.E002 {NAMES}"),
    (instead(ASK, "ask.question", "ask.kvestion"), f"{ASK}:3:10 message.E006 add it to copy/da.yaml"),
    (instead(ASK, "<p>", "<p {% if order %}x{% endif %}>"), f"{ASK}:1:1 message.E001"),
    (instead(ASK, "letter.html.j2", "lettre.html.j2"), f"{ASK}:1:1 message.E008 add it"),
    (instead(ASK, "shared/layouts", "layouts"), f'{ASK}:1:1 message.E008 write "shared/layouts/letter.html.j2"'),
    (instead("copy/da.yaml", "^greeting.plain.*\n", ""), "copy/da.yaml:1:1 message.E006 add it"),
    (put(ASK, 3, "{{ shipment.window_from.year }}"), f"{ASK}:3:25 message.E004 see "),
    # Only data with few parts has an order without an address.
    (put(ASK, 3, "{{ order.billing_address.city }}"), f"{ASK}:3:26 message.E004 put it between {{% if order.billing_address %}}"),
    (put(ASK, 3, "{% if order.is_late %}{% endif %}"), f"{ASK}:3:13 message.E004 only conditions have order.is_late; known: order_id, "),
]  # fmt: skip


def problems_in(root: Path) -> list[Problem]:
    """The problems of the messages below `root`, whose flows are valid."""
    templates = read_templates(root)
    assert not templates.errors
    return check_messages(root, templates.flows)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the shop's templates with three of its flows in two languages: each check renders all messages in every language."""
    kept = {"review", "goes-well-with", "order-confirmation"}
    others = shutil.ignore_patterns(*({path.name for path in TEMPLATES.glob("flows/*/*")} - kept))
    folder = Path(shutil.copytree(TEMPLATES, tmp_path / "templates", ignore=others))
    (folder / "languages.yaml").write_text("languages: [en, da]\n", encoding="utf-8")
    return folder


def described(problem: Problem, root: Path) -> str:
    """File, position, id and hint of a problem."""
    at = problem.location
    return f"{at.file.removeprefix(f'{root}/')}:{at.line}:{at.column} {problem.id} {problem.hint}"


@pytest.mark.parametrize(("change", "error"), INVALID, ids=[error.partition(" ")[0] for _, error in INVALID])
def test_errors(change: Callable[[Path], None], error: str, root: Path) -> None:
    """A change gives an error with its file, position, id and hint, and no error in another file."""
    change(root)
    errors = [described(problem, root) for problem in problems_in(root)]
    assert len({line.partition(":")[0] for line in errors}) == 1, errors
    assert errors[0].startswith(error), errors


def number_of(root: Path, file: str, text: str) -> int:
    """The line of a file that contains `text`."""
    lines = (root / file).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


ENGLISH, SHARED_COPY = f"{REVIEW}/copy/en.yaml", "copy/da.yaml"


@pytest.mark.parametrize(
    ("file", "key", "value", "column", "id"),
    [
        (COPY, "ask.question", '"{{ order.order_ide }}"', 25, "message.E004"),
        (ENGLISH, "ask.question", '"{{ order.order_ide }}"', 25, "message.E004"),
        (COPY, "ask.question", "'Hi {{ ordr }}'", 22, "message.E002"),
        (COPY, "ask.subject", '"{{ order.total | mony }}"', 32, "message.E005"),
        (COPY, "ask.subject", '"{% if %}"', 14, "message.E001"),
        (COPY, "ask.preview", "|\n  Hi\n  {{ order.totl }}", 12, "message.E004"),
        (SHARED_COPY, "greeting.plain", '"{{ nobody }}"', 21, "message.E002"),
        (SHARED_COPY, "greeting.morning", '"{{ nobody }}"', 23, "message.E002"),
        (COPY, "ask.question", "[1]", 15, "message.E007"),
        (COPY, "ask.question", "17", 15, "message.E007"),
        (COPY, "ask.question", "Hi: there: you", 17, "yaml.E001"),
    ],
)
def test_errors_in_copy(file: str, key: str, value: str, column: int, id: str, root: Path) -> None:
    """An error in a text is reported in its copy file, at its own line and column."""
    instead(file, rf"^{re.escape(key)}:.*", f"{key}: {value}")(root)
    errors = problems_in(root)
    line = number_of(root, file, value.splitlines()[-1])
    found = {(each.location.file, each.location.line, each.location.column, each.id) for each in errors}
    assert found == {(str(root / file), line, column, id)}


def test_invalid_copy_hides_no_other_flow(root: Path) -> None:
    """An invalid copy file of one flow leaves the messages of the other flows checked."""
    instead(COPY, "^ask.question:.*", "ask.question: [1]")(root)
    put(CONFIRMATION, 2, "{{ nobody }}")(root)
    files = {problem.location.file.removeprefix(f"{root}/") for problem in problems_in(root)}
    assert files == {COPY, CONFIRMATION}


def test_copy_without_texts(root: Path) -> None:
    """An empty copy file, and one that is a list, are errors at their start."""
    for text in ("", "- a\n"):
        (root / COPY).write_text(text, encoding="utf-8")
        assert [described(problem, root).partition(" write")[0] for problem in problems_in(root)] == [
            f"{COPY}:1:1 message.E007"
        ]


def test_shared_templates_need_only_shared_copy(root: Path) -> None:
    """The shared templates, recommended products included, are rendered in every language with the shared copy alone."""
    folder = root / "flows" / "selling" / "f"
    (folder / "copy").mkdir(parents=True)
    (folder / "flow.yaml").write_text(
        "flow: f\nversion: 1\nstatus: live\npurpose: marketing\ntrigger: {on: order.placed}\nsteps: [{send: {message: a, products: 3}}]\n"
    )
    for ending, layout in (("html", "shared/layout.html.j2"), ("txt", "shared/layout.txt.j2")):
        shared = f'{{% extends "{layout}" %}}{{% block content %}}{{% include "shared/blocks/products.{ending}.j2" %}}{{% endblock %}}'
        (folder / f"a.{ending}.j2").write_text(shared)
    for language in ("da", "en"):
        (folder / "copy" / f"{language}.yaml").write_text("a.subject: S\na.preview: P\n")
    assert problems_in(root) == []


GREETINGS = [
    "greeting.plain", "greeting.morning", "closing.plain", "closing.morning", "closing.weekend", "closing.christmas",
]  # fmt: skip
REST = [
    f"{key}: Hej" for key in ("salutation", "why", "unsubscribe", "preferences", "privacy", "terms", "withdrawal-right")
]


def only_review(root: Path, languages: str) -> None:
    """Leave one flow in the folder, and name its languages."""
    for folder in root.glob("flows/*/*"):
        if folder.name != "review":
            shutil.rmtree(folder)
    (root / "languages.yaml").write_text(f"languages: {languages}\n", encoding="utf-8")


def test_language_without_greetings(root: Path) -> None:
    """Each greeting and closing that a language lacks is one error for all messages. A flow's own copy can have it instead."""
    only_review(root, "[en, fi]")
    shutil.copy(root / COPY, root / REVIEW / "copy/fi.yaml")
    assert [described(problem, root) for problem in problems_in(root)] == [
        "copy/fi.yaml:1:1 message.E006 add it to the file"
    ] * len(GREETINGS)
    assert [re.findall(r"'(.*)'", problem.message) for problem in problems_in(root)] == [[key] for key in GREETINGS]
    put(f"{REVIEW}/copy/fi.yaml", 1, "\n".join([*(f"{key}: Hej" for key in GREETINGS), *REST]))(root)
    assert problems_in(root) == []


@pytest.mark.parametrize("mood", ["morning", "weekend", "christmas"])
def test_a_message_that_differs_by_mood(mood: str, root: Path) -> None:
    """A message is rendered in every mood if its template depends on the mood, although earlier messages had the same greetings."""
    for file in (ASK, CONFIRMATION):
        put(file, 3, "{% if mood == 'MOOD' %}{{ t['gone'] }}{% endif %}".replace("MOOD", mood))(root)
    assert {described(problem, root).partition(":")[0] for problem in problems_in(root)} == {ASK, CONFIRMATION}


def test_a_text_part_or_a_text_that_differs_by_mood(root: Path) -> None:
    """The text part and the texts of the copy may depend on the mood too."""
    difference = "{% if mood == 'weekend' %}{{ t['gone'] }}{% endif %}"
    for file in (ASK_TEXT, CONFIRMATION_TEXT):
        put(file, 3, difference)(root)
    assert {described(problem, root).partition(":")[0] for problem in problems_in(root)} == {
        ASK_TEXT,
        CONFIRMATION_TEXT,
    }
    for file in (ASK_TEXT, CONFIRMATION_TEXT):
        instead(file, re.escape(difference), "")(root)
    instead(COPY, r"^ask\.question: .*$", "ask.question: \"{% if mood == 'weekend' %}{{ order.gone }}{% endif %}\"")(
        root
    )
    assert [problem.location.file for problem in problems_in(root)] == [str(root / COPY)]


def test_one_closing_for_all_moods(root: Path) -> None:
    """Copies of earlier versions have `regards`, which is a closing for every mood."""
    only_review(root, "[da]")
    instead("copy/da.yaml", "^closing.*\n", "")(root)
    assert {problem.id for problem in problems_in(root)} == {"message.E006"}
    put("copy/da.yaml", 1, "regards: Hilsen")(root)
    assert problems_in(root) == []


@pytest.mark.parametrize("key", ["ask.subject", "ask.question", "honest"])
def test_each_language_is_complete(key: str, root: Path) -> None:
    """A text that one language lacks is an error there: it does not silently become that of another language."""
    for file, language in ((COPY, "da"), (ENGLISH, "en")):
        only_review(root, "[en, da]") if language == "da" else None
        kept = (root / file).read_text(encoding="utf-8")
        instead(file, rf"^{re.escape(key)}:.*\n", "")(root)
        errors = problems_in(root)
        assert {problem.id for problem in errors} == {"message.E006"}
        assert f"copy/{language}.yaml" in str(errors[0])
        (root / file).write_text(kept, encoding="utf-8")


def test_a_danish_shop_needs_no_english(root: Path) -> None:
    """With and without languages.yaml a shop may have copies in Danish only."""
    only_review(root, "[da]")
    for path in (root / ENGLISH, root / "copy/en.yaml"):
        path.unlink()
    assert problems_in(root) == []
    (root / "languages.yaml").unlink()
    assert problems_in(root) == []


def test_a_named_language_without_a_copy(root: Path) -> None:
    """Each flow needs a copy in each language that the shop names; one that it does not name is not read."""
    only_review(root, "[da, de]")
    assert [described(problem, root) for problem in problems_in(root)] == [
        f"{REVIEW}/copy/de.yaml:1:1 message.E011 add the file, or remove de from languages.yaml"
    ]
    only_languages = root / "languages.yaml"
    only_languages.write_text("languages: [da]\n", encoding="utf-8")
    (root / REVIEW / "copy/de.yaml").write_text("ask.subject: Hallo\n", encoding="utf-8")
    assert problems_in(root) == []


@pytest.mark.parametrize(
    ("languages", "error"),
    [
        ("[da, pt_br]", "languages.yaml:1:17 message.E010 write pt-BR"),
        ("[Danish]", "languages.yaml:1:13 message.E010 write for example da, pt-BR or zh-Hant"),
        ("[]", "languages.yaml:1:12 message.E010 write for example [da]"),
        ("da", "languages.yaml:1:12 yaml.E006 start each item with a dash"),
    ],
)
def test_invalid_languages(languages: str, error: str, root: Path) -> None:
    """Languages are written as BCP 47 has them."""
    only_review(root, languages)
    assert described(problems_in(root)[0], root) == error


def test_the_name_of_a_copy_file(root: Path) -> None:
    """A copy file that no customer could get is an error."""
    only_review(root, "[da]")
    (root / "copy/pt_BR.yaml").write_text("why: x\n", encoding="utf-8")
    assert [described(problem, root) for problem in problems_in(root)] == [
        "copy/pt_BR.yaml:1:1 message.E010 write pt-BR.yaml"
    ]


def test_a_language_that_is_like_another(root: Path) -> None:
    """A regional copy needs only the texts that differ; the others are those of its parent."""
    only_review(root, "[da, da-GL]")
    (root / REVIEW / "copy/da-GL.yaml").write_text("ask.subject: Aluu\n", encoding="utf-8")
    assert problems_in(root) == []


def test_own_messages_are_valid() -> None:
    """Every message of the repository can be rendered with any data."""
    assert problems_in(TEMPLATES) == []


FLOW = """flow: f
version: 1
status: live
purpose: marketing
trigger: {{on: order.placed}}
steps:
{steps}
"""


@pytest.mark.parametrize(
    ("steps", "lines"),
    [
        ("  - reward: {name: ten}\n  - send: {message: a}", []),
        ("  - reward: {name: ten, pool: tens}\n  - send: {message: a}", [8]),
        ("  - send: {message: a}\n  - reward: {name: ten}", [7]),
        ("  - reward: {name: ten, pool: tens}\n  - split: [{when: reward.is_given, steps: [{send: {message: a}}]}]", []),
        ("  - reward: {name: ten, pool: tens}\n  - split: [{when: not reward.is_given, steps: [{emit: none-left}]},"
         " {otherwise: [{send: {message: a}}]}]\n  - send: {message: a}", [9]),
        ("  - reward: {name: ten, pool: tens}\n  - split: [{when: not reward.is_given, steps: [{reward: {name: ten}}]}]\n"
         "  - send: {message: a}", []),
        ("  - wait_for: {event: order.paid, up_to: 1d, then: [{reward: {name: ten}}]}\n  - send: {message: a}", [8]),
        ("  - reward: {name: ten}\n  - wait_for: {event: order.paid, up_to: 1d}\n  - send: {message: a}", []),
        ("  - repeat: {times: 2, every: 1d, steps: [{reward: {name: ten}}]}\n  - send: {message: a}", []),
        ("  - repeat: {times: 2, every: 1d, until: order.is_paid, steps: [{reward: {name: ten}}]}\n  - send: {message: a}", [8]),
        ("  - repeat: {times: 2, every: 1d, steps: [{send: {message: a}}, {reward: {name: ten}}]}", [7]),
    ],
)  # fmt: skip
def test_emails_with_a_code(steps: str, lines: list[int], tmp_path: Path) -> None:
    """A pool can be empty, so a send of a code that customers without one can reach is an error at its line."""
    folder = tmp_path / "flows" / "care" / "f"
    (folder / "copy").mkdir(parents=True)
    (folder / "flow.yaml").write_text(FLOW.format(steps=steps), encoding="utf-8")
    (folder / "copy" / "en.yaml").write_text("a.subject: A present", encoding="utf-8")
    (folder / "a.html.j2").write_text("<p>{{ reward.code }}</p>", encoding="utf-8")
    problems = problems_in(tmp_path)
    assert [problem.location.line for problem in problems] == lines
    assert {problem.id for problem in problems} <= {"flow.E051"}


@pytest.mark.parametrize(
    ("steps", "text", "is_error"),
    [
        (", then: [{send: {message: a}}]}", "{{ shipment.carrier }}", False),
        (", then: [{wait: 1d}, {send: {message: a}}]}", "{{ shipment.carrier }}", False),
        (", otherwise: [{send: {message: a}}]}", "{{ shipment.carrier }}", True),
        ("}\n  - send: {message: a}", "{{ shipment.carrier }}", True),
        ("}\n  - send: {message: a}", "{% if shipment is defined %}{{ shipment.carrier }}{% endif %}", False),
    ],
)  # fmt: skip
def test_emails_with_a_parcel(steps: str, text: str, is_error: bool, tmp_path: Path) -> None:
    """Without the parcel's event there is no parcel; after the wait only some customers have one."""
    folder = tmp_path / "flows" / "care" / "f"
    (folder / "copy").mkdir(parents=True)
    wait = "  - wait_for: {event: shipment.shipped, up_to: 2d" + steps
    (folder / "flow.yaml").write_text(FLOW.format(steps=wait), encoding="utf-8")
    (folder / "copy" / "en.yaml").write_text("a.subject: A parcel", encoding="utf-8")
    (folder / "a.html.j2").write_text(f"<p>{text}</p>", encoding="utf-8")
    ids = [problem.id for problem in problems_in(tmp_path)]
    assert ids == (["message.E003"] if is_error else [])
