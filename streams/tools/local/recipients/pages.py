"""The forms of a page as a browser reads them: where they lead, what they send, and what a person may choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

Fields = list[tuple[str, str]]


class UnexpectedPage(ValueError):
    """A page that does not have the form or the field that a recipient looks for."""


@dataclass
class Form:
    """A form.

    Attributes:
        action: the address that it is submitted to.
        is_multipart: whether it can send a file.
        fields: what it sends if nothing is changed, in order.
        options: name to the values that a person can choose, of radio buttons, boxes and lists.
        texts: the names of the fields that a person can write into.
        files: the names of the fields for files.
        buttons: name and value of its buttons.
    """

    action: str = ""
    method: str = "get"
    is_multipart: bool = False
    fields: Fields = field(default_factory=list)
    options: dict[str, list[str]] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)
    files: list[str] = field(default_factory=list)
    buttons: Fields = field(default_factory=list)

    def filled(self, button: str, changes: Mapping[str, str]) -> Fields:
        """Return what the form sends after some fields were filled in.

        Args:
            button: the value of the button that submits it.
            changes: name to text, or to the option that is chosen.

        Raises:
            UnexpectedPage: the form has no such button, field or option.
        """
        pressed = [pair for pair in self.buttons if pair[1] == button]
        if not pressed:
            raise UnexpectedPage(f"the form has no button {button!r}")
        for name, value in changes.items():
            if name not in self.texts and value not in self.options.get(name, ()):
                raise UnexpectedPage(f"the form has no field {name!r} with the option {value!r}")
        kept = [pair for pair in self.fields if pair[0] not in changes]
        return [*kept, *changes.items(), *pressed[:1]]


@dataclass
class Page:
    """A page.

    Attributes:
        address: where it was loaded from.
        language: the language that it says.
        forms: its forms, in order.
    """

    address: str
    language: str = ""
    forms: list[Form] = field(default_factory=list)

    def form(self, button: str) -> Form:
        """Return the form with a button of this value.

        Raises:
            UnexpectedPage: the page has none, or its form is not submitted with POST.
        """
        for form in self.forms:
            if any(value == button for _, value in form.buttons):
                if form.method != "post":
                    raise UnexpectedPage(f"the form with the button {button!r} is not submitted with POST")
                return form
        raise UnexpectedPage(f"the page has no form with the button {button!r}")


def read_page(address: str, html: str) -> Page:
    """Return the page at an address."""
    parser = _Parser(address)
    parser.feed(html)
    parser.close()
    return parser.page


class _Parser(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.page = Page(address)
        self._form: Form | None = None
        self._area: str | None = None
        self._list: str | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.page.language = values.get("lang", "")
        elif tag == "form":
            self._form = Form(
                urljoin(self.page.address, values.get("action", "")),
                values.get("method", "get").lower(),
                values.get("enctype") == "multipart/form-data",
            )
            self.page.forms.append(self._form)
        elif self._form is not None and "disabled" not in values:
            self._control(self._form, tag, values)

    def _control(self, form: Form, tag: str, values: dict[str, str]) -> None:
        name, value, kind = values.get("name", ""), values.get("value", ""), values.get("type", "text").lower()
        if tag == "button" and values.get("type", "submit") == "submit":
            form.buttons.append((name, value))
        elif tag == "textarea":
            form.texts.add(name)
            self._area, self._text = name, []
        elif tag == "select":
            self._list = name
            form.options[name] = []
        elif tag == "option" and self._list is not None:
            form.options[self._list].append(value)
            # A list without a chosen option sends its first one.
            if "selected" in values or len(form.options[self._list]) == 1:
                form.fields[:] = [pair for pair in form.fields if pair[0] != self._list]
                form.fields.append((self._list, value))
        elif tag == "input" and kind in ("radio", "checkbox"):
            form.options.setdefault(name, []).append(value)
            if "checked" in values:
                form.fields.append((name, value))
        elif tag == "input" and kind == "file":
            form.files.append(name)
        elif tag == "input":
            form.fields.append((name, value))
            if kind != "hidden":
                form.texts.add(name)

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._form is not None and self._area is not None:
            self._form.fields.append((self._area, "".join(self._text)))
            self._area = None
        elif tag == "select":
            self._list = None
        elif tag == "form":
            self._form = None
