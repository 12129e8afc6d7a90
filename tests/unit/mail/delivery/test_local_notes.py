"""The notes of a disk: how far a send came, believed only by the disk that wrote them."""

from __future__ import annotations

import pytest

from streams.mail.delivery.local_notes import Notes
from tests.unit.mail.test_mailer import Paper


@pytest.fixture
def pad() -> Paper:
    return Paper([])


def test_how_far_a_send_came(pad: Paper) -> None:
    """Not begun, begun, accepted with the server's name, and forgotten again."""
    notes = Notes(pad, "a")
    assert notes.trace("s1", "a") == "none"
    notes.begin("s1")
    assert notes.trace("s1", "a") == "begun"
    notes.accept("s1", "Q7")
    assert (notes.trace("s1", "a"), notes.queue_id("s1")) == ("accepted", "Q7")
    notes.accept("s2", None)
    assert (notes.trace("s2", "a"), notes.queue_id("s2")) == ("accepted", None)
    notes.forget("s1")
    assert (notes.trace("s1", "a"), notes.queue_id("s1")) == ("none", None)


def test_a_restart_keeps_the_name_and_the_notes(pad: Paper) -> None:
    """The disk has its name for life, whatever a later process would call it."""
    Notes(pad, "a").begin("s1")
    again = Notes(pad, "b")
    assert again.disk == "a"
    assert again.trace("s1", "a") == "begun"


def test_what_another_disk_noted_is_in_doubt(pad: Paper) -> None:
    """A send that another worker had in flight may have left, however clean this disk is; so may one of an unknown disk."""
    notes = Notes(pad, "a")
    assert notes.trace("s1", "b") == "begun"
    assert notes.trace("s1", None) == "begun"
