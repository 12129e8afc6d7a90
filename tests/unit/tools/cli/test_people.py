"""`takk export`, `takk forget` and `takk requests`: private files, no erasure by accident, and what customers wait for."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streams.settings import Settings
from streams.tools.cli.people import write_private
from streams.tools.operations.customer_erasure import Known
from streams.tools.operations.customer_requests import OpenRequest
from tests.unit.tools.cli.runner import run

EXPORT = {
    "customer_id": "c1",
    "state": None,
    "timers": [],
    "sends": {},
    "records": {"orders": [{"name": "Åse"}]},
    "dead_letters": [],
}
OPERATIONS = "streams.tools.operations"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A cluster with the customer c1; the list has the customers that are erased."""
    erased: list[str] = []

    def look_up(settings: Settings, customers: tuple[str, ...], on_progress: Any) -> list[Known]:
        known = Known(customer_id="c1", is_known=True, orders=2, waiting=1, unsent=1, refusals=("review",))
        return [known if each == "c1" else Known(customer_id=each, is_known=False) for each in customers]

    monkeypatch.setattr(f"{OPERATIONS}.doctor.broker", lambda settings: "")
    monkeypatch.setattr(f"{OPERATIONS}.customer_erasure.look_up", look_up)
    monkeypatch.setattr(f"{OPERATIONS}.customer_erasure.forget", lambda settings, customers: erased.extend(customers))
    monkeypatch.setattr(
        f"{OPERATIONS}.customer_export.read_export", lambda settings, customer, now, on_progress: EXPORT
    )
    return erased


def test_a_dry_run_erases_nothing(published: list[str]) -> None:
    """It shows what the state has of each customer, without personal data."""
    code, output = run("forget", "c1", "c2", "--dry-run")
    assert (code, published) == (0, [])
    assert "c1: 2 orders, 1 flow waiting, 1 unsent; stays: unsubscribed from review" in output
    assert "c2: no state" in output
    assert "2 customers would be erased." in output


def test_an_erasure_needs_a_confirmation(published: list[str]) -> None:
    """Without an answer nothing is erased; with --yes all named customers are, known or not."""
    code, _ = run("forget", "c1")
    assert (code, published) == (1, [])
    code, output = run("forget", "c1", "c2", "--yes")
    assert (code, published) == (0, ["c1", "c2"])
    assert "RETENTION.md" in output


def test_an_invalid_id_erases_nobody(published: list[str]) -> None:
    """An id that no customer can have is refused, with the others of the same call."""
    code, output = run("forget", "c1", "x" * 201, "--yes")
    assert (code, published) == (1, [])
    assert "Nothing was published." in output


def test_an_export_is_printed_or_written_privately(published: list[str], tmp_path: Path) -> None:
    """The output is JSON; the file belongs to its owner alone, also if it existed with other rights."""
    code, output = run("export", "c1")
    assert (code, json.loads(output)) == (0, EXPORT)
    file = tmp_path / "c1.json"
    file.write_text("x" * 10_000)
    file.chmod(0o644)
    code, output = run("export", "c1", "--out", str(file))
    assert (code, json.loads(file.read_text(encoding="utf-8"))) == (0, EXPORT)
    assert "Åse" not in output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_new_file_is_private(tmp_path: Path) -> None:
    """A new file is never readable by others, whatever the umask is."""
    write_private(tmp_path / "new", "text")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_an_erasure_is_of_a_person(published: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever id of a merged customer is named, all of them are erased, and the output lists them."""

    def look_up(settings: Settings, customers: tuple[str, ...], on_progress: Any) -> list[Known]:
        alias = Known(customer_id="guest-1", is_known=True, merged_into="c1")
        return [alias, Known(customer_id="c1", is_known=True, orders=2)]

    monkeypatch.setattr(f"{OPERATIONS}.customer_erasure.look_up", look_up)
    code, output = run("forget", "guest-1", "--yes")
    assert (code, published) == (0, ["guest-1", "c1"])
    assert "guest-1: an alias of c1" in output


def test_requests_are_listed_and_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open requests are listed with their ids; only open ones are marked as done, and none if one of several is not open."""
    marked: list[str] = []
    found = [
        OpenRequest(
            request_id=f"export-{number}",
            customer_id="c1",
            kind="export",
            confirmed_at=datetime(2026, 3, number, tzinfo=UTC),
        )
        for number in (1, 2)
    ]
    monkeypatch.setattr(f"{OPERATIONS}.doctor.broker", lambda settings: "")
    monkeypatch.setattr(f"{OPERATIONS}.customer_requests.read_requests", lambda settings, on_progress: found)
    monkeypatch.setattr(
        f"{OPERATIONS}.customer_requests.mark_done",
        lambda settings, requests, now: marked.extend(request.request_id for request in requests),
    )
    code, output = run("requests")
    assert (code, output.count("[export-"), "2 open." in output) == (0, 2, True)
    code, output = run("requests", "--done", "export-1", "--done", "export-9")
    assert (code, marked, "not open: export-9" in output) == (1, [], True)
    code, _ = run("requests", "--done", "export-2")
    assert (code, marked) == (0, ["export-2"])
