"""The texts of the shipped messages in all languages: subjects are short, and each message has a preview and a headline of its own."""

from __future__ import annotations

import re

import pytest
import yaml

from streams.mail.rendering.copy import copy_texts
from streams.mail.rendering.template_folders import COPY, flow_folders, message_names
from streams.mail.rendering.texts import MESSAGE_TEXTS
from tests.harness.commands import TEMPLATES

LANGUAGES = yaml.safe_load((TEMPLATES / "languages.yaml").read_text(encoding="utf-8"))["languages"]
FOLDERS = flow_folders(TEMPLATES)
#: Characters of a subject that a phone shows. A number of an order has some ten.
MOST_CHARS = 50
ORDER_NUMBER = "{{ order.order_number }}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_of_messages(language: str) -> None:
    """Each message has a subject of less than 50 characters, a preview that does not repeat it, and a headline that does not greet."""
    shared = copy_texts((TEMPLATES / COPY / f"{language}.yaml").read_text(encoding="utf-8"))
    greetings = tuple([text.split("{")[0] for key, text in shared.items() if key.startswith("greeting.")])
    for name, folder in FOLDERS.items():
        texts = copy_texts((folder / COPY / f"{language}.yaml").read_text(encoding="utf-8"))
        for message in message_names(folder):
            subject, preview, headline = (texts[f"{message}.{part}"] for part in MESSAGE_TEXTS)
            where = f"{name}/{message} in {language}"
            # A subject of a flow may be a choice of whole subjects: {% if … %}one{% else %}another{% endif %}.
            choices = re.split(r"{%.*?%}", subject.replace(ORDER_NUMBER, "1000000001"))
            assert max(len(choice) for choice in choices) < MOST_CHARS, where
            assert preview not in ("", subject), where
            assert headline, where
            assert not headline.startswith(greetings), where


def test_languages_have_the_same_texts() -> None:
    """The copies of a flow have the same keys in every language."""
    for folder in FOLDERS.values():
        keys = {frozenset(copy_texts(path.read_text(encoding="utf-8"))) for path in (folder / COPY).glob("*.yaml")}
        assert len(keys) == 1, folder.name
        assert {path.stem for path in (folder / COPY).glob("*.yaml")} == set(LANGUAGES)
