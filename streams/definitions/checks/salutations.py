"""The greetings and closings that a check of messages has seen."""

from __future__ import annotations

from collections.abc import Mapping

from streams.definitions.checks.used_names import UsedNames

#: How the keys of greetings and closings begin.
_KEYS = ("greeting.", "closing.", "regards")


class Salutations:
    """The greetings and closings that messages were rendered with, in every mood: the words of a language are the same in most messages.

    Args:
        used_names: the names that templates use.
    """

    def __init__(self, used_names: UsedNames) -> None:
        self.used_names = used_names
        self._rendered: set[tuple[str, tuple[tuple[str, str], ...]]] = set()

    def is_new(self, language: str, texts: Mapping[str, str]) -> bool:
        """Return whether the greetings and closings in the texts of a language have to be rendered, and note that they are.

        Words with a name in them have to be rendered in each message, because messages have different names.
        """
        words = tuple(sorted([item for item in texts.items() if item[0].startswith(_KEYS)]))
        is_new = (language, words) not in self._rendered or any("{" in text for _, text in words)
        self._rendered.add((language, words))
        return is_new
