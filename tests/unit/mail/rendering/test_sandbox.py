"""The limits of templates: whatever is written in one, a rendering takes bounded steps and memory."""

from __future__ import annotations

import gc
import mmap
import re
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import DictLoader, Environment, StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.defaults import DEFAULT_FILTERS
from markupsafe import escape

from streams.mail.rendering.sandbox import Sandbox
from streams.mail.rendering.template_limits import MAX_OUTPUT, LimitExceeded
from streams.mail.rendering.texts import fill
from tests.harness.examples import examples

DOUBLE = "{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set ns.x = OPERATION %}{% endfor %}{{ ns.x }}"
PASSES = "{% for i in range(9999) %}{% for j in range(9999) %}PASS{% endfor %}{% endfor %}"
KEPT = "{% set ns = namespace(p=none) %}" + PASSES.replace("PASS", "{% set ns.p = namespace(v=VALUE, p=ns.p) %}")
LONG = "{% set a = range(9999)|list %}{% set a = a + a + a + a + a + a + a %}"
HOSTILE = {
    "repeat": "{{ 'a' * 10**8 }}",
    "repeat reversed": "{{ 10**8 * 'a' }}",
    "repeat a list": "{{ [1] * 10**8 }}",
    "repeat a tuple": "{{ (1, 2) * 10**8 }}",
    "repeat markup": "{{ ('a'|safe) * 10**8 }}",
    "repeat in a condition": "{% if 'a' * 10**8 %}x{% endif %}",
    "power": "{{ 9**9**9 }}",
    "powers": "{{ 2**4000 * 2**4000 }}",
    "range": "{{ range(10**9)|list }}",
    "range in a loop": "{% for i in range(10**9) %}x{% endfor %}",
    "nested loops": "{% for i in range(9999) %}{% for j in range(9999) %}{% for k in range(9999) %}x{% endfor %}{% endfor %}{% endfor %}",
    "empty nested loops": "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
    "filtered loops": "{% for i in range(9999) %}{% for j in range(9999) if false %}{% endfor %}{% endfor %}",
    "loops of text": "{% for i in range(9999) %}" + "x" * 5000 + "{% endfor %}",
    "loops in a set": "{% set y %}{% for i in range(9999) %}" + "x" * 5000 + "{% endfor %}{% endset %}{{ y }}",
    "loops of a value": "{% set y = 'x' * 9999 %}{% for i in range(9999) %}{{ y }}{% endfor %}",
    "loops of a value in a set": "{% set y = 'x' * 99999 %}{% set z %}{% for i in range(9999) %}{{ y }}{% endfor %}{% endset %}",
    "many values in a set": "{% set y = 'x' * 99999 %}{% set z %}" + "{{ y }}" * 999 + "{% endset %}",
    "many values in a block": "{% set y = 'x' * 99999 %}{% block a %}" + "{{ 'x' * 99999 }}" * 999 + "{% endblock %}{% set z = self.a() %}",
    "short values": "{% set y = '<' * 60 %}" + PASSES.replace("PASS", "{{ y }}" * 400),
    "letters": "{% set y = '\U0001f600' * 60 %}" + PASSES.replace("PASS", "{{ y[0] }}" * 400),
    "concatenated values": PASSES.replace("PASS", "{{ 'x' ~ i ~ 'y' ~ j }}" * 100),
    "many values": "{% set y = 'x' * 99999 %}" + "{{ y }}" * 999,
    "loops in a block": "{% block a %}{% for i in range(9999) %}{{ 'x' * 99999 }}{% endfor %}{% endblock %}{% set z = self.a() %}",
    "loops of filter blocks": "{% for i in range(9999) %}{% filter center(9999) %}x{% endfilter %}{% endfor %}",
    "loops of call blocks": "{% macro m() %}{{ caller() }}{% endmacro %}"
    "{% for i in range(9999) %}{% call m() %}{{ 'x' * 9999 }}{% endcall %}{% endfor %}",
    "loops of a list": "{% set y = range(9999)|list %}{% for i in range(9999) %}{{ y }}{% endfor %}",
    "recursive loops": "{% for i in range(9999) recursive %}{% if loop.depth < 4 %}{{ loop(range(9999)) }}{% endif %}{% endfor %}",
    "recursive macro": "{% macro m() %}x{{ m() }}{% endmacro %}{{ m() }}",
    "doubling macros": "{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}x{% endmacro %}{{ m(64) }}",
    "call blocks": "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}" + "{% call m() %}" * 15 + "x" * 999 + "{% endcall %}" * 15,
    "ljust": "{{ 'a'.ljust(10**9) }}",
    "rjust": "{{ 'a'.rjust(10**9) }}",
    "center": "{{ 'a'.center(10**9) }}",
    "zfill": "{{ 'a'.zfill(10**9) }}",
    "expandtabs": "{{ ('\\t' * 9999).expandtabs(9999) }}",
    "join method": "{{ ('x' * 9999).join(range(9999)|map('string')) }}",
    "replace method": "{{ ('a' * 9999).replace('a', 'b' * 9999) }}",
    "replace nothing": "{{ ('a' * 9999).replace('', 'b' * 9999) }}",
    "translate": "{{ ('a' * 9999).translate({97: 'b' * 9999}) }}",
    "to_bytes": "{{ (1).to_bytes(10**9, 'big') }}",
    "attr": "{{ ('a'|attr('ljust'))(10**9) }}",
    "many fields": "{{ ('{0}' * 9999).format('x' * 9999) }}",
    "many percents": "{{ ('%s' * 9999) % (('x' * 9999,) * 9999) }}",
    "many named percents": "{{ ('%(a)s' * 9999) % {'a': 'x' * 9999} }}",
    "many percents in a filter": "{{ ('%(a)s' * 9999)|format(a='x' * 9999) }}",
    "percent": '{{ "%1000000000d"|format(1) }}',
    "percent operator": "{{ '%1000000000d' % 1 }}",
    "percent star": "{{ '%*d' % (10**9, 1) }}",
    "percent precision": "{{ '%.1000000000f' % 1.0 }}",
    "format": "{{ '{:1000000000}'.format(1) }}",
    "format nested": "{{ '{:{}}'.format(1, 10**9) }}",
    "format by attr": "{{ ('{:1000000000}'|attr('format'))(1) }}",
    "format_map": "{{ '{a:1000000000}'.format_map({'a': 1}) }}",
    "format filter of a list": "{{ ['%1000000000d']|map('format', 1)|list }}",
    "center filter": "{{ 'a'|center(10**9) }}",
    "indent filter": "{{ ('\\n' * 9999)|indent(9999, true, true) }}",
    "indent by text": "{{ ('\\n' * 9999)|indent('x' * 9999) }}",
    "replace filter": "{{ ('a' * 9999)|replace('a', 'b' * 9999) }}",
    "join filter": "{{ range(9999)|join('x' * 9999) }}",
    "join values": "{{ (['x' * 9999] * 9999)|join }}",
    "join attributes": "{{ [{'a': 'x' * 99999}, {'a': 'x' * 99999}, {'a': 'x' * 99999}]|join(attribute='a') }}",
    "map": "{{ range(9999)|map('center', 9999)|list }}",
    "batch": "{{ [1]|batch(10**9, 'x')|list }}",
    "slice": "{{ [1]|slice(10**9)|list }}",
    "tojson": "{{ (range(9999)|list)|tojson(indent=99999) }}",
    "round": "{{ 1|round(10**9, 'floor') }}",
    "truncate": "{{ ('a' * 9999)|truncate(10**10) }}",
    "lipsum": "{{ lipsum(n=10**9) }}",
    "slice of a range": "{{ range(0, 10**12, 1)[::1]|list }}",
    "chain": "{{ range(10**9)|map('string')|join }}",
    "double by plus": DOUBLE.replace("OPERATION", "ns.x + ns.x"),
    "double by concat": DOUBLE.replace("OPERATION", "ns.x ~ ns.x"),
    "double by times": DOUBLE.replace("OPERATION", "ns.x * 2"),
    "double by format": DOUBLE.replace("OPERATION", "'%s%s' % (ns.x, ns.x)"),
    "double by format method": DOUBLE.replace("OPERATION", "'{0}{0}'.format(ns.x)"),
    "double by replace": DOUBLE.replace("OPERATION", "ns.x|replace('a', 'aa')"),
    "double by join": DOUBLE.replace("OPERATION", "[ns.x, ns.x]|join"),
    "double a list": DOUBLE.replace("OPERATION", "[ns.x, ns.x]"),
    "double a tuple": DOUBLE.replace("OPERATION", "(ns.x, ns.x)"),
    "double a mapping": DOUBLE.replace("OPERATION", "{'a': ns.x, 'b': ns.x}"),
    "double a dict": DOUBLE.replace("OPERATION", "dict(a=ns.x, b=ns.x)"),
    "double by sum": DOUBLE.replace("OPERATION", "[[ns.x], [ns.x]]|sum(start=[])"),
    "double a set": "{% set x = 'ab' %}" + "{% set x = x ~ x %}" * 64 + "{{ x }}",
    "double a block": "{% set x = 'ab' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 64 + "{{ x }}",
    "square": DOUBLE.replace("'ab'", "3").replace("OPERATION", "ns.x * ns.x"),
    "squares of texts": "{{ ('x' * 400) * 400 ~ ('x' * 400) * 400 }}",
    "compare": "{% set a = namespace(x=1) %}{% set b = namespace(x=1) %}{% for i in range(60) %}{% set a.x = [a.x, a.x] %}"
    "{% set b.x = [b.x, b.x] %}{% endfor %}{{ a.x == b.x }}",
    "namespaces of namespaces": "{% set a = namespace(v='x') %}" + f"{{% set a = namespace(v=[{'a, ' * 10}]) %}}" * 8 + "{{ a }}{{ a|upper }}",
    "views of views": "{% set a = {'k': 'x'} %}" + f"{{% set a = {{{', '.join(f'{k}: a.values()' for k in range(8))}}} %}}" * 8 + "{{ a.values() }}",
    "methods": "{% set m = ('x' * 199999)|e %}{{ [m.striptags] * 9999 }}",
    "modules": "{% set l = [part] * 9999 %}{{ l|join }}",
    "wordwrap": "{{ (' ' * 199999)|wordwrap(1) }}",
    "wordwraps": "{% set a = ' ' * 9999 %}" + PASSES.replace("PASS", "{% set z = a|wordwrap(1) %}"),
    "links": "{% set a = '< ' * 4999 %}" + PASSES.replace("PASS", "{% set z = a|urlize %}"),
    "sort a text": "{% set a = 'ab' * 49999 %}" + PASSES.replace("PASS", "{% set z = a|sort|first %}"),
    "count in a list": LONG + PASSES.replace("PASS", "{% set z = a.count('s') %}"),
    "count in a range": "{% set a = range(10000) %}" + PASSES.replace("PASS", "{% set z = a.count('s') %}"),
    "sum of lists": "{{ ([[1]] * 60000)|sum(start=[])|length }}",
    "compare lists": f"{LONG}{{% set b = a + [1] %}}{{% set a = a + [1] %}}{PASSES.replace('PASS', '{% if a == b %}{% endif %}')}",
    "search a list": LONG + PASSES.replace("PASS", "{% if 's' in a %}{% endif %}"),
    "search a list by a test": LONG + PASSES.replace("PASS", "{% if 's' is in a %}{% endif %}"),
    "maximum": LONG + PASSES.replace("PASS", "{% if a|max %}{% endif %}"),
    "sort": LONG + PASSES.replace("PASS", "{% set z = a|sort %}"),
    "count": "{% set a = 'x' * 199999 %}" + PASSES.replace("PASS", "{% set z = a.count('yy') %}"),
    "slices": "{% set a = 'x' * 199999 %}" + PASSES.replace("PASS", "{% set z = a[1:] %}"),
    "long bodies": "{% set a = 1 %}" + PASSES.replace("PASS", "{% if a - 1 %}{% endif %}" * 2000),
    "keep lists": KEPT.replace("VALUE", "range(9999)|list"),
    "keep texts": KEPT.replace("VALUE", "'x' * 99999"),
    "keep slices": "{% set a = 'x' * 99999 %}" + KEPT.replace("VALUE", "a[1:]"),
    "deep parentheses": "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}",
    "deep lists": "{{ " + "[" * 50_000 + "]" * 50_000 + " }}",
    "deep loops": "{% for i in [1] %}" * 200 + "{% endfor %}" * 200,
    "deep conditions": "{% if 1 %}" * 5000 + "{% endif %}" * 5000,
    "deep unary": "{{ " + "-" * 50_000 + "1 }}",
    "long number": "{{ " + "9" * 5000 + " }}",
    "huge exponent": "{{ 1e999999|int }}",
}  # fmt: skip


def environment(*, autoescape: bool = True) -> Sandbox:
    return Sandbox(
        autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, cache_size=-1
    )


def render(source: str, *, autoescape: bool = True, **data: Any) -> str:
    made = environment(autoescape=autoescape)
    made.start()
    part = made.from_string("x" * 99_999).module
    return fill(made.from_string(source), {"part": part, **made.globals, **data})


def peak_bytes() -> int:
    """Return the most memory that this process has used since Linux last reset the peak."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def growth_bytes(action: Callable[[], object]) -> int:
    """Return by how much the memory of this process grows at most while `action` runs."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak
    except OSError:  # Not Linux. To count each allocation makes a rendering up to forty times slower.
        tracemalloc.start()
        action()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak
    before = peak_bytes()
    action()
    return peak_bytes() - before


def test_a_short_growth_is_measured() -> None:
    """100 MB that are used for a moment are seen, so the next test would find them."""

    def use() -> None:
        # Not a bytes object: after long runs malloc may give it memory that the process still has from earlier tests.
        with mmap.mmap(-1, 100 << 20) as memory:
            for at in range(0, len(memory), mmap.PAGESIZE):
                memory[at] = 1

    assert growth_bytes(use) > 90 << 20


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_end(name: str) -> None:
    """A template that would take minutes or gigabytes ends with an error, or with a bounded text, and uses little memory."""
    written = ""

    def run() -> None:
        nonlocal written
        with suppress(TemplateError, ArithmeticError, TypeError, ValueError, RecursionError, NameError):
            written = render(HOSTILE[name], autoescape=len(name) % 2 == 0)

    assert growth_bytes(run) < 64 << 20
    assert len(written) < 2 * MAX_OUTPUT


def test_work_on_large_values_takes_steps() -> None:
    """A pass of a loop that reads or keeps a value of 70,000 parts or characters costs more than a pass that does not."""
    large = [
        "compare lists",
        "search a list",
        "search a list by a test",
        "maximum",
        "sort",
        "count",
        "slices",
        "long bodies",
        "wordwraps",
        "links",
        "sort a text",
        "count in a list",
        "count in a range",
    ]
    for name in [*large, "keep lists", "keep texts", "keep slices"]:
        source = HOSTILE[name].replace("range(9999) %}", "range(50) %}")
        with pytest.raises(LimitExceeded, match="steps"):
            render(source)


def test_an_import_keeps_nothing_of_another_email() -> None:
    """A namespace of an imported template begins empty in each email."""
    parts = {
        "macros": "{% set ns = namespace(seen=[]) %}{% macro see(name) %}{% set ns.seen = ns.seen + [name] %}{{ ns.seen|join(',') }}{% endmacro %}",
        "page": "{% from 'macros' import see %}{{ see(name) }}",
    }
    made = Sandbox(autoescape=True, undefined=StrictUndefined, cache_size=-1, loader=DictLoader(parts))
    texts = [fill(made.get_template("page"), {**made.globals, "name": name}) for name in ("Anna", "Bo")]
    assert texts == ["Anna", "Bo"]


@pytest.mark.parametrize(
    "source",
    [
        "{% filter striptags %}{{ name }}{% endfilter %}",
        "{% set x | striptags | trim %}{{ name }}{% endset %}{{ x }}",
        "{% call '{}'.format(name) %}{% endcall %}",
        "{% autoescape true %}{% filter trim | striptags %}{{ name }}{% endfilter %}{% endautoescape %}",
    ],
)
def test_blocks_write_escaped_texts(source: str) -> None:
    """Jinja would write the name of a customer as HTML."""
    assert render(source, name="<script>") == "&lt;script&gt;"


@settings(max_examples=examples(80))
@given(st.text(st.sampled_from("<>&'\"aø;#34"), max_size=80))
def test_values_are_escaped_as_in_jinja(value: str) -> None:
    """Each value in HTML is escaped."""
    assert render("{{ x }}", x=value) == str(escape(value))
    assert render("{{ x }}", autoescape=False, x=value) == value


def test_blocks_write_texts_unchanged_without_autoescape() -> None:
    """A text part has no HTML to escape."""
    source = "{% filter striptags %}{{ name }}{% endfilter %}{% call '{}'.format(name) %}{% endcall %}"
    assert render(source, autoescape=False, name="a & b") == "a & ba & b"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ 'a' * 10**8 }}", "a value of more than 200,000 characters"),
        (
            "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
            "the template takes more than 200,000 steps",
        ),
        ("{{ 'a'.ljust(10**9) }}", "an argument of ljust is greater than 10,000"),
        ('{{ "%1000000000d"|format(1) }}', "a format has a width of four digits"),
        ("{{ range(10**9) }}", "a range of more than 10,000 numbers"),
        ("{{ 9**9999 }}", "a number of more than 4096 bits"),
    ],
)
def test_errors_name_the_limit(source: str, text: str) -> None:
    """The author of a template learns which limit it exceeds."""
    with pytest.raises(LimitExceeded, match=text):
        render(source)


@pytest.mark.parametrize("source", [HOSTILE["deep parentheses"], HOSTILE["long number"], HOSTILE["deep loops"]])
def test_templates_that_cannot_be_compiled(source: str) -> None:
    """A template that is nested too deeply, or has a number that Python does not read, is invalid, at compile time."""
    with pytest.raises(TemplateSyntaxError):
        environment().compile(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "{% for a in [1, 2, 3] %}{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last }}{% endfor %}",
            "1/3,2/3,3/3",
        ),
        ("{% for a, b in {'x': 1, 'y': 2}.items() %}{{ a }}{{ b }}{% endfor %}", "x1y2"),
        ("{% for a in [] %}x{% else %}none{% endfor %}", "none"),
        ("{% for i in [1, [2, [3]]] recursive %}{{ loop(i) if i is iterable else i }}{% endfor %}", "123"),
        ("{% for i in range(5) if i is odd %}{{ i }}{% endfor %}", "13"),
        ("{{ 'a' ~ 1 ~ '<' }}", "a1&lt;"),
        ("{{ ('<b>'|safe) ~ '<' }}", "<b>&lt;"),
        ("{{ 'a' + 'b' }}{{ 1 + 2 }}{{ 2 * 3 }}{{ 7 % 4 }}{{ 2 ** 5 }}{{ '-' * 3 }}", "ab363 32---".replace(" ", "")),
        (
            "{{ '%s of %d' % ('a', 3) }} {{ '%05.2f'|format(1.5) }} {{ '{} {:>4}'.format('a', 'b') }}",
            "a of 3 01.50 a    b",
        ),
        ("{{ ['a', 'b']|join(', ') }}{{ [{'n': 1}, {'n': 2}]|join('+', attribute='n') }}", "a, b1+2"),
        ("{{ 'a\\nb'|indent(2) }}{{ 'abc'|replace('b', 'x') }}{{ 'x'|center(3) }}", "a\n  baxc x "),
        ("{{ 'ABC'.lower().title() }}{{ 'a,b'.split(',')[1] }}{{ ' a '.strip() }}{{ 'a'.ljust(3, '.') }}", "Abcbaa.."),
        (
            "{% macro m(x) %}[{{ x }}{{ caller() if caller is defined }}]{% endmacro %}{{ m(1) }}{% call m(2) %}!{% endcall %}",
            "[1][2!]",
        ),
        (
            "{% set x %}a{{ 1 }}{% endset %}{{ x }}{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
            "a13",
        ),
        (
            "{{ [1, 2]|map('string')|list }}{{ (1, 2) }}{{ {'a': [1]} }}",
            "[&#39;1&#39;, &#39;2&#39;](1, 2){&#39;a&#39;: [1]}",
        ),
        ("{% filter upper %}abc{% endfilter %}{{ 12345678|string|length }}{{ 1.2345|round(2) }}", "ABC81.23"),
        ("{{ order.lines[0].name }}{{ order.items }}", "Tea7"),
        ("{% macro t(x) %}[{{ x }}]{% endmacro %}{{ t('<') }}{{ t(x=1) }}", "[&lt;][1]"),
        ("{% autoescape false %}{{ '<' }}{% endautoescape %}{{ '<' }}", "<&lt;"),
    ],
)
def test_ordinary_templates_are_as_in_jinja(source: str, expected: str) -> None:
    """Everything that emails need gives what Jinja gives."""
    assert render(source, order={"lines": [{"name": "Tea"}], "items": 7}) == expected


PARTS = {
    "layout": "<{% block a %}{{ x }}{% endblock %}|{% block b scoped %}{% endblock %}>{{ self.a() }}",
    "middle": "{% extends 'layout' %}ignored {{ x }}{% block a %}({{ super() }}){% endblock %}",
    "part": "{{ x }}{% for y in order.lines %}{{ y.name }}{% endfor %}",
    "macros": "{% macro m(z) %}{% if z %}*{{ z }}*{% endif %}{% endmacro %}",
    "page": "{% extends 'middle' %}{% import 'macros' as tools %}{% block a %}{{ super() }}{% include 'part' %}{% endblock %}"
    "{% block b %}{% set kept %}{% include 'part' %}{% endset %}{{ kept }}{{ tools.m('&') }}{% filter upper %}{% block c %}ab{{ x }}{% endblock %}"
    "{% endfilter %}{{ order.lines | map(attribute='name') | join('<') }}{{ order.lines[0]['name'] }}{% endblock %}",
    "static": "S{% for i in range(2) %}{{ i }}{% endfor %}",
    "alone": "a{{ x }}{% include 'static' without context %}b{% block d %}c{% include 'static' without context %}d{% endblock %}"
    "{% if x in ['<x>', 1] %}e{% endif %}",
    "names": "{% for y in order.lines %}{% from 'macros' import m as y %}{{ y.name }}{% endfor %}"
    "{% for y in order.lines %}{% import 'macros' as y %}{{ y.m is defined }}{% endfor %}"
    "{% for y in order.lines %}{% macro y() %}{% endmacro %}{{ y.name }}{% endfor %}",
    "sometimes": "before{% if x %}{% extends 'layout' %}{% endif %}after{% block a %}{% include 'static' %}{% endblock %}",
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("autoescape", [True, False])
def test_inheritance_is_as_in_jinja(name: str, autoescape: bool) -> None:
    """Layouts, blocks, includes and macros give what Jinja gives."""
    data = {"x": "<x>", "order": {"lines": [{"name": "Tea"}, {"name": "<Cup>"}]}}
    made = Sandbox(autoescape=autoescape, undefined=StrictUndefined, cache_size=-1, loader=DictLoader(PARTS))
    expected = Environment(autoescape=autoescape, undefined=StrictUndefined, loader=DictLoader(PARTS))
    made.start()
    text = fill(made.get_template(name), {**made.globals, **data})
    assert text == expected.get_template(name).render(data)


def test_a_rendering_starts_with_a_whole_budget() -> None:
    """One message that costs much takes nothing from the next."""
    made = environment()
    template = made.from_string("{% for i in range(9999) %}{{ i }}{% endfor %}")
    for _ in range(30):
        made.start()
        template.render()


#: The filters of Jinja, except the one whose result differs each time.
BUILT_IN = sorted({*DEFAULT_FILTERS} - {"random"})
EXPRESSIONS = st.recursive(
    st.sampled_from(["'ab'", "9", "10**6", "[1]", "x", "ns", "range(9)", "{'a': 1}", "1.5", "none", "('a', 'b')"]),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["*", "**", "+", "~", "%", "==", "in", "//", "-"]), inner)
    | st.builds("{}|{}({})".format, inner, st.sampled_from(BUILT_IN), inner)
    | st.builds("{}.{}({})".format, inner, st.sampled_from(["ljust", "join", "replace", "format", "zfill", "split", "items", "count"]), inner)
    | st.builds("[{}, {}]".format, inner, inner),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=examples(80))
@given(st.lists(EXPRESSIONS, min_size=1, max_size=4))
def test_any_expression_ends(expressions: list[str]) -> None:
    """Whatever expression runs in nested loops, the rendering ends with a bounded text or an error of the template."""
    body = "".join(f"{{% set ns.x = {text} %}}{{{{ ns.x }}}}" for text in expressions)
    source = (
        "{% set ns = namespace(x='ab') %}{% for x in range(50) %}{% for y in range(5) %}"
        + body
        + "{% endfor %}{% endfor %}"
    )
    try:
        written = render(source)
    except Exception:  # noqa: BLE001 - an expression may fail in any way; the renderer makes each a RenderError
        written = ""
    assert len(written) < 10 * MAX_OUTPUT
