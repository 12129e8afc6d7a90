"""Any templates write the same one by one and flat."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.examples import examples
from tests.harness.flat_pages import Page

NAMES = ("a", "b", "row", "late", "language", "gone")
KEYS = ("plain", "markup", "value", "row", "condition", "late", "brand", "gone", "t")
TEXTS = {
    "plain": "Tak",
    "markup": "<b> & 'c'",
    "value": "{{ a }} & {{ b }}",
    "row": "{{ row }}",
    "condition": "{% if a %}{{ a.x }}{% else %}nej{% endif %}",
    "late": "{{ late }}{{ language }}",
    "brand": "{{ brand.name }}",
    "t": "{{ t('plain') }}",
}
DATA = {
    "a": {"x": "<1>", "items": [1]},
    "b": "b & c",
    "rows": [{"x": 1, "y": None}, {"x": "<", "y": {"x": "deep"}}, "text"],
}
PARTS = 3


class Writer:
    """Writes random templates.

    Args:
        random: chooses.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._blocks = 0

    def templates(self) -> dict[str, str]:
        """Return the sources of a message, of its layouts, and of the parts that they include."""
        made = {f"part{n}": self._body(2, n + 1) for n in range(PARTS)}
        made["page"] = self._body(3, 0, has_blocks=True)
        if self._random.random() < 0.7:
            made["layout"] = self._body(3, 0, has_blocks=True) + "{% block content %}{% endblock %}" + self._body(1, 0)
            first = self._choose("", "{% set a = b %}", "{% set row = 1 %}", " {{ a }} ")
            blocks = "".join(
                f"{{% block {name} %}}{self._body(3, 0)}{{% endblock %}}"
                for name in ("content", "block1", "block2")
                if self._random.random() < 0.7
            )
            made["page"] = "{% extends 'layout.END.j2' %}" + first + blocks
        return made

    def _choose(self, *values: str) -> str:
        return self._random.choice(values)

    def _name(self) -> str:
        return self._random.choice(NAMES)

    def _value(self) -> str:
        return self._choose(
            self._name(),
            f"{self._name()}.x",
            f"{self._name()}.y.x",
            "brand.name",
            "brand.logo",
            "brand.legal",
            "5",
            "'<'",
            f"t('{self._random.choice(KEYS)}')",
            f"t('{self._random.choice(KEYS)}') if {self._name()} else {self._name()}",
            f"{self._name()} ~ {self._name()}",
            f"{self._name()} | upper",
            "range(2) | list",
            "loop.index",
        )

    def _test(self) -> str:
        return self._choose(
            self._name(),
            f"{self._name()} is defined",
            f"not ({self._value()})",
            f"({self._value()}) {self._choose('and', 'or')} ({self._value()})",
            f"brand.legal {self._choose('and', 'or')} {self._name()} {self._choose('and', 'or')} brand.privacy_url",
            "brand.logo",
        )

    def _body(self, depth: int, part: int, *, has_blocks: bool = False) -> str:
        return "".join(self._statement(depth, part, has_blocks=has_blocks) for _ in range(self._random.randrange(4)))

    def _statement(self, depth: int, part: int, *, has_blocks: bool) -> str:
        kind = self._random.randrange(12 if depth else 5)
        if kind < 3:
            return f"{{{{ {self._value()} }}}}"
        if kind == 3:
            return self._choose("x", " <br> ", "\n")
        if kind == 4:
            return f"{{% set {self._choose('a', 'b', 'row')} = {self._value()} %}}"
        inner = self._body(depth - 1, part)
        if kind < 7:
            other = self._choose(
                "",
                f"{{% else %}}{self._body(depth - 1, part)}",
                f"{{% elif {self._test()} %}}{self._body(depth - 1, part)}",
            )
            return f"{{% if {self._test()} %}}{inner}{other}{{% endif %}}"
        if kind < 9:
            source = self._choose("rows", "brand.legal", "[a, b]", "range(2)")
            return f"{{% for {self._choose('a', 'row')} in {source}{self._choose('', ' if row is defined')} %}}{inner}{{% endfor %}}"
        if kind == 9:
            return f"{{% with {self._choose('a', 'row')} = {self._value()} %}}{inner}{{% endwith %}}"
        if kind == 10 and has_blocks:
            self._blocks += 1
            return f"{{% block block{self._blocks} %}}{inner}{{% endblock %}}"
        return f"{{% include 'part{self._random.randrange(part, PARTS)}.END.j2' %}}" if part < PARTS else "y"


@settings(max_examples=examples(160), deadline=None)
@given(st.randoms(use_true_random=False))
def test_flat_templates_write_the_same(random: Random) -> None:
    """Each part, or its error, is that of the templates one by one."""
    page = Page(Writer(random).templates(), TEXTS)
    assert page.rendered(DATA, is_flat=True) == page.rendered(DATA, is_flat=False)
