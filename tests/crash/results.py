"""The results of the campaign: one row per scenario, as JSON and as the table of the README."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

README = Path(__file__).parent / "README.md"
_START, _END = "<!-- results -->\n", "<!-- end of results -->"
_HEAD = """\
| scenario | kills | sends | lost | doubled | in doubt | victim s | others s | seconds | result |
|---|---|---|---|---|---|---|---|---|---|
"""


@dataclass
class Row:
    """The result of a scenario.

    `unknown` counts the sends in doubt: they may have arrived twice or not at all, because their data had begun when a process died.
    """

    scenario: str
    acceptance: str
    seed: int
    kills: int = 0
    sends: int = 0
    lost: int = 0
    duplicated: int = 0
    unknown: int = 0
    victim_stop_s: float | None = None
    others_stop_s: float | None = None
    seconds: float = 0.0
    unknown_sends: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing was lost, duplicated or different."""
        return not (self.lost or self.duplicated or self.problems)

    def as_dict(self) -> dict[str, Any]:
        """Return the row as it is written to results.json."""
        return {**asdict(self), "passed": self.passed}

    @classmethod
    def parse(cls, recorded: dict[str, Any]) -> Row | None:
        """Return the row of an entry of results.json; None for an entry that an earlier version of the campaign wrote."""
        names = {each.name for each in fields(cls)}
        values = {name: value for name, value in recorded.items() if name in names}
        return cls(**values) if names == values.keys() else None


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown, with the time of all rows in a line below."""

    def seconds(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f}"

    lines = [
        f"| {row.scenario} | {row.kills} | {row.sends:,} | {row.lost} | {row.duplicated} | {row.unknown} | {seconds(row.victim_stop_s)} "
        f"| {seconds(row.others_stop_s)} | {row.seconds:.0f} | {'passed' if row.passed else 'FAILED'} |\n"
        for row in rows
    ]
    return f"{_HEAD}{''.join(lines)}\nTogether {sum(row.seconds for row in rows) / 60:.0f} minutes.\n"


def with_table(page: str, rows: Sequence[Row]) -> str:
    """Return the page with the table of these rows in the place of the earlier one."""
    before, start, rest = page.partition(_START)
    _, end, after = rest.partition(_END)
    if not (start and end):
        raise ValueError(f"the page has no lines {_START.strip()} and {_END}")
    return f"{before}{start}{table(rows)}{end}{after}"


def merge(rows: Sequence[Row], path: Path, order: Sequence[str]) -> list[Row]:
    """Write the rows as JSON, keep the rows of scenarios that did not run now, and return all.

    Args:
        rows: the new rows.
        path: the file.
        order: the names of the scenarios. Rows of other scenarios are dropped.
    """
    recorded = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    earlier = [row for row in map(Row.parse, recorded) if row is not None]
    by_name = {row.scenario: row for row in [*earlier, *rows]}
    merged = [by_name[name] for name in order if name in by_name]
    path.write_text(json.dumps([row.as_dict() for row in merged], indent=2) + "\n", encoding="utf-8")
    return merged
