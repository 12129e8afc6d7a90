"""Warnings about emails that can be rendered: what customers would see, what phones and filters do with it, and what the law asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from jinja2 import TemplateSyntaxError, meta
from msgspec.structs import replace

from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow, Send
from streams.definitions.checks.copy_files import text_position
from streams.definitions.checks.dead_links import why_dead
from streams.definitions.checks.documents import check_seller
from streams.definitions.checks.email_page import WIDEST, EmailPage, is_address
from streams.definitions.checks.languages import languages_of
from streams.definitions.checks.outlook import outlook_problems
from streams.definitions.checks.sample_data import LINKS, command, template_sample
from streams.definitions.checks.shop_brand import BRAND, brand_of
from streams.definitions.checks.subjects import subject_problems
from streams.definitions.checks.sums import missing_amounts
from streams.definitions.checks.template_blocks import check_blocks
from streams.definitions.checks.text_contrast import unreadable_texts
from streams.definitions.problems import Location, Problem
from streams.mail.rendering.brand import Colors
from streams.mail.rendering.languages import read_languages
from streams.mail.rendering.render_errors import RenderError
from streams.mail.rendering.renderer import RenderedEmail, Renderer
from streams.mail.rendering.template_folders import COPY, flow_folders

_HTTPS = "write the whole address, for example https://shop.example/tea"
#: The country of the sample data, whose legal lines its emails have.
_COUNTRY = "DK"
#: Bytes of HTML after which Gmail cuts an email.
MAX_HTML_BYTES = 102_000


def check_rendered_emails(root: Path, flows: Iterable[Flow]) -> list[Problem]:
    """Return the warnings about the emails of flows, each once, at its line. Emails that cannot be rendered are left out.

    Args:
        root: the templates folder.
        flows: all versions of all flows; they must be valid.
    """
    checker: _EmailChecker | None = None
    flows = tuple(flows)
    found = dict.fromkeys(check_seller(root, flows))
    for flow in flows:
        checker = checker or _EmailChecker(root)
        for step in CompiledFlow(flow).steps.values():
            if isinstance(step, Send):
                found |= dict.fromkeys(checker.problems(flow, step))
    return list(found)


class _EmailChecker:
    """Renders emails with all of their sample data, and finds what customers would see."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders = flow_folders(root)
        # Without styles, a template's lines are those of its file.
        brand = brand_of(root)
        self._renderer, self._styled = [
            Renderer(root, brand, is_styled=is_styled, is_strict=True) for is_styled in (False, True)
        ]
        self._default = read_languages(root).default
        self._brand_pairs = _brand_pairs(brand.colors)
        self._files: dict[Path, tuple[str, ...]] = {}
        self._parts: dict[Path, list[Path]] = {}
        self._named: dict[Path, list[Path]] = {}
        self._legal_lines: list[str] = brand.for_templates()[brand.key(_COUNTRY)]["legal"]

    def problems(self, flow: Flow, step: Send) -> Iterator[Problem]:
        """Yield the warnings about one email, in every language."""
        folder, data = self._folders[flow.name], template_sample(flow, step, is_full=True)
        for ending in ("html", "txt"):
            yield from check_blocks(self._renderer.environment, self._root, folder / f"{step.message}.{ending}.j2")
        languages = languages_of(self._root, folder)
        for language in languages:
            sent = command(flow, step, language, data)
            try:
                email = self._renderer.render(sent, LINKS)
            except RenderError:
                continue  # `check_messages` reports it
            page = EmailPage(email.html)
            yield from self._check_foot(folder, step, email, page)
            yield from self._check_page(folder, step, language, page)
            for found in outlook_problems(email.html):
                yield self._at(folder, step, language, found.words, found.problem)
            for words, problem in subject_problems(email.subject):
                yield self._in_subject(folder, step, language, words, problem)
            if language == (self._default if self._default in languages else languages[0]):
                order = data.get("order")
                if isinstance(order, dict) and (missing := list(missing_amounts(page.text, order))):
                    message = (
                        f"the receipt shows lines and a total, and not every amount between them: {', '.join(missing)}"
                    )
                    hint = 'include "shared/blocks/order-lines.html.j2" and "shared/blocks/totals.html.j2"'
                    yield self._at(folder, step, language, "", Problem("message.W014", message, hint))
                with suppress(RenderError):  # `check_messages` reports it
                    yield from self._check_looks(folder, step, language, self._styled.render(sent, LINKS).html)

    def _check_page(self, folder: Path, step: Send, language: str, page: EmailPage) -> Iterator[Problem]:
        """Yield the links that lead nowhere, and the pictures that email programs do not show as they should."""
        for address, is_image in page.addresses:
            what = "image" if is_image else "link"
            if not is_address(address, is_image=is_image):
                message = f"the {what} {address!r} is not an address" if address else f"a {what} has no address"
                yield self._at(folder, step, language, address, Problem("message.W003", message, _HTTPS))
            elif reason := why_dead(address):
                problem = Problem("message.W011", f"the {what} {address!r} leads nowhere: {reason}", _HTTPS)
                # The brand and the sample data have such addresses too. Those of the brand are reported in its file.
                if (at := self._place(folder, step, language, address)) is not None:
                    yield replace(problem, location=at)
        for source in page.without_text:
            hint = 'add alt="…", or alt="" if it is only decoration'
            problem = Problem("message.W004", f"the image {source!r} has no `alt`", hint)
            yield self._at(folder, step, language, source, problem)
        for source, width in page.too_wide:
            message = f"the image {source!r} is {width} pixels wide, and the email {WIDEST}"
            problem = Problem("message.W012", message, f'write width="{WIDEST}" or less')
            yield self._at(folder, step, language, source, problem)

    def _check_looks(self, folder: Path, step: Send, language: str, html: str) -> Iterator[Problem]:
        """Yield the texts that cannot be read, and an email that Gmail cuts, of an email with styles."""
        for found in unreadable_texts(html, self._brand_pairs):
            message = f"{found.words!r} can hardly be read: {found.color} on {found.background} has a contrast of {found.ratio}"
            problem = Problem("message.W015", message, f"choose colors with a contrast of {found.least}")
            yield self._at(folder, step, language, found.words, problem)
        if (size := len(html.encode())) > MAX_HTML_BYTES:
            message = f"the email has {size / 1000:.1f} kB of HTML; Gmail cuts it at {MAX_HTML_BYTES // 1000} kB"
            yield self._at(folder, step, language, "", Problem("message.W016", message, "divide it into two emails"))

    def _check_foot(self, folder: Path, step: Send, email: RenderedEmail, page: EmailPage) -> Iterator[Problem]:
        """Yield the parts of an email that lack what the law asks for at its foot."""
        yield from self._check_unsubscribing(folder, step, email, page)
        brand = self._root / BRAND
        if not self._legal_lines and brand.is_file():
            message = "the brand has no legal lines, so no email names your company and its address"
            yield Problem("message.W013", message, "write `company` and `address` into the brand").in_file(brand)
        for line in self._legal_lines[:1]:
            text = folder / f"{step.message}.txt.j2"
            for path, words in ((folder / f"{step.message}.html.j2", page.text), (text, email.text)):
                if path.is_file() and " ".join(line.split()) not in " ".join(words.split()):
                    message = f"the email {step.message!r} does not name your company and its address"
                    hint = "extend the shared layout, or show `brand.legal`"
                    yield Problem("message.W013", message, hint).in_file(path)

    def _check_unsubscribing(
        self, folder: Path, step: Send, email: RenderedEmail, page: EmailPage
    ) -> Iterator[Problem]:
        """Yield the parts of an email, except one about an order, that lack the link to unsubscribe."""
        if step.purpose == "order":
            return
        text = folder / f"{step.message}.txt.j2"
        links = [address for address, is_image in page.addresses if not is_image]
        for path, has_link in (
            (folder / f"{step.message}.html.j2", LINKS.unsubscribe in links),
            (text, not text.is_file() or str(LINKS.unsubscribe) in email.text),
        ):
            if not has_link:
                message = f"the {step.purpose} email {step.message!r} has no link to unsubscribe"
                hint = "extend the shared layout, or link to {{ unsubscribe_url }}"
                yield Problem("message.W002", message, hint).in_file(path)

    def _in_subject(self, folder: Path, step: Send, language: str, words: str, problem: Problem) -> Problem:
        """Return the problem at the subject of an email, in the copy that has it."""
        for path in (folder / COPY / f"{language}.yaml", folder / COPY / f"{self._default}.yaml"):
            if (at := text_position(path, f"{step.message}.subject", words)) is not None:
                return replace(problem, location=Location(*at, str(path)))
        return problem.in_file(folder / f"{step.message}.html.j2")

    def _at(self, folder: Path, step: Send, language: str, words: str, problem: Problem) -> Problem:
        """Return the problem at the first place of `words` in the files of the email, or else in its template."""
        place = self._place(folder, step, language, words) if words else None
        return replace(problem, location=place or Location(file=str(folder / f"{step.message}.html.j2")))

    def _place(self, folder: Path, step: Send, language: str, words: str) -> Location | None:
        """Return the first place of `words` in the templates and the copy of an email; None if it is in none of them."""
        written = re.compile(rf"(?<![\w/.:-]){re.escape(words)}(?![\w/])")
        page = folder / f"{step.message}.html.j2"
        if page not in self._parts:
            self._parts[page] = self._templates(page)
        for path in (
            *self._parts[page],
            folder / COPY / f"{language}.yaml",
            self._root / COPY / f"{language}.yaml",
        ):
            for number, line in enumerate(self._lines(path), 1):
                if words in line and (match := written.search(line)) is not None:
                    return Location(number, match.start() + 1, str(path))
        return None

    def _lines(self, path: Path) -> tuple[str, ...]:
        """Return the lines of a file, which are read once; none if it is missing."""
        if path not in self._files:
            self._files[path] = tuple(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else ()
        return self._files[path]

    def _templates(self, page: Path) -> list[Path]:
        """Return the template of an email, and those that it extends and includes."""
        found, remaining = dict[Path, None](), [page]
        while remaining:
            path = remaining.pop(0)
            if path not in found and path.is_file():
                found[path] = None
                remaining += self._references(path)
        return list(found)

    def _references(self, path: Path) -> list[Path]:
        """Return the templates that a template extends and includes, which are read once: most of them are shared."""
        if path not in self._named:
            try:
                tree = self._renderer.environment.parse("\n".join(self._lines(path)))
            except TemplateSyntaxError:
                return []  # reported where the message is rendered
            self._named[path] = [self._root / name for name in meta.find_referenced_templates(tree) if name is not None]
        return self._named[path]


def _brand_pairs(colors: Colors) -> set[tuple[str, str]]:
    """Return the colors of texts with the backgrounds behind them that the brand is checked for."""
    texts = (colors.accent, colors.text, colors.muted, colors.success, colors.notice)
    return {(text, behind) for text in texts for behind in (colors.background, colors.card)}
