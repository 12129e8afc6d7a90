"""What a simulation found, as one HTML page without scripts: a plot and its table for each question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from streams.simulate import Outcome

_STYLE = """
:root { color-scheme: light dark; --ink: #23302b; --paper: #fbfaf7; --soft: #d9d5cb; --one: #2f6f5e; --two: #c2703d; }
@media (prefers-color-scheme: dark) { :root { --ink: #ece8e1; --paper: #1d1f1e; --soft: #3a3d3b; --one: #6fc0a8; --two: #e5a272; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } svg { width: 100%; height: auto; } text { fill: var(--ink); font-size: 12px; }
table { border-collapse: collapse; } th, td { text-align: right; padding: .2rem .8rem; border-bottom: 1px solid var(--soft); }
th:first-child, td:first-child { text-align: left; } .s0 { fill: var(--one); } .s1 { fill: var(--two); } details { margin: .5rem 0 2rem; }
.key { display: inline-block; width: .8rem; height: .8rem; margin: 0 .4rem 0 1rem; } .k0 { background: var(--one); } .k1 { background: var(--two); }
"""
_WIDTH, _ROW, _PLOT = 900, 20, 220
#: Bars of a plot; a shop with more flows and rules reads the rest in the table.
MOST_BARS = 30


def page(outcomes: Sequence[Outcome], title: str = "Takk: what these flows would have sent") -> str:
    """The whole page; every text in it that comes from outside is escaped."""
    keys = "".join(f'<span class="key k{number % 2}"></span>{escape(one.name)}' for number, one in enumerate(outcomes))
    parts = [
        f"<h1>{escape(title)}</h1><p>{keys}</p>",
        _section("Mails a day", _columns([one.by_day for one in outcomes]), [one.by_day for one in outcomes], outcomes),
        _section(
            "Mails by flow", _bars([one.by_flow for one in outcomes]), [one.by_flow for one in outcomes], outcomes
        ),
        _section(
            "Mails per customer",
            _bars([one.percentiles for one in outcomes], is_sorted=False),
            [one.percentiles for one in outcomes],
            outcomes,
        ),
        _section(
            "Put off, by rule", _bars([one.put_off for one in outcomes]), [one.put_off for one in outcomes], outcomes
        ),
        _section(
            "Not sent, by rule", _bars([one.losses for one in outcomes]), [one.losses for one in outcomes], outcomes
        ),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _section(title: str, plot: str, parts: Sequence[Mapping[str, int]], outcomes: Sequence[Outcome]) -> str:
    heads = "".join(f"<th>{escape(one.name)}</th>" for one in outcomes)
    rows = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{part.get(name, 0):,}</td>' for part in parts)}</tr>"
        for name in dict.fromkeys(name for part in parts for name in part)
    )
    return f"<h2>{escape(title)}</h2>{plot}<details><summary>Table</summary><table><tr><th></th>{heads}</tr>{rows}</table></details>"


def _columns(parts: Sequence[Mapping[str, int]]) -> str:
    """Columns over the days."""
    days = sorted({day for part in parts for day in part})
    if not days:
        return "<p>No mails.</p>"
    top = max((count for part in parts for count in part.values()), default=1) or 1
    step = _WIDTH / len(days)
    wide = max(step / len(parts) * 0.9, 0.5)
    drawn = [
        f'<rect class="s{number % 2}" x="{index * step + number * wide:.1f}" y="{_PLOT - _PLOT * part.get(day, 0) / top:.1f}" '
        f'width="{wide:.1f}" height="{_PLOT * part.get(day, 0) / top:.1f}"><title>{escape(day)}: {part.get(day, 0):,}</title></rect>'
        for index, day in enumerate(days)
        for number, part in enumerate(parts)
    ]
    ends = f'<text x="0" y="{_PLOT + 16}">{escape(days[0])}</text><text x="{_WIDTH}" y="{_PLOT + 16}" text-anchor="end">{escape(days[-1])}</text>'
    return f'<svg viewBox="0 -16 {_WIDTH} {_PLOT + 40}" role="img"><text x="0" y="-4">{top:,}</text>{"".join(drawn)}{ends}</svg>'


def _bars(parts: Sequence[Mapping[str, int]], is_sorted: bool = True) -> str:
    """A bar a name, the longest first."""
    names = list(dict.fromkeys(name for part in parts for name in part))
    if is_sorted:
        names.sort(key=lambda name: (-max(part.get(name, 0) for part in parts), name))
    names = names[:MOST_BARS]
    if not names:
        return "<p>None.</p>"
    top = max(part.get(name, 0) for part in parts for name in names) or 1
    high = _ROW * len(parts) + 22
    drawn = []
    for index, name in enumerate(names):
        drawn.append(f'<text x="0" y="{index * high + 12}">{escape(name)}</text>')
        for number, part in enumerate(parts):
            count = part.get(name, 0)
            y = index * high + 16 + number * _ROW
            drawn.append(
                f'<rect class="s{number % 2}" x="0" y="{y}" width="{(_WIDTH - 90) * count / top:.1f}" height="{_ROW - 4}"></rect>'
                f'<text x="{(_WIDTH - 90) * count / top + 6:.1f}" y="{y + 12}">{count:,}</text>'
            )
    return f'<svg viewBox="0 0 {_WIDTH} {len(names) * high + 8}" role="img">{"".join(drawn)}</svg>'
