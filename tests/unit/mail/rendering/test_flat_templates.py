"""Flat templates: they write what their parts write one by one, and templates that would differ are not flattened."""

from __future__ import annotations

import pytest

from streams.mail.rendering.sandbox import Sandbox
from tests.harness.flat_pages import Page

LAYOUT = "<{% block body %}{% endblock %}|{% block end %}bye{% endblock %}>"
TEXTS = {
    "plain": "Tak & farvel",
    "name": "Hej {{ customer.name }} & co",
    "if": "{% if count > 1 %}{{ count }} ting{% else %}en ting{% endif %}",
    "line": "{{ line }}",
    "loop": "{{ loop.index }}",
    "set": "{% set x = 1 %}{{ x }}",
    "t": "{{ t('plain') }}",
    "broken": "{{ customer.",
    "brand": "{{ brand.name }} {{ language }}",
    "late": "{{ late }}",
}
DATA = {
    "customer": {"name": "<Bo>"},
    "count": 2,
    "rows": [{"a": "x&", "b": {"c": 1}}, {"a": "y", "b": None}],
    "line": "data",
}


def in_layout(body: str) -> dict[str, str]:
    return {"page": "{% extends 'layout.END.j2' %}{% block body %}" + body + "{% endblock %}", "layout": LAYOUT}


FLAT = {
    "one template": {"page": "a{{ count }}b"},
    "layout": in_layout("x{{ count }}"),
    "two layouts": {
        "page": "{% extends 'middle.END.j2' %}{% block body %}x{% endblock %}",
        "middle": "{% extends 'layout.END.j2' %}{% block body %}y{% endblock %}{% block end %}z{% endblock %}",
        "layout": LAYOUT,
    },
    "block in a block": {
        "page": "{% extends 'layout.END.j2' %}{% block inner %}x{{ count }}{% endblock %}",
        "layout": "<{% block body %}a{% block inner %}y{% endblock %}b{% endblock %}>",
    },
    "text outside the blocks": {"page": "{% extends 'layout.END.j2' %}{{ nothing }} {% block end %}x{% endblock %}", "layout": LAYOUT},
    "set outside the blocks": {"page": "{% extends 'layout.END.j2' %}{% set x = 5 %}{% block end %}{{ x }}{% endblock %}", "layout": LAYOUT},
    "texts": in_layout("{{ t('plain') }} {{ t('name') }} {{ t('if') }} {{ t('brand') }} {{ t('late') }}"),
    "texts of a condition": in_layout("{{ t('plain') if count else t('name') }}{{ t('plain') if not count }}"),
    "texts in expressions": in_layout("{{ t('plain') | upper }}{{ t('pla' ~ 'in') }}{% set t2 = t('plain') %}{{ t2 }}{{ t('plain') ~ 'x' }}"),
    "texts that stay calls": in_layout("{{ t('set') }}{% for line in rows %}{{ t('line') }}{% endfor %}"),
    "missing text": in_layout("{{ t('nothing') }}"),
    "texts of texts": in_layout("{{ t('t') }}"),
    "loop of a text": in_layout("{% for row in rows %}{{ t('loop') }}{% endfor %}"),
    "invalid text": in_layout("{{ t('broken') }}"),
    "missing value": in_layout("{{ nothing }}"),
    "include": {**in_layout("{% include 'part.END.j2' %}"), "part": "{% for row in rows %}{{ row.a }}{{ row.b.c }},{% endfor %}"},
    "include twice": {**in_layout("{% include 'part.END.j2' %}{% include 'part.END.j2' %}{{ x is defined }}"), "part": "{% set x = count %}{{ x }}"},
    "include in a loop": {**in_layout("{% for row in rows %}{% include 'part.END.j2' %}{% endfor %}"), "part": "{{ row.a }}"},
    "include on a condition in a long loop": in_layout(
        "{% for i in range(5000) %}{% if count > 5 %}{% include 'part.END.j2' %}{% endif %}{% endfor %}"
    ) | {"part": "{{ count }}" * 50},
    "include with a variable": {**in_layout("{% set q = 'nps' %}{% include 'part.END.j2' %}"), "part": "{{ q }}{% set q = 'x' %}{{ q }}"},
    "include in an include": {**in_layout("{% include 'part.END.j2' %}"), "part": "{% include 'other.END.j2' %}", "other": "{{ count }}"},
    "loop in an include": {**in_layout("{% include 'part.END.j2' %}"), "part": "{% for row in rows %}{{ loop.index }}{% endfor %}"},
    "conditions of the brand": in_layout(
        "{% if brand.logo %}{{ brand.logo.src }}{% elif count %}{{ brand.name }}{% else %}c{% endif %}"
        "{% if nothing_known is defined or brand.logo %}d{% endif %}{% if brand.privacy_url and count %}e{% endif %}"
        "{% if brand.logo and nothing %}f{% else %}g{% endif %}{% for line in brand.legal %}{{ line }}{% endfor %}{{ brand.legal }}"
    ),
    "error after a decided condition": in_layout("{% if nothing or brand.privacy_url %}x{% endif %}"),
    "loop variables": in_layout(
        "{% for row in rows %}{% for key, value in row.items() %}{{ key }}={{ value }}{% endfor %}{{ row.a }}"
        "{% set row = 'z' %}{{ row.a is defined }}{% endfor %}"
        "{% for line in rows if line.b %}{{ line.b.c }}{{ line.items }}{% else %}none{% endfor %}"
    ),
    "with": in_layout("{% with a = count %}{{ a }}{% include 'part.END.j2' %}{% endwith %}") | {"part": "{{ a }}"},
    "import": {
        "page": "{% extends 'layout.END.j2' %}{% from 'part.END.j2' import m %}{% block end %}{{ m(1) }}{% endblock %}",
        "layout": LAYOUT,
        "part": "{% macro m(x) %}<{{ x }}>{% endmacro %}",
    },
}  # fmt: skip
APART = {
    "super": {
        "page": "{% extends 'layout.END.j2' %}{% block end %}{{ super() }}x{% endblock %}",
        "layout": LAYOUT,
    },
    "self": {"page": "{% block a %}x{% endblock %}{{ self.a() }}"},
    "layout on a condition": {"page": "{% if count %}{% extends 'layout.END.j2' %}{% endif %}", "layout": LAYOUT},
    "computed layout": {"page": "{% extends 'layout' ~ '.END.j2' if count else 'x' %}", "layout": LAYOUT},
    "computed include": in_layout("{% include ['gone', 'part.END.j2'] %}") | {"part": "x"},
    "include without context": in_layout("{% include 'part.END.j2' without context %}") | {"part": "{{ count is defined }}"},
    "optional include": in_layout("{% include 'gone' ignore missing %}"),
    "missing include": in_layout("{% include 'gone.END.j2' %}"),
    "include of itself": {"page": "{% if count > 5 %}{% include 'page.END.j2' %}{% endif %}x"},
    "include with blocks": in_layout("{% include 'part.END.j2' %}") | {"part": "{% block p %}x{% endblock %}"},
    "set after an include": in_layout("{% include 'part.END.j2' %}{% set count = 9 %}{{ count }}") | {"part": "{{ count }}"},
    "set on a condition": in_layout("{% if rows %}{% set count = 9 %}{% endif %}{% include 'part.END.j2' %}") | {"part": "{{ count }}"},
    "set twice": in_layout("{% set q = 1 %}{% include 'part.END.j2' %}{% set q = 2 %}{% include 'part.END.j2' %}") | {"part": "{{ q }}"},
    "set after a loop": in_layout("{{ count }}{% include 'part.END.j2' %}")
    | {"part": "{% for row in rows %}{{ count is defined }}{% endfor %}{% set count = 9 %}"},
    "set after with": in_layout("{{ count }}{% include 'part.END.j2' %}")
    | {"part": "{% with a = 1 %}{{ count is defined }}{% endwith %}{% set count = 9 %}"},
    "block of a loop": {"page": "{% for row in rows %}{% block a %}{{ row is defined }}{% endblock %}{% endfor %}"},
    "block in a block with a variable": {"page": "{% block a %}{% set q = 1 %}{% block b %}{{ q is defined }}{% endblock %}{% endblock %}"},
    "loop around an include": in_layout("{% for row in rows %}{% include 'part.END.j2' %}{% endfor %}") | {"part": "{{ loop is defined }}"},
    "required block": {"page": "{% block a required %}{% endblock %}"},
    "escaping": in_layout("{% autoescape false %}{{ customer.name }}{% endautoescape %}"),
    "macro": in_layout("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(2) }}"),
    "variable of a filter": in_layout("{% set shop_name = 'x' %}{{ shop_name }}"),
    "statement outside the blocks": {
        "page": "{% extends 'layout.END.j2' %}{% for row in rows %}{% endfor %}{% block end %}x{% endblock %}",
        "layout": LAYOUT,
    },
    "import with context": {
        "page": "{% for row in rows %}{% block a %}{% from 'part.END.j2' import m with context %}{{ m() }}{% endblock %}{% endfor %}",
        "part": "{% macro m() %}{{ row is defined }}{% endmacro %}",
    },
    "long chain of includes": in_layout("{% include 'p0.END.j2' %}")
    | {f"p{n}": f"{{% if count %}}{{% if rows %}}{{% include 'p{n + 1}.END.j2' %}}{{% endif %}}{{% endif %}}" for n in range(120)}
    | {"p120": "x"},
    "deep loops": in_layout("{% for a in rows %}" * 7 + "{% include 'part.END.j2' %}" + "{% endfor %}" * 7)
    | {"part": "{% for a in rows %}" * 7 + "x" + "{% endfor %}" * 7},
}  # fmt: skip


@pytest.mark.parametrize("name", FLAT)
def test_a_flat_template_writes_the_same(name: str) -> None:
    """HTML and text, or the error, are those of the templates one by one."""
    page = Page(FLAT[name], TEXTS)
    assert page.is_flat
    assert page.rendered(DATA, is_flat=True) == page.rendered(DATA, is_flat=False)


@pytest.mark.parametrize("name", APART)
def test_templates_that_are_not_flattened(name: str) -> None:
    """Templates that would write something else in a flat template are rendered as before."""
    page = Page(APART[name], TEXTS)
    assert not page.is_flat
    assert page.rendered(DATA, is_flat=True) == page.rendered(DATA, is_flat=False)


def test_the_limits_hold_in_a_flat_template() -> None:
    """The parts of a flat template together have the budget of one rendering."""
    loops = "{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}"
    page = Page({**in_layout("{% include 'part.END.j2' %}"), "part": loops}, TEXTS)
    assert page.is_flat
    assert all("takes more than 200,000 steps" in text for text in page.rendered(DATA, is_flat=True))


def test_parts_are_bounded() -> None:
    """Includes that double each other do not make a template that is too large to compile."""
    parts = {f"p{n}": f"{{% include 'p{n + 1}.END.j2' %}}" * 2 for n in range(20)} | {"p20": "x"}
    assert not Page(in_layout("{% include 'p0.END.j2' %}") | parts, TEXTS).is_flat


def test_a_short_value_is_escaped_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kept texts are those of plain values: markup with the same letters stays markup, and their number is bounded."""
    monkeypatch.setattr("streams.mail.rendering.template_writers._MOST_ESCAPED", 2)
    made = Sandbox(autoescape=True)
    template = made.from_string("{{ a }}{{ a | safe }}{{ b }}{{ c }}{{ a }}")
    assert template.render(a="<i>", b="&", c='"') == "&lt;i&gt;<i>&amp;&#34;&lt;i&gt;"
