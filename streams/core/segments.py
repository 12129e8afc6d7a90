"""The segments that flows start by: who has entered one, who has left."""

from __future__ import annotations

from streams.core.happening import happened
from streams.core.turn import Turn
from streams.core.view import View


def watch_segments(turn: Turn) -> None:
    """Start the flows on segments that the customer has entered or left since the last event."""
    view = View(turn, None)
    members = tuple([name for name in turn.world.watched if turn.world.segments[name].holds(view)])
    before = turn.segments
    if members == before:
        return
    turn.segments = members
    turn.changed = True
    for name in turn.world.watched:
        if (name in members) != (name in before):
            kind = "segment.entered" if name in members else "segment.left"
            happened(turn, kind, None, None, turn.now, about=(("segment", name),))
