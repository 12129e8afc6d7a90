"""Pages of templates that are rendered one by one and flat, for the tests of flat templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import DictLoader, Template, TemplateError

from streams.mail.rendering.brand import ANY_COUNTRY
from streams.mail.rendering.environment import new_environment
from streams.mail.rendering.flow_copies import FlowCopy
from streams.mail.rendering.message_templates import MessageTemplates, Pair
from streams.mail.rendering.template_objects import LateValue
from streams.mail.rendering.texts import MissingText, Texts, Translator, fill

BRAND = {
    "brand": {"name": "A & B", "logo": None, "legal": [], "privacy_url": "https://p", "colors": {"accent": "#000"}},
    "shop_name": "A & B",
}


class Page:
    """The templates of a message `page`, each for HTML and for text, with a copy.

    Args:
        templates: the sources by name, without `.html.j2` or `.txt.j2`.
        texts: the copy by key.
    """

    def __init__(self, templates: Mapping[str, str], texts: Mapping[str, str]) -> None:
        files = {
            f"{name}.{end}.j2": source.replace("END", end)
            for name, source in templates.items()
            for end in ("html", "txt")
        }
        loader = DictLoader(files)
        html, text = new_environment(loader, autoescape=True), new_environment(loader, autoescape=False)
        self._made = MessageTemplates(html, text, {ANY_COUNTRY: BRAND})
        self._copy = FlowCopy("da", texts, Texts(text, texts, "da", {}), Texts(html, texts, "da", {}))

    @property
    def is_flat(self) -> bool:
        """Whether both parts are flat."""
        (html, text), (flat_html, flat_text) = self._made.pair("page"), self._flat_pair()
        return html is not flat_html and text is not flat_text

    def rendered(self, data: Mapping[str, Any], *, is_flat: bool) -> list[str]:
        """Return the HTML part and the text part, or the error of each."""
        html, text = self._flat_pair() if is_flat else self._made.pair("page")
        assert text is not None
        return [self._filled(html, data, self._copy.html), self._filled(text, data, self._copy.plain)]

    def _flat_pair(self) -> Pair:
        return self._made.flat_pair("page", self._copy, ANY_COUNTRY)

    def _filled(self, template: Template, data: Mapping[str, Any], texts: Texts) -> str:
        environment = template.environment
        common = {**environment.globals, **data, **BRAND, "language": "da", "late": LateValue(lambda: "late <")}
        translate = Translator(texts, common, is_html=bool(environment.autoescape))
        environment.start()  # type: ignore[attr-defined]  # it is a sandbox
        try:
            return fill(template, common | {"t": translate})
        except (TemplateError, MissingText, TypeError) as error:
            return f"{type(error).__name__}: {error}"
