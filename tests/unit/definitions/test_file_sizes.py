"""The sizes of the files of a templates folder: what is too large, where, and what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streams.definitions.file_sizes import MOST_BYTES, MOST_BYTES_IN_ALL, check_file_sizes
from streams.definitions.layers import read_files
from tests.harness.commands import TEMPLATES


def _write(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def test_the_library_is_small() -> None:
    """Takk's own folder is far below the bounds."""
    assert check_file_sizes(TEMPLATES) == []
    assert sum(path.stat().st_size for path in TEMPLATES.rglob("*") if path.is_file()) < MOST_BYTES_IN_ALL / 5


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    """It is named, with its size and the bound. One more byte than allowed is too much. Files that no process reads do not count."""
    for name, size in (
        ("shared/film.mp4", MOST_BYTES + 1),
        ("shared/a.png", MOST_BYTES),
        ("tests/big.bin", 60_000_000),
    ):
        _write(tmp_path / name, size)
    (problem,) = check_file_sizes(tmp_path)
    assert str(problem).startswith(
        f"{tmp_path}/shared/film.mp4:1:1: error files.E012: the file has 1,000,001 bytes, and at most 1,000,000 are"
    )
    assert "server of your shop" in str(problem)


def test_many_files_that_are_too_large_together(tmp_path: Path) -> None:
    """The largest are named. Each alone is small enough."""
    for number in range(21):
        _write(tmp_path / f"shared/{number:02}.png", MOST_BYTES - number)
    (problem,) = check_file_sizes(tmp_path)
    assert problem.message == (
        "all files have 20,999,790 bytes, and at most 20,000,000 are allowed; the largest are shared/00.png, shared/01.png, shared/02.png"
    )
    assert problem.location.file == str(tmp_path / "shared/00.png")


def test_pipes_and_devices_are_not_read(tmp_path: Path) -> None:
    """They have no size and no end. A link that leads nowhere is an error."""
    _write(tmp_path / "shared/a.png", 10)
    os.mkfifo(tmp_path / "shared/pipe.css")
    (tmp_path / "shared/zero.css").symlink_to("/dev/zero")
    assert check_file_sizes(tmp_path) == []
    assert set(read_files(tmp_path)) == {"shared/a.png"}
    (tmp_path / "shared/gone.css").symlink_to(tmp_path / "nothing")
    (problem,) = check_file_sizes(tmp_path)
    assert problem.location.file == str(tmp_path / "shared/gone.css")


def test_folders_in_each_other(tmp_path: Path) -> None:
    """Too many are an error, and no traceback."""
    _write(tmp_path.joinpath(*["a"] * 30) / "b.css", 1)
    (problem,) = check_file_sizes(tmp_path)
    assert (problem.id, "more than 20 folders" in problem.message) == ("files.E003", True)


def test_links_between_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight folders that link to each other have a hundred thousand paths. The check counts to a bound."""
    monkeypatch.setattr("streams.definitions.file_sizes.MOST_FILES", 300)
    for one in range(8):
        _write(tmp_path / f"{one}/a.css", 1)
        for other in range(8):
            (tmp_path / f"{one}/{other}").symlink_to(tmp_path / f"{other}")
    (problem,) = check_file_sizes(tmp_path)
    assert problem.message == "the folder has more than 300 files"
