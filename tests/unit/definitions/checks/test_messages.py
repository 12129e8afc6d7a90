"""Reading the messages of flows before a mail has to be written: what is wrong is told at its place, in these words."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.definitions.checks.messages import proofread
from streams.definitions.loader import Mistake, read_templates
from tests.harness.events import TEMPLATES

REVIEW = "flows/asking/review"
ASK, ASK_TEXT, COPY = f"{REVIEW}/ask.html.j2", f"{REVIEW}/ask.txt.j2", f"{REVIEW}/copy/da.yaml"
CONFIRMATION = "flows/transactional/order-confirmation/confirmation.html.j2"
NAMES = "known: customer, greeting, language, mood, order, pixel_url, preview, review_url, shipment, shop_name, subject, t, unsubscribe_url"


def put(name: str, line: int, text: str) -> Callable[[Path], None]:
    """Puts a line into a file."""

    def change(root: Path) -> None:
        lines = (root / name).read_text(encoding="utf-8").splitlines()
        (root / name).write_text("\n".join([*lines[: line - 1], text, *lines[line - 1 :], ""]), encoding="utf-8")

    return change


def instead(name: str, pattern: str, text: str) -> Callable[[Path], None]:
    """Writes `text` in the place of what matches."""

    def change(root: Path) -> None:
        old = (root / name).read_text(encoding="utf-8")
        new = re.sub(pattern, text, old, flags=re.MULTILINE)
        assert new != old
        (root / name).write_text(new, encoding="utf-8")

    return change


def as_latin_1(name: str) -> Callable[[Path], None]:
    """Saves a file in another encoding, with a letter that is another one there."""

    def change(root: Path) -> None:
        (root / name).write_bytes("Køb\n".encode("latin-1"))

    return change


BROKEN = [
    (as_latin_1(ASK), f"{ASK}:1:1: the file is not UTF-8 at byte 1; save it as UTF-8"),
    (as_latin_1(ASK_TEXT), f"{ASK_TEXT}:1:1: the file is not UTF-8 at byte 1; save it as UTF-8"),
    (as_latin_1(COPY), f"{COPY}:1:1: the file is not UTF-8 at byte 1; save it as UTF-8"),
    (as_latin_1("shared/layout.html.j2"), "shared/layout.html.j2:1:1: the file is not UTF-8 at byte 1; save it as UTF-8"),
    (put(ASK, 3, "{{ greting }}"), f"{ASK}:3:4: unknown name 'greting'; did you mean 'greeting'?"),
    (put(ASK, 3, "{% if %}"), f"{ASK}:3:1: Expected an expression, got 'end of statement block'; look at the template there"),
    (put(ASK, 3, "<b>{{ order.totl | money }}</b>"), f"{ASK}:3:13: unknown field 'totl'; did you mean 'total'?"),
    (put(ASK, 3, "{{ order.total | mony }}"), f"{ASK}:3:18: unknown filter 'mony'; did you mean 'money'?"),
    (put(ASK, 3, "{{ reward.code }}"), f"{ASK}:3:4: this message has no reward; give a reward before the send"),
    (put(ASK, 3, "{% if order is odder %}{% endif %}"), f"{ASK}:3:16: unknown test 'odder'; did you mean 'odd'?"),
    (put(CONFIRMATION, 3, "{{ shipment.carrier }}"), f"{CONFIRMATION}:3:4: this message has no shipment; begin the flow with a parcel, or "),
    (put(CONFIRMATION, 3, "{{ products[0] }}"), f"{CONFIRMATION}:3:4: this message has no products; add products: 4 to the send"),
    (put(CONFIRMATION, 3, "{{ order.lines[0].titel }}"), f"{CONFIRMATION}:3:19: unknown field 'titel'; did you mean 'title'?"),
    (put("shared/products.html.j2", 2, "{{ products[0].sko }}"), "shared/products.html.j2:2:16: unknown field 'sko'; did you mean 'sku'?"),
    (put(ASK_TEXT, 3, "{% if false %}{{ nothing_such }}{% endif %}"), f"{ASK_TEXT}:3:18: unknown name 'nothing_such'; {NAMES}"),
    (instead(COPY, "^ask.question.*", 'ask.question: "{{ order.order_ide }}"'), f"{ASK}:3:1: unknown field 'order_ide'; did you mean 'order_id'?"),
    (instead(COPY, "^ask.question.*", "ask.question: [1]"), f"{COPY}:1:1: expected lines of the form `key: text`; look at the template there"),
    (instead(ASK, "ask.question", "ask.kvestion"), f"{ASK}:3:1: the copy has no text 'ask.kvestion'; add it to copy/da.yaml"),
    (instead(ASK, "<p>", "<p {% if order %}x{% endif %}>"), f"{ASK}:1:1: a {{% %}} is inside a tag, "),
    (instead(ASK, "layout.html.j2", "layuot.html.j2"), f"{ASK}:1:1: there is no template shared/layuot.html.j2; add it"),
    (instead(ASK, "shared/layout", "layout"), f'{ASK}:1:1: there is no template layout.html.j2; write "shared/layout.html.j2"'),
    (instead("copy/da.yaml", "^greeting.christmas.*\n", ""), "copy/da.yaml:1:1: the copy has no text 'greeting.christmas'; add it"),
    # What only those facts do that say little: a parcel without a promise.
    (put(ASK, 3, "{{ shipment.window_from.year }}"), f"{ASK}:3:25: unknown field 'year'; known: "),
]  # fmt: skip


def read(root: Path) -> list[Mistake]:
    """The mistakes in the messages below `root`, whose flows are right."""
    templates = read_templates(root)
    assert not templates.errors
    return proofread(root, templates.flows)


@pytest.mark.parametrize(("change", "told"), BROKEN, ids=[told.partition(";")[0] for _, told in BROKEN])
def test_each_mistake_is_told_at_its_place(change: Callable[[Path], None], told: str, tmp_path: Path) -> None:
    """File, line, column, what is wrong and what would be right, and nothing else."""
    root = tmp_path / "templates"
    shutil.copytree(TEMPLATES, root)
    change(root)
    found = [str(one) for one in read(root)]
    assert len({line.partition(":")[0] for line in found}) == 1, found
    assert found[0].removeprefix(f"{root}/").startswith(told), found


def test_what_is_shared_needs_no_words_of_a_flows_own(tmp_path: Path) -> None:
    """The pieces that all flows share, recommended products among them, are written in every language with the words beside them alone."""
    root = tmp_path / "templates"
    shutil.copytree(TEMPLATES, root)
    folder = root / "flows" / "selling" / "f"
    (folder / "copy").mkdir(parents=True)
    (folder / "flow.yaml").write_text(
        "flow: f\nversion: 1\nstatus: live\npurpose: marketing\ntrigger: {on: order.placed}\nsteps: [{send: {message: a, products: 3}}]\n"
    )
    for ending, layout in (("html", "shared/layout.html.j2"), ("txt", "shared/layout.txt.j2")):
        shared = f'{{% extends "{layout}" %}}{{% block content %}}{{% include "shared/products.{ending}.j2" %}}{{% endblock %}}'
        (folder / f"a.{ending}.j2").write_text(shared)
    for language in ("da", "en"):
        (folder / "copy" / f"{language}.yaml").write_text("a.subject: S\na.preview: P\n")
    assert read(root) == []


def test_a_language_without_greetings(tmp_path: Path) -> None:
    """Each greeting that the copy of a language lacks is an error, once for all messages; a flow's own copy may have it instead."""
    root = tmp_path / "templates"
    shutil.copytree(TEMPLATES, root)
    shutil.copy(root / COPY, root / REVIEW / "copy/sv.yaml")
    keys = [f"greeting.{mood}" for mood in ("plain", "morning", "weekend", "christmas")]
    assert [str(one).removeprefix(f"{root}/") for one in read(root)] == [
        f"copy/sv.yaml:1:1: the copy has no text '{key}'; add it" for key in keys
    ]
    put(f"{REVIEW}/copy/sv.yaml", 1, "\n".join(f"{key}: Hej" for key in keys))(root)
    assert read(root) == []


def test_the_shops_own_messages_are_right() -> None:
    """Every message of the repository can be written, whatever the facts say."""
    assert read(TEMPLATES) == []


FLOW = """flow: f
version: 1
status: live
purpose: service
trigger: {{on: order.placed}}
steps:
{steps}
"""


@pytest.mark.parametrize(
    ("steps", "places"),
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
    ],
)  # fmt: skip
def test_a_mail_that_shows_a_code_goes_to_who_has_one(steps: str, places: list[int], tmp_path: Path) -> None:
    """A pool may be empty: where a customer without a code may come, the send is told, at its line."""
    folder = tmp_path / "flows" / "care" / "f"
    (folder / "copy").mkdir(parents=True)
    (folder / "flow.yaml").write_text(FLOW.format(steps=steps), encoding="utf-8")
    (folder / "copy" / "en.yaml").write_text("a.subject: A present", encoding="utf-8")
    (folder / "a.html.j2").write_text("<p>{{ reward.code }}</p>", encoding="utf-8")
    found = read(tmp_path)
    assert [one.line for one in found] == places
    assert {one.problem for one in found} <= {"the mail a shows reward.code, and who comes here may have none"}


@pytest.mark.parametrize(
    ("steps", "text", "is_told"),
    [
        (", then: [{send: {message: a}}]}", "{{ shipment.carrier }}", False),
        (", then: [{wait: 1d}, {send: {message: a}}]}", "{{ shipment.carrier }}", False),
        (", otherwise: [{send: {message: a}}]}", "{{ shipment.carrier }}", True),
        ("}\n  - send: {message: a}", "{{ shipment.carrier }}", True),
        ("}\n  - send: {message: a}", "{% if shipment is defined %}{{ shipment.carrier }}{% endif %}", False),
    ],
)  # fmt: skip
def test_a_mail_that_shows_a_parcel_goes_to_who_has_one(steps: str, text: str, is_told: bool, tmp_path: Path) -> None:
    """Where the parcel's news did not come in time there is no parcel; behind the wait some have one."""
    folder = tmp_path / "flows" / "care" / "f"
    (folder / "copy").mkdir(parents=True)
    wait = "  - wait_for: {event: shipment.shipped, up_to: 2d" + steps
    (folder / "flow.yaml").write_text(FLOW.format(steps=wait), encoding="utf-8")
    (folder / "copy" / "en.yaml").write_text("a.subject: A parcel", encoding="utf-8")
    (folder / "a.html.j2").write_text(f"<p>{text}</p>", encoding="utf-8")
    found = [one.problem for one in read(tmp_path)]
    assert found == (["this message has no shipment"] if is_told else [])
