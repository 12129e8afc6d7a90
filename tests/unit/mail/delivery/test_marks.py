"""The delivery marks of a disk, which count only on the disk that wrote them."""

from __future__ import annotations

import pytest

from streams.mail.delivery.marks import DeliveryMarks
from tests.unit.mail.test_mailer import InMemoryStore


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore([])


def test_crash_states(store: InMemoryStore) -> None:
    """A send is unmarked, begun, accepted with the server's id, and cleared."""
    marks = DeliveryMarks(store, "a")
    assert marks.crash_state("s1", "a") == "none"
    marks.mark_begun("s1")
    assert marks.crash_state("s1", "a") == "begun"
    marks.mark_accepted("s1", "Q7")
    assert (marks.crash_state("s1", "a"), marks.queue_id("s1")) == ("accepted", "Q7")
    marks.mark_accepted("s2", None)
    assert (marks.crash_state("s2", "a"), marks.queue_id("s2")) == ("accepted", None)
    marks.clear("s1")
    assert (marks.crash_state("s1", "a"), marks.queue_id("s1")) == ("none", None)


def test_a_restart_keeps_the_name_and_the_marks(store: InMemoryStore) -> None:
    """A disk keeps its first name and its marks in later processes."""
    DeliveryMarks(store, "a").mark_begun("s1")
    is_resend = DeliveryMarks(store, "b")
    assert is_resend.disk == "a"
    assert is_resend.crash_state("s1", "a") == "begun"


def test_sends_of_another_disk_are_in_doubt(store: InMemoryStore) -> None:
    """A send that another or an unknown disk had in flight may have left, whatever this disk has."""
    marks = DeliveryMarks(store, "a")
    assert marks.crash_state("s1", "b") == "begun"
    assert marks.crash_state("s1", None) == "begun"
