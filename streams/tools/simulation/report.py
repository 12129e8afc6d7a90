"""What a simulation found, as one HTML page without scripts: a plot and its table for each question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TypeAlias

from streams.tools.simulation.outcome import SimulationResult

#: Draws what a title says of the counts of each outcome.
Plot: TypeAlias = Callable[[str, Sequence[Mapping[str, int]]], str]

_STYLE = """
:root { color-scheme: light dark; --ink: #23302b; --paper: #fbfaf7; --soft: #d9d5cb; --one: #2f6f5e; --two: #c2703d; --three: #5b64b0; }
@media (prefers-color-scheme: dark) { :root { --ink: #ece8e1; --paper: #1d1f1e; --soft: #3a3d3b; --one: #6fc0a8; --two: #e5a272; --three: #a3abef; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } svg { display: block; width: 100%; } text { fill: var(--ink); font-size: 12px; }
table { border-collapse: collapse; } th, td { text-align: right; padding: .2rem .8rem; border-bottom: 1px solid var(--soft); }
th[scope=row] { text-align: left; font-weight: normal; } details { margin: .5rem 0 2rem; overflow-x: auto; }
.s0 { fill: var(--one); } .s1 { fill: var(--two); } .s2 { fill: var(--three); }
.key { display: inline-block; width: .8rem; height: .8rem; margin: 0 .4rem 0 1rem; }
.k0 { background: var(--one); } .k1 { background: var(--two); } .k2 { background: var(--three); }
"""
# Heights are pixels and widths percents, so that a narrow screen gets narrow bars and not small letters.
_ROW, _PLOT = 20, 220
#: Percent of the width for the longest bar; behind it stands its number.
_LONGEST = 78
#: Bars of a plot; a shop with more flows and rules reads the rest in the table.
MOST_BARS = 30


def page(results: Sequence[SimulationResult], title: str = "Takk: what these flows would have sent") -> str:
    """The whole page; every text in it that comes from outside is escaped."""
    keys = "".join(f'<span class="key k{number}"></span>{escape(one.name)}' for number, one in enumerate(results))
    sections: tuple[tuple[str, Plot, list[Mapping[str, int]]], ...] = (
        ("Mails a day", _columns, [one.by_day for one in results]),
        ("Mails by flow", _sorted_bars, [one.by_flow for one in results]),
        ("Mails per customer", _bars, [one.percentiles for one in results]),
        ("Put off, by rule", _sorted_bars, [one.deferred for one in results]),
        ("Not sent, by rule", _sorted_bars, [one.not_sent for one in results]),
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
    heads = "".join(f'<th scope="col">{escape(one.name)}</th>' for one in results)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{part.get(name, 0):,}</td>" for part in parts)}</tr>'
        for name in dict.fromkeys(name for part in parts for name in part)
    )
    return f"<h2>{escape(title)}</h2>{plot}<details><summary>Table</summary><table><tr><td></td>{heads}</tr>{rows}</table></details>"


def _picture(title: str, height: int, drawn: str) -> str:
    return f'<svg height="{height}" role="img" aria-label="{escape(title)}">{drawn}</svg>'


def _columns(title: str, parts: Sequence[Mapping[str, int]]) -> str:
    """Columns over the days."""
    days = sorted({day for part in parts for day in part})
    if not days:
        return "<p>No mails.</p>"
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
    return _picture(title, below + 4, f'<text x="0" y="{head - 4}">{top:,} mails</text>{"".join(drawn)}{ends}')


def _sorted_bars(title: str, parts: Sequence[Mapping[str, int]]) -> str:
    """The longest bars, the longest first."""
    names = {name for part in parts for name in part}
    first = sorted(names, key=lambda name: (-max(part.get(name, 0) for part in parts), name))[:MOST_BARS]
    return _bars(title, [{name: part.get(name, 0) for name in first} for part in parts])


def _bars(title: str, parts: Sequence[Mapping[str, int]]) -> str:
    """A bar a name."""
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
