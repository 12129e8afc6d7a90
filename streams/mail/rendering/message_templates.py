"""The compiled templates of messages: of the HTML part and of the text part, flat if possible (see `flat_templates.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from jinja2 import Template, TemplateError, TemplateNotFound

from streams.mail.rendering.flat_scopes import CannotFlatten
from streams.mail.rendering.flat_templates import flatten
from streams.mail.rendering.flow_copies import FlowCopy
from streams.mail.rendering.sandbox import Sandbox

#: The templates of the HTML part and of the text part. The text part may have none.
Pair: TypeAlias = tuple[Template, Template | None]


class MessageTemplates:
    """The templates of all messages. They are compiled on first use and cached.

    Args:
        html, text: the environments of the HTML parts and of the text parts, with the same loader.
        brands: by country of the brand, the values that are the same in all emails there, by variable.
    """

    def __init__(self, html: Sandbox, text: Sandbox, brands: Mapping[str, Mapping[str, Any]]) -> None:
        self._html = html
        self._text = text
        self._brands = brands
        self._pairs: dict[str, Pair] = {}
        self._flat_pairs: dict[tuple[str, FlowCopy, str], Pair] = {}
        self._sources = _Sources(html)

    def pair(self, page: str) -> Pair:
        """Return the templates of a message, which extend, include and translate while they are rendered.

        Args:
            page: the name of the message's templates, without `.html.j2`.

        Raises:
            TemplateNotFound: the message has no template.
            TemplateError: a template is invalid.
        """
        found = self._pairs.get(page)
        if found is None:
            html = self._html.get_template(f"{page}.html.j2")
            try:
                found = (html, self._text.get_template(f"{page}.txt.j2"))
            except TemplateNotFound:
                found = (html, None)
            self._pairs[page] = found
        return found

    def flat_pair(self, page: str, copy: FlowCopy, country: str) -> Pair:
        """Return the templates of a message in one language, flat if possible.

        Args:
            page: the name of the message's templates, without `.html.j2`.
            copy: the texts.
            country: the country of the brand.

        Raises:
            TemplateNotFound: the message has no template.
            TemplateError: a template is invalid.
        """
        found = self._flat_pairs.get((page, copy, country))
        if found is None:
            html, text = self.pair(page)
            found = (self._flat(html, copy, country), text and self._flat(text, copy, country))
            self._flat_pairs[(page, copy, country)] = found
        return found

    def _flat(self, template: Template, copy: FlowCopy, country: str) -> Template:
        environment, name = template.environment, str(template.name)
        known = {**self._brands[country], "language": copy.language}
        try:
            tree = flatten(environment, name, self._sources, copy.sources, known)
            code = environment.compile(tree, name, template.filename)
        except (CannotFlatten, TemplateError, RecursionError):
            return template  # an invalid part is reported when it is rendered
        return environment.template_class.from_code(environment, code, environment.make_globals(None))


class _Sources(dict[str, str]):
    """The sources of templates by name. Each is read once, like the templates themselves."""

    def __init__(self, environment: Sandbox) -> None:
        super().__init__()
        self._environment = environment

    def __missing__(self, name: str) -> str:
        loader = self._environment.loader
        if loader is None:
            raise TemplateNotFound(name)
        source = self[name] = loader.get_source(self._environment, name)[0]
        return source
