"""Warnings about emails that can be rendered: a missing link to unsubscribe, links that are not addresses, images without a text,
markup that Outlook needs, and blocks that no template shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import TemplateSyntaxError, meta

from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow, Send
from streams.definitions.checks.documents import check_seller
from streams.definitions.checks.languages import languages_of
from streams.definitions.checks.outlook import outlook_problems
from streams.definitions.checks.sample_data import LINKS, command, template_sample
from streams.definitions.checks.shop_brand import brand_of
from streams.definitions.checks.template_blocks import check_blocks
from streams.definitions.problems import Location, Problem
from streams.mail.rendering.render_errors import RenderError
from streams.mail.rendering.renderer import RenderedEmail, Renderer
from streams.mail.rendering.template_folders import COPY, flow_folders

#: Schemes of links that need a host, and others that email programs open.
_WEB, _OTHER = ("http", "https"), ("mailto", "tel", "sms")
#: Schemes of pictures: those in the email itself have no host.
_EMBEDDED = ("cid", "data")
_HTTPS = "write the whole address, for example https://shop.example/tea"


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
        self._renderer = Renderer(root, brand_of(root), is_styled=False, is_strict=True)

    def problems(self, flow: Flow, step: Send) -> Iterator[Problem]:
        """Yield the warnings about one email, in every language."""
        folder, data = self._folders[flow.name], template_sample(flow, step, is_full=True)
        for ending in ("html", "txt"):
            yield from check_blocks(self._renderer.environment, self._root, folder / f"{step.message}.{ending}.j2")
        for language in languages_of(self._root, folder):
            try:
                email = self._renderer.render(command(flow, step, language, data), LINKS)
            except RenderError:
                continue  # `check_messages` reports it
            page = EmailPage(email.html)
            yield from self._check_unsubscribing(folder, step, email, page)
            for address, is_image in page.addresses:
                if not is_address(address, is_image=is_image):
                    what = "image" if is_image else "link"
                    message = f"the {what} {address!r} is not an address" if address else f"a {what} has no address"
                    yield self._at(folder, step, language, address, Problem("message.W003", message, _HTTPS))
            for source in page.without_text:
                hint = 'add alt="…", or alt="" if it is only decoration'
                problem = Problem("message.W004", f"the image {source!r} has no `alt`", hint)
                yield self._at(folder, step, language, source, problem)
            for found in outlook_problems(email.html):
                yield self._at(folder, step, language, found.words, found.problem)

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

    def _at(self, folder: Path, step: Send, language: str, words: str, problem: Problem) -> Problem:
        """Return the problem at the first place of `words` in the templates and the copy of the email."""
        page = folder / f"{step.message}.html.j2"
        written = re.compile(rf"(?<![\w/.:-]){re.escape(words)}(?![\w/])")
        for path in (
            *self._templates(page),
            folder / COPY / f"{language}.yaml",
            self._root / COPY / f"{language}.yaml",
        ):
            lines = path.read_text(encoding="utf-8").splitlines() if words and path.is_file() else []
            for number, line in enumerate(lines, 1):
                if (match := written.search(line)) is not None:
                    at = Location(number, match.start() + 1)
                    return Problem(problem.id, problem.message, problem.hint, at).in_file(path)
        return problem.in_file(page)

    def _templates(self, page: Path) -> list[Path]:
        """Return the template of an email, and those that it extends and includes."""
        found, remaining = dict[Path, None](), [page]
        while remaining:
            path = remaining.pop(0)
            if path in found or not path.is_file():
                continue
            found[path] = None
            try:
                tree = self._renderer.environment.parse(path.read_text(encoding="utf-8"))
            except TemplateSyntaxError:
                continue  # reported where the message is rendered
            remaining += [self._root / name for name in meta.find_referenced_templates(tree) if name is not None]
        return list(found)


class EmailPage(HTMLParser):
    """The links and images in the HTML of an email.

    Attributes:
        addresses: the address of each link and image, and whether it is an image.
        without_text: the addresses of the images without `alt`.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[tuple[str, bool]] = []
        self.without_text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link or an image."""
        values = dict(attrs)
        if tag == "a" and "href" in values:
            self.addresses.append(((values["href"] or "").strip(), False))
        elif tag == "img":
            source = (values.get("src") or "").strip()
            self.addresses.append((source, True))
            if "alt" not in values:
                self.without_text.append(source)


def is_address(value: str, *, is_image: bool) -> bool:
    """Return whether an email program can open a link, or show an image."""
    try:
        parts = urlsplit(value)
        if parts.scheme in _WEB:
            return bool(parts.hostname) and value.isprintable() and " " not in value
    except ValueError:
        return False
    if is_image:
        return parts.scheme in _EMBEDDED
    # An email without a recipient is for a person whom the customer chooses (RFC 6068).
    is_letter = parts.scheme == "mailto" and bool(parts.query)
    return (parts.scheme in _OTHER and (bool(parts.path) or is_letter)) or (value.startswith("#") and len(value) > 1)
