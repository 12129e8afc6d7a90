"""The functions of templates that return links: `survey_url("nps", 9)` and `contest_url("summer")`."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from jinja2 import TemplateRuntimeError

from streams.mail.links import Links
from streams.mail.rendering.template_objects import TemplateFunction

#: Characters of the id of a question or contest, and of a value.
MAX_ID = 200
#: Different questions or contests in one email.
MAX_IDS = 50


class _LinkFunction(TemplateFunction):
    """A function that returns the link for an id. An id is sealed once per email."""

    __slots__ = ("_links", "_make", "_name")

    def __init__(self, name: str, make: Callable[[str], str]) -> None:
        self._name = name
        self._make = make
        self._links: dict[str, str] = {}

    def _link(self, key: object) -> str:
        if not isinstance(key, str) or not 0 < len(key) <= MAX_ID:
            raise TemplateRuntimeError(f"{self._name} needs an id of 1 to {MAX_ID} characters")
        link = self._links.get(key)
        if link is None:
            if len(self._links) >= MAX_IDS:
                raise TemplateRuntimeError(f"{self._name} is used for more than {MAX_IDS} ids")
            link = self._links[str(key)] = self._make(str(key))
        return link


class ContestLinks(_LinkFunction):
    """The function `contest_url` of templates.

    Args:
        links: the links of the email.
    """

    __slots__ = ()

    def __init__(self, links: Links) -> None:
        super().__init__("contest_url", links.contest)

    def __call__(self, key: str) -> str:
        """Return the address of the contest `key`."""
        return self._link(key)


class SurveyLinks(_LinkFunction):
    """The function `survey_url` of templates.

    Args:
        links: the links of the email.
    """

    __slots__ = ()

    def __init__(self, links: Links) -> None:
        super().__init__("survey_url", links.survey)

    def __call__(self, key: str, value: object = None) -> str:
        """Return the address of the question `key`, with `value` chosen in advance if it is given."""
        if value is None:
            return self._link(key)
        if not isinstance(value, str | int) or len(text := str(value)) > MAX_ID:
            raise TemplateRuntimeError(
                f"a value of survey_url is a text or a whole number of at most {MAX_ID} characters"
            )
        return f"{self._link(key)}?value={quote(text, safe='')}"
