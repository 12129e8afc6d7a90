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
from streams.mail.rendering.render_errors import RenderError
from streams.mail.rendering.renderer import Renderer
from streams.mail.rendering.template_folders import COPY, flow_folders, message_names

#: A number with a percent sign, or with the word for it: `20 %`, `-20%`, `20 procent`.
PERCENT = re.compile(
    r"\d\s*(?:[%\N{FULLWIDTH PERCENT SIGN}]|(?:pct|percent|per cent|procent|prosent|prozent)\b)", re.IGNORECASE
)
#: Words of offers, in the languages of most shops here.
OFFER = re.compile(
    r"\b(?:discount|voucher|coupon|promo code|special offer|on sale|rabat(?:kode|ten)?|tilbud(?:det)?|udsalg|rabatt(?:kode|kod|code)?"
    r"|salg på|erbjudanden?|korting(?:scode)?|aanbieding(?:en)?|uitverkoop|gutschein(?:code)?|sonderangebot)\b",
    re.IGNORECASE,
)
#: The parts of the HTML that nobody reads: styles, structured data and tags.
_MARKUP = re.compile(r"<(style|script)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
#: The characters that are not part of the text in a source: the statements, expressions and comments of Jinja.
_JINJA = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}")


def check_advertising(root: Path, flows: Iterable[Flow]) -> list[Problem]:
    """Return a warning for each service email that names a percentage or an offer in one of its languages.

    Emails that cannot be rendered are left out. Words count only in the flow's own texts: a receipt has rows of discounts.

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
        folder, data, before = folders[flow.name], template_sample(flow, step, is_full=True), len(found)
        for language in languages_of(root, folder):
            try:
                email = renderer.render(command(flow, step, language, data), LINKS)
            except RenderError:
                continue  # `check_messages` reports it
            if PERCENT.search(f"{email.subject}\n{email.text}\n{_MARKUP.sub(' ', email.html)}") is not None:
                found[_problem(root, folder, step, language)] = None
        if len(found) == before:  # one warning is enough to look at the email
            found |= dict.fromkeys(_offers(folder, step))
    return list(found)


def _offers(folder: Path, step: Send) -> Iterator[Problem]:
    """Yield the first word of an offer in each file of a service email."""
    keys = re.compile(rf"\s*['\"]?{re.escape(step.message)}\.(?:subject|preview)\b")
    others = [f"{name}." for name in message_names(folder) if name != step.message]
    for path in (*(folder / f"{step.message}.{ending}.j2" for ending in ("html", "txt")), *_copies(folder)):
        for number, line in enumerate(_lines(path), 1):
            if line.lstrip().startswith("#") or (
                not keys.match(line) and line.lstrip("'\" ").startswith(tuple(others))
            ):
                continue  # a comment, or a text of another message
            text = _JINJA.sub(lambda code: " " * len(code[0]), line)
            if (match := OFFER.search(text)) is not None:
                message = f"the service email {step.message!r} speaks of an offer ({match[0]!r}), and customers get it without consent"
                at = Location(number, match.start() + 1)
                yield Problem("message.W006", message, "send it as marketing if it advertises", at).in_file(path)
                break


def _copies(folder: Path) -> list[Path]:
    return sorted((folder / COPY).glob("*.yaml"))


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
