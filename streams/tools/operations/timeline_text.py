"""The timeline of a customer as text, one line per entry; times are in UTC."""

from __future__ import annotations

from streams.core.values.text import counted
from streams.tools.operations.customer_story import Timeline, TimelineEntry, format_time


def format_timeline(timeline: Timeline) -> list[str]:
    """Return the lines that `takk why` prints."""
    past = counted(len(timeline.entries), "entry", "entries")
    lines = [f"{timeline.customer_id}: {past}, {len(timeline.waiting)} waiting (times in UTC)"]
    if timeline.merged_into:
        lines.append(
            f"  merged: this customer is now {timeline.merged_into}; run `takk why {timeline.merged_into}` for the rest"
        )
    if timeline.merged_ids:
        lines.append(
            f"  merged: this customer was also {', '.join(timeline.merged_ids)}; their earlier records are under those ids"
        )
    if timeline.omitted:
        lines.append(
            f"  {timeline.omitted:,} older entries are not shown: add --all, or choose fewer with --days or --send"
        )
    lines += [_format_entry(entry) for entry in timeline.entries]
    if timeline.waiting:
        lines += ["waiting:", *map(_format_entry, timeline.waiting)]
    return lines


def _format_entry(entry: TimelineEntry) -> str:
    about = " ".join(part for part in (entry.flow, entry.about) if part)
    order = f" of order {entry.order_id}" if entry.order_id else ""
    send = f"  [{entry.send_id}]" if entry.send_id else ""
    return f"  {format_time(entry.at)}  {entry.what:<9} {about}{order}: {entry.text}{send}"
