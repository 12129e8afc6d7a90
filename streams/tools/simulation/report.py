"""The results of a simulation as one HTML page without scripts: a plot and a table for each question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TypeAlias

from streams.tools.simulation.outcome import SimulationResult

#: Draws the counts of each result, under a title.
Plot: TypeAlias = Callable[[str, Sequence[Mapping[str, int]]], str]

_STYLE = """
:root { color-scheme: light dark; --ink: #23302b; --paper: #fbfaf7; --soft: #d9d5cb; --one: #2f6f5e; --two: #c2703d; --three: #5b64b0; }
@media (prefers-color-scheme: dark) { :root { --ink: #ece8e1; --paper: #1d1f1e; --soft: #3a3d3b; --one: #6fc0a8; --two: #e5a272; --three: #a3abef; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } svg { display: block; width: 100%; } text { fill: var(--ink); font-size: 12px; }
table { border-collapse: collapse; } th, td { text-align: right; padding: .2rem .8rem; border-bottom: 1px solid var(--soft); }
th[scope=row] { text-align: left; font-weight: normal; white-space: nowrap; } details { margin: .5rem 0 2rem; overflow-x: auto; }
.s0 { fill: var(--one); } .s1 { fill: var(--two); } .s2 { fill: var(--three); }
.key { display: inline-block; width: .8rem; height: .8rem; margin: 0 .4rem 0 1rem; }
.key:first-child { margin-left: 0; } .k0 { background: var(--one); } .k1 { background: var(--two); } .k2 { background: var(--three); }
"""
# Heights are pixels and widths are percentages, so that a narrow screen gets narrow bars instead of small letters.
_ROW, _PLOT = 20, 220
#: Width of the longest bar in percent; its number needs the rest.
_LONGEST = 78
#: Largest number of bars in a plot; the table has all.
MOST_BARS = 30


def page(results: Sequence[SimulationResult], title: str = "Takk: simulated emails") -> str:
    """Return the page. All text from outside is escaped."""
    keys = "".join(f'<span class="key k{number}"></span>{escape(result.name)}' for number, result in enumerate(results))
    sections: tuple[tuple[str, Plot, list[Mapping[str, int]]], ...] = (
        ("Emails per day", _columns, [result.by_day for result in results]),
        ("Emails by flow", _sorted_bars, [result.by_flow for result in results]),
        ("Emails per customer", _bars, [result.percentiles for result in results]),
        ("Deferred, by rule", _sorted_bars, [result.deferred for result in results]),
        ("Not sent, by rule", _sorted_bars, [result.not_sent for result in results]),
    )
    parts = [
        f"<h1>{escape(title)}</h1><p>{keys}</p>",
        *[_section(name, plot(name, counts), counts, results) for name, plot, counts in sections],
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _section(title: str, plot: str, parts: Sequence[Mapping[str, int]], results: Sequence[SimulationResult]) -> str:
    heads = "".join(f'<th scope="col">{escape(result.name)}</th>' for result in results)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{part.get(name, 0):,}</td>" for part in parts)}</tr>'
        for name in dict.fromkeys(name for part in parts for name in part)
    )
    return f"<h2>{escape(title)}</h2>{plot}<details><summary>Table</summary><table><tr><td></td>{heads}</tr>{rows}</table></details>"


def _picture(title: str, height: int, drawn: str) -> str:
    return f'<svg height="{height}" role="img" aria-label="{escape(title)}">{drawn}</svg>'


def _columns(title: str, parts: Sequence[Mapping[str, int]]) -> str:
    """Return a plot with a column per day."""
    days = sorted({day for part in parts for day in part})
    if not days:
        return "<p>No emails.</p>"
    top = max((count for part in parts for count in part.values()), default=1) or 1
    step, head = 100 / len(days), 20
    wide = step / len(parts) * 0.9
    drawn = [
        f'<rect class="s{number}" x="{index * step + number * wide:.3f}%" y="{head + _PLOT - _PLOT * part.get(day, 0) / top:.1f}" '
        f'width="{wide:.3f}%" height="{_PLOT * part.get(day, 0) / top:.1f}"><title>{escape(day)}: {part.get(day, 0):,}</title></rect>'
        for index, day in enumerate(days)
        for number, part in enumerate(parts)
    ]
    below = head + _PLOT + 16
    ends = f'<text x="0" y="{below}">{escape(days[0])}</text>'
    if len(days) > 1:
        ends += f'<text x="100%" y="{below}" text-anchor="end">{escape(days[-1])}</text>'
    return _picture(title, below + 4, f'<text x="0" y="{head - 4}">{top:,} emails</text>{"".join(drawn)}{ends}')


def _sorted_bars(title: str, parts: Sequence[Mapping[str, int]]) -> str:
    """Return a plot of the longest bars, the longest first."""
    names = {name for part in parts for name in part}
    first = sorted(names, key=lambda name: (-max(part.get(name, 0) for part in parts), name))[:MOST_BARS]
    return _bars(title, [{name: part.get(name, 0) for name in first} for part in parts])


def _bars(title: str, parts: Sequence[Mapping[str, int]]) -> str:
    """Return a plot with a bar per name."""
    names = list(parts[0])
    if not names:
        return "<p>None.</p>"
    top = max(count for part in parts for count in part.values()) or 1
    high = _ROW * len(parts) + 22
    drawn = []
    for index, name in enumerate(names):
        drawn.append(f'<text x="0" y="{index * high + 12}">{escape(name)}</text>')
        for number, part in enumerate(parts):
            count, y = part[name], index * high + 16 + number * _ROW
            wide = f"{_LONGEST * count / top:.2f}%"
            drawn.append(
                f'<rect class="s{number}" x="0" y="{y}" width="{wide}" height="{_ROW - 4}"></rect>'
                f'<text x="{wide}" dx="6" y="{y + 12}">{count:,}</text>'
            )
    return _picture(title, len(names) * high + 8, "".join(drawn))
