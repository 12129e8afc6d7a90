"""The pages of the local server: the overview of all emails, one message, one flow, and all problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any
from urllib.parse import quote

from streams.definitions.checks.rendered_emails import MAX_HTML_BYTES
from streams.definitions.checks.subjects import LONG_SUBJECT
from streams.definitions.views.graph import as_text
from streams.definitions.views.words import trigger_text
from streams.mail.rendering.renderer import RenderedEmail
from streams.tools.preview.choices import ALL, SCHEMES, VIEWS, WIDTHS, Choice, chosen, label_of, language_name, options
from streams.tools.preview.emails import EmailFailed, Message, Variant
from streams.tools.preview.page_parts import ASSETS, environment
from streams.tools.preview.placed_problems import problems_elsewhere, problems_of_flow, problems_of_message
from streams.tools.preview.shown_html import Scheme, preheader, shown_html
from streams.tools.preview.state import PreviewState

_ENVIRONMENT = environment(ASSETS)


class Pages:
    """Makes the pages from the state.

    Args:
        state: the emails and the problems.
        token: the value that a form must send back.
        to: the address that the form proposes, or "".
    """

    def __init__(self, state: PreviewState, token: str, to: str) -> None:
        self._state = state
        self._token = token
        self._to = to

    def overview(self, choice: Choice) -> str:
        """Return the page with all messages."""
        emails = self._state.emails
        known = list(dict.fromkeys(language for message in emails.messages.values() for language in message.languages))
        elsewhere = problems_elsewhere(self._state.problems, {message.folder for message in emails.messages.values()})
        choice = choice.with_values(
            language=chosen(choice.language, known),
            width=chosen(choice.width, WIDTHS),
            scheme=chosen(choice.scheme, SCHEMES),
        )
        choices = [
            ("Language", options("/", choice, "language", known, choice.language)),
            ("Width", options("/", choice, "width", WIDTHS, choice.width)),
            ("Colors", options("/", choice, "scheme", SCHEMES, choice.scheme)),
        ]
        return self._page(
            "overview.html.j2", "All", choice, page="overview", choices=choices, elsewhere=elsewhere, root=self._state.root,
            count=len(emails.messages), languages=len(known), width=choice.width, scheme=choice.scheme,
            has_errors_elsewhere=any(problem.level == "error" for problem in elsewhere), groups=self._groups(choice, self._card),
        )  # fmt: skip

    def message(self, message: Message, choice: Choice, notice: Mapping[str, Any] | None) -> str:
        """Return the page of a message.

        Args:
            message: the message.
            choice: what is chosen.
            notice: the result of sending it, if that is why the page is shown.
        """
        path = _path(message)
        languages = choice.languages(message.languages)
        example = chosen(choice.example, message.examples)
        choices = [
            ("Language", options(path, choice, "language", _with_all(message.languages), ALL if choice.language == ALL else languages[0])),
            ("Example", options(path, choice, "example", message.examples, example)),
            ("Width", options(path, choice, "width", _with_all(WIDTHS), choice.width)),
            ("Colors", options(path, choice, "scheme", _with_all(SCHEMES), choice.scheme)),
            ("Part", options(path, choice, "view", tuple(VIEWS), choice.view)),
            ("Pictures", options(path, choice, "pictures", ("on", "off"), choice.pictures)),
        ]  # fmt: skip
        variants = [Variant(message.flow, message.name, language, example) for language in languages]
        hidden = [("flow", message.flow), ("message", message.name), ("language", languages[0]), ("example", example)]
        settings = self._state.settings
        return self._page(
            "message.html.j2", message.name, choice, current_flow=message.flow, current_message=message.name, choices=choices,
            purpose=message.purpose if message.step is not None else "no step sends it", notice=notice,
            frames=[frame for variant in variants for frame in self._frames(variant, choice)], facts=self._facts(variants[0]),
            problems=problems_of_message(self._state.problems, message, "" if choice.language == ALL else languages[0]),
            sender=settings.mail_from, token=self._token, hidden=hidden, to=self._to, sent_as=language_name(languages[0]),
            server=f"{settings.smtp_host}:{settings.smtp_port}", document=self._document(variants[0]),
        )  # fmt: skip

    def _document(self, variant: Variant) -> dict[str, str] | None:
        """Return the document that an email carries, with its link."""
        try:
            file = self._state.emails.email(variant).attachment
        except EmailFailed:
            return None
        if file is None:
            return None
        query = Choice(language=variant.language, example=variant.example).query
        address = f"/document/{quote(variant.flow)}/{quote(variant.message)}{query}"
        return {"name": file.name, "address": address, "size": f"{len(file.data) / 1000:.0f} kB"}

    def flow(self, name: str, choice: Choice) -> str | None:
        """Return the page of a flow, or None if there is no such flow."""
        emails = self._state.emails
        messages = [message for message in emails.messages.values() if message.flow == name]
        flow = emails.flows.get(name)
        if flow is None and not messages:
            return None
        facts = [] if flow is None else [
            ("Status", flow.status), ("Version", flow.version), ("Purpose", flow.purpose), ("Starts", trigger_text(flow)),
        ]  # fmt: skip
        group, folder = (messages[0].group, messages[0].folder) if messages else ("", None)
        return self._page(
            "flow.html.j2", name, choice, current_flow=name, group=group, facts=facts, text=as_text(flow) if flow is not None else "",
            problems=problems_of_flow(self._state.problems, folder) if folder is not None else [],
            messages=[self._card(message, choice) for message in messages],
        )  # fmt: skip

    def problems(self, choice: Choice) -> str:
        """Return the page with all problems."""
        return self._page("problems.html.j2", "Problems", choice, page="problems", problems=self._state.problems)

    def render(self, template: str, title: str, **values: Any) -> str:
        """Return a page of another module from a template that extends `base.html.j2`."""
        return self._page(template, title, Choice(), **values)

    def _page(self, template: str, title: str, choice: Choice, **values: Any) -> str:
        state = self._state
        levels = [problem.level for problem in state.problems]
        common = {
            "title": title,
            "shop": state.emails.shop_name,
            "version": state.version,
            "is_checked": state.is_checked,
            "errors": levels.count("error"),
            "warnings": levels.count("warning"),
            "groups": self._groups(choice, self._link),
            "page": "",
            "current_flow": "",
            "current_message": "",
        }
        return _ENVIRONMENT.get_template(template).render(common | values)

    def _groups(
        self, choice: Choice, shown: Callable[[Message, Choice], dict[str, Any]]
    ) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return the flows with their messages, by group. `shown` returns what is shown of a message."""
        groups: list[tuple[str, list[dict[str, Any]]]] = []
        emails = self._state.emails
        for group, in_group in groupby(emails.messages.values(), key=lambda message: message.group):
            flows = []
            for name, messages in groupby(in_group, key=lambda message: message.flow):
                cards = list(messages)
                levels = [problem.level for problem in problems_of_flow(self._state.problems, cards[0].folder)]
                flow = emails.flows.get(name)
                flows.append(
                    {
                        "name": name,
                        "status": flow.status if flow is not None else "",
                        "errors": levels.count("error"),
                        "warnings": levels.count("warning"),
                        "messages": [shown(message, choice) for message in cards],
                    }
                )
            groups.append((group, flows))
        return groups

    def _link(self, message: Message, choice: Choice) -> dict[str, Any]:
        """Return a message with its link."""
        return {"name": message.name, "link": f"{_path(message)}{choice.with_values(example='', view='html').query}"}

    def _card(self, message: Message, choice: Choice) -> dict[str, Any]:
        """Return a message with its link, its frame and its subject. It is rendered for that."""
        language, example = chosen(choice.language, message.languages), chosen(choice.example, message.examples)
        variant = Variant(message.flow, message.name, language, example)
        try:
            subject = self._state.emails.email(variant).subject
        except EmailFailed:
            subject = "cannot be rendered"
        frame = choice.with_values(language=language, example=example, scheme=chosen(choice.scheme, SCHEMES))
        return {**self._link(message, choice), "frame": _frame_address(message, frame), "subject": subject}

    def _frames(self, variant: Variant, choice: Choice) -> list[dict[str, Any]]:
        """Return the frames of a message in one language: one for each width and color scheme."""
        message = self._state.emails.messages[(variant.flow, variant.message)]
        email: RenderedEmail | None = None
        error = ""
        try:
            email = self._state.emails.email(variant)
        except EmailFailed as failed:
            error = str(failed)
        text = {"text": email.text, "source": email.html}.get(choice.view) if email is not None else None
        frames = []
        for width in choice.widths if text is None else ["600"]:
            for scheme in choice.schemes if text is None else ["light"]:
                shown = choice.with_values(
                    language=variant.language, example=variant.example, width=width, scheme=scheme
                )
                words = [language_name(variant.language)]
                words += [VIEWS[choice.view]] if text is not None else [label_of("width", width), scheme]
                frames.append(
                    {
                        "caption": " · ".join(words),
                        "address": _frame_address(message, shown),
                        "width": width,
                        "is_dark": scheme == "dark",
                        "text": text,
                        "error": error,
                        "language": variant.language,
                        "subject": email.subject if email else "",
                        "preheader": preheader(email.html) if email else "",
                    }
                )
        return frames

    def _facts(self, variant: Variant) -> list[tuple[str, str, bool]]:
        """Return facts about an email: the name, the value, and whether it is out of bounds."""
        try:
            email = self._state.emails.email(variant)
        except EmailFailed:
            return []
        size = len(email.html.encode())
        return [
            ("Subject", email.subject, False),
            ("Letters", f"{len(email.subject)} of {LONG_SUBJECT}", len(email.subject) > LONG_SUBJECT),
            ("Preheader", preheader(email.html) or "none", False),
            ("HTML", f"{size / 1000:.1f} of {MAX_HTML_BYTES // 1000} kB", size > MAX_HTML_BYTES),
            ("Text", f"{len(email.text.encode()) / 1000:.1f} kB", False),
        ]

    def frame(self, variant: Variant, choice: Choice) -> str:
        """Return the HTML of an email as a frame shows it.

        Raises:
            EmailFailed: it cannot be rendered.
        """
        scheme: Scheme = "dark" if choice.scheme == "dark" else "light"
        emails = self._state.emails
        has_pictures = choice.pictures == "on"
        return shown_html(emails.email(variant), scheme, has_pictures=has_pictures, pictures=emails.pictures)


def failed_frame(reason: str) -> str:
    """Return the page of an email that cannot be rendered."""
    return _ENVIRONMENT.from_string(
        "<!doctype html><title>Error</title><style>body{font:16px/1.5 sans-serif;padding:1.5rem;color:#a3242b}</style><p>{{ reason }}</p>"
    ).render(reason=reason)


def _path(message: Message) -> str:
    return f"/message/{quote(message.flow, safe='')}/{quote(message.name, safe='')}"


def _frame_address(message: Message, choice: Choice) -> str:
    return f"/email/{quote(message.flow, safe='')}/{quote(message.name, safe='')}{choice.query}"


def _with_all(values: tuple[str, ...]) -> tuple[str, ...]:
    return (*values, ALL) if len(values) > 1 else values
