"""Service emails that seem to advertise: customers get them without consent, so an offer in one of them needs a second look."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from streams.core.rules.flow import Flow, Send
from streams.definitions.checks.languages import languages_of
from streams.definitions.checks.sample_data import LINKS, command, template_sample
from streams.definitions.checks.shop_brand import brand_of
from streams.definitions.checks.transactional import service_sends
from streams.definitions.problems import Location, Problem
from streams.mail.rendering.renderer import Renderer, RenderError
from streams.mail.rendering.template_folders import COPY, flow_folders

#: A number with a percent sign, or with the word for it: `20 %`, `-20%`, `20 procent`.
PERCENT = re.compile(
    r"\d\s*(?:[%\N{FULLWIDTH PERCENT SIGN}]|(?:pct|percent|per cent|procent|prosent|prozent)\b)", re.IGNORECASE
)
#: The parts of the HTML that nobody reads: styles, structured data and tags.
_MARKUP = re.compile(r"<(style|script)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
#: The characters that are not part of the text in a source: the statements, expressions and comments of Jinja.
_JINJA = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}")


def check_advertising(root: Path, flows: Iterable[Flow]) -> list[Problem]:
    """Return a warning for each service email that names a percentage in one of its languages. Emails that cannot be rendered are left out.

    Args:
        root: the templates folder.
        flows: all versions of all flows; they must be valid.
    """
    senders = list(service_sends(flows))
    if not senders:
        return []
    folders, renderer = flow_folders(root), Renderer(root, brand_of(root), is_styled=False, is_strict=True)
    found: dict[Problem, None] = {}
    for flow, step in senders:
        folder, data = folders[flow.name], template_sample(flow, step, is_full=True)
        for language in languages_of(root, folder):
            try:
                email = renderer.render(command(flow, step, language, data), LINKS)
            except RenderError:
                continue  # `check_messages` reports it
            if PERCENT.search(f"{email.subject}\n{email.text}\n{_MARKUP.sub(' ', email.html)}") is not None:
                found[_problem(root, folder, step, language)] = None
    return list(found)


def _problem(root: Path, folder: Path, step: Send, language: str) -> Problem:
    message = f"the service email {step.message!r} names a percentage, and customers get it without consent"
    hint = "send it as marketing if it advertises"
    page = folder / f"{step.message}.html.j2"
    for path in (
        folder / COPY / f"{language}.yaml",
        page,
        folder / f"{step.message}.txt.j2",
        root / COPY / f"{language}.yaml",
    ):
        for number, line in enumerate(_lines(path), 1):
            text = _JINJA.sub(lambda code: " " * len(code[0]), line)
            if (match := PERCENT.search(text)) is not None:
                return Problem("message.W001", message, hint, Location(number, match.start() + 1)).in_file(path)
    return Problem("message.W001", message, hint).in_file(page)


def _lines(path: Path) -> Iterator[str]:
    if path.is_file():
        yield from path.read_text(encoding="utf-8").splitlines()
