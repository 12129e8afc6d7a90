"""The texts of a copy as templates use them, `t("received")`, and the filling of compiled templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Template
from markupsafe import Markup, escape

from streams.mail.rendering.sandbox import Sandbox
from streams.mail.rendering.template_objects import TemplateFunction

#: The parts of a message whose texts are `<message>.<part>` in the copy. Only the subject is needed.
MESSAGE_TEXTS = ("subject", "preview", "headline")
#: Prefix of the file name of a compiled text, before its key.
COPY_TEXT = "copy:"


class MissingText(LookupError):
    """A text that the copy lacks."""


class Texts(dict[str, "str | Template"]):
    """The texts of a copy by key, for the templates of one environment. A text is compiled on its first use.

    A text with expressions is a compiled template. Another one is escaped if the environment escapes.

    Args:
        environment: of the templates.
        sources: the texts by key.
        language: the language of the copy.
        compiled: the compiled texts of all copies of the environment, by source.
    """

    def __init__(
        self, environment: Sandbox, sources: Mapping[str, str], language: str, compiled: dict[str, str | Template]
    ) -> None:
        super().__init__()
        self._environment = environment
        self._sources = sources
        self._language = language
        self._compiled = compiled

    def __missing__(self, key: str) -> str | Template:
        """Compile a text.

        Raises:
            MissingText: the copy has no such text.
        """
        source = self._sources.get(key)
        if source is None:
            raise MissingText(missing_text(key, self._language))
        text = self._compiled.get(source)
        if text is None:
            environment = self._environment
            if "{" in source:
                # In errors the key is the file name, so that a check can report the text's own line.
                code = environment.compile(source, filename=f"{COPY_TEXT}{key}")
                text = environment.template_class.from_code(environment, code, environment.make_globals(None))
            else:
                text = escape(source) if environment.autoescape else source
            self._compiled[source] = text
        self[key] = text
        return text


class Translator(TemplateFunction):
    """The function `t` of templates: it returns a text of the copy, filled with the data of one email.

    Args:
        texts: the copy.
        variables: the data.
        is_html: whether the texts are HTML.
    """

    __slots__ = ("_is_html", "_texts", "_variables")

    def __init__(self, texts: Texts, variables: dict[str, Any], *, is_html: bool) -> None:
        self._texts = texts
        self._variables = variables
        self._is_html = is_html

    def __call__(self, key: str) -> str:
        """Return the text `key`, escaped if it is HTML."""
        text = self._texts[key]
        if isinstance(text, str):
            return text
        filled = fill(text, self._variables)
        # Already escaped: it was rendered in an autoescaping environment.
        return Markup(filled) if self._is_html else filled  # noqa: S704


def missing_text(key: str, language: str) -> str:
    """Return the error of a text that a copy lacks."""
    return f"the copy has no text {key!r}; add it to copy/{language}.yaml"


def fill(template: Template, variables: dict[str, Any]) -> str:
    """Return a template's text with `variables`, which include the globals of its environment.

    `Template.render` would copy the variables and the globals each time. An email is filled from five templates; none changes them.

    Raises:
        LimitExceeded: the text is too long.
    """
    environment = template.environment
    context = environment.context_class(environment, variables, template.name, template.blocks)
    return "".join(template.root_render_func(context))
