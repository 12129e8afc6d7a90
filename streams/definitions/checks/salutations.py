"""The greetings and closings that a check of messages has seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from streams.definitions.checks.used_names import UsedNames

_Pairs: TypeAlias = tuple[tuple[str, str], ...]
#: How the keys of greetings and closings begin.
_KEYS = ("greeting.", "closing.", "regards")


class Salutations:
    """The greetings and closings that messages were rendered with, in every mood: the words of a language are the same in most messages.

    Args:
        used_names: the names that templates use.
    """

    def __init__(self, used_names: UsedNames) -> None:
        self.used_names = used_names
        self._rendered: set[tuple[str, _Pairs, _Pairs]] = set()

    def is_new(self, language: str, texts: Mapping[str, str], data: Mapping[str, Any]) -> bool:
        """Return whether the greetings and closings in the texts of a language have to be rendered, and note that they are.

        Words that use names have to be rendered again where the names have other values, or where they use other texts. So do all texts of a
        message that depend on the mood.

        Args:
            language: the language.
            texts: its texts in the flow of the message, by key.
            data: the data of the message.
        """
        words = tuple(sorted([item for item in texts.items() if item[0].startswith(_KEYS)]))
        names = sorted(set().union(*[self.used_names.in_text(text) for _, text in words]))
        salutation = (language, words, tuple([(name, repr(data.get(name))) for name in names]))
        differs = "t" in names or any("mood" in text for text in texts.values())
        is_new = differs or salutation not in self._rendered
        self._rendered.add(salutation)
        return is_new
