"""Attributes, dates, external ids, wishes and likes: bounded, and the same in whatever order records arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

from streams.core.model.traits import LIKE, WISH, Attribute, Collected, Traits, merge_collected, merge_named

AT = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_the_newest_value_of_each_name_counts_in_any_order() -> None:
    """A value, one that is removed later, and two at the same time: every order of arrival gives the same, and a repetition too."""
    stated = [
        Attribute("size", "M", AT),
        Attribute("size", None, AT + HOUR),
        Attribute("points", 1, AT),
        Attribute("points", "1", AT),
    ]
    results = set()
    for order in permutations([*stated, stated[0]]):
        kept: tuple[Attribute, ...] = ()
        for each in order:
            kept, _ = merge_named(kept, [each], 10)
        results.add(kept)
    (only,) = results
    traits = Traits(attributes=only)
    assert (traits.attribute("size"), traits.attribute("points")) == (None, "1")


def test_removed_values_make_room_first_and_then_the_oldest() -> None:
    """Of three names in two places, the removed one is dropped. Without a removed one it is the oldest, which is counted as lost."""
    stored = (Attribute("a", None, AT + 2 * HOUR), Attribute("b", "x", AT))
    kept, lost = merge_named(stored, [Attribute("c", "y", AT + HOUR)], 2)
    assert ([each.name for each in kept], lost) == (["b", "c"], 0)
    kept, lost = merge_named(kept, [Attribute("d", "z", AT + HOUR)], 2)
    assert ([each.name for each in kept], lost) == (["c", "d"], 1)


def test_wishes_and_likes_are_apart_and_bounded() -> None:
    """The newest two of each kind stay; one that is taken back is gone, also if the wish arrives after it."""
    changes = [
        Collected(WISH, "s1", AT),
        Collected(WISH, "s2", AT + HOUR),
        Collected(WISH, "s3", AT + 2 * HOUR),
        Collected(LIKE, "s1", AT),
    ]
    collected: tuple[Collected, ...] = ()
    for change in changes:
        collected = merge_collected(collected, change, 2)
    traits = Traits(collected=collected)
    assert (traits.skus(WISH), traits.skus(LIKE)) == (("s3", "s2"), ("s1",))
    for order in permutations([Collected(WISH, "s9", AT), Collected(WISH, "s9", AT, is_kept=False)]):
        collected = ()
        for change in order:
            collected = merge_collected(collected, change, 2)
        assert Traits(collected=collected).skus(WISH) == ()
