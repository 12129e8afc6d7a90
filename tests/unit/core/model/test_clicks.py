"""The judgement of clicks: a person or a scanner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streams.core.model.clicks import HeldClick, kept, link_fingerprint, scanner_clicks

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DUE = START + timedelta(hours=1)


def click(link: str, seconds: float, *, is_judged: bool = False, agent: str = "human") -> HeldClick:
    """Return a click on a link, some seconds after the start."""
    at = START + timedelta(seconds=seconds)
    fingerprint = link_fingerprint(link)
    return HeldClick("s1", fingerprint, at, agent) if is_judged else HeldClick("s1", fingerprint, at, agent, link, DUE)


@pytest.mark.parametrize(
    ("clicks", "scanned"),
    [
        ([], ""),
        ([("a", 0)], ""),
        ([("a", 0), ("a", 0.1), ("a", 0.2), ("a", 3)], ""),
        ([("a", 0), ("b", 1)], "ab"),
        ([("a", 0), ("b", 1.001)], ""),
        ([("a", 0), ("b", 2), ("c", 10)], "abc"),
        ([("a", 0), ("b", 2), ("c", 10.001)], ""),
        ([("a", 0), ("b", 8), ("c", 16), ("d", 16.5)], "abcd"),
        ([("a", 0), ("b", 60), ("c", 60.5)], "bc"),
        ([("a", 0), ("b", 60), ("c", 120)], ""),
    ],
)
def test_several_links(clicks: list[tuple[str, float]], scanned: str) -> None:
    """Two links within a second, or three within ten, are a scanner's, and so is all that was clicked just before and after."""
    found = {each: each for each in scanner_clicks([click(link, at) for link, at in clicks], ())}
    assert "".join(sorted(each.link for each in found)) == scanned


@pytest.mark.parametrize(("seconds", "is_scanner"), [(0, True), (1.4, True), (-1.4, True), (1.5, False), (-1.5, False)])
def test_a_click_that_is_too_soon(seconds: float, is_scanner: bool) -> None:
    """Nobody clicks in the moment in which the email arrives."""
    assert bool(scanner_clicks([click("a", seconds)], (START - timedelta(days=1), START))) is is_scanner


def test_clicks_that_were_judged_before() -> None:
    """A late click belongs to the scanner that clicked within ten seconds, and counts with the earlier clicks of a person."""
    assert scanner_clicks([click("a", 0, is_judged=True, agent="scanner"), late := click("b", 9)], ()) >= {late}
    assert not scanner_clicks([click("a", 0, is_judged=True, agent="scanner"), late := click("b", 11)], ()) & {late}
    assert not scanner_clicks([click("a", 0, is_judged=True), click("b", 9)], ())
    assert scanner_clicks([click("a", 0, is_judged=True), click("b", 2), click("c", 9)], ())


def test_room_for_clicks() -> None:
    """The oldest judged clicks are dropped, and no held one."""
    judged, held = [click(str(n), n, is_judged=True) for n in range(6)], [click(str(n), n) for n in range(3)]
    assert kept([*held, *judged, *held], 5) == (*judged[-2:], *held)
    assert kept([*held, *judged], 2) == tuple(held)
    assert kept(held[:1], 2) == tuple(held[:1])
    assert kept([], 2) == ()
