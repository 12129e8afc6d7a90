"""The page of a simulation: complete, safe and accessible."""

from __future__ import annotations

from streams.tools.simulation.report import page
from tests.unit.tools.simulation.samples import Page, result_of


def test_the_page_is_complete_and_safe() -> None:
    """Names are escaped; there are a plot and a table for each question, no script, and no external address."""
    evil = '<script>alert(1)</script>"&'
    text = page([result_of(evil, by_flow={evil: 1}, not_sent={evil: 2}, deferred={evil: 3}), result_of("other")])
    found = Page(text)
    assert found.open == []
    assert "script" not in found.tags
    assert found.tags.count("svg") == 5
    assert found.tags.count("table") == 5
    assert "http" not in text
    assert Page(page([result_of(by_day={}, by_flow={}, not_sent={}, deferred={}, mails=0)])).open == []


def test_the_page_is_accessible() -> None:
    """Plots have a name and are not scaled, so that text stays readable on a phone; table headers have a scope."""
    text = page([result_of(), result_of("other")])
    assert "viewBox" not in text
    assert 'aria-label="Emails per day"' in text
    assert "2 emails" in text  # the unit above the columns
    assert '<th scope="col">other</th>' in text
    assert '<th scope="row">f/a</th>' in text


def test_each_variant_has_its_own_color() -> None:
    """There are at most three variants: unchanged, with changes, and another directory."""
    text = page([result_of("a"), result_of("b"), result_of("c")])
    assert all(f"k{number}" in text and f'class="s{number}"' in text for number in range(3))
