"""`takk templates publish`: the folders that it refuses before it asks Kafka."""

from __future__ import annotations

from pathlib import Path

from tests.unit.tools.cli.runner import run, write_flow


def test_a_folder_that_is_too_large_is_not_published(tmp_path: Path) -> None:
    """The file is named with what to do, before anything is read or sent. `flows check` reports it too."""
    write_flow(tmp_path, "live")
    (tmp_path / "shared").mkdir(exist_ok=True)
    with (tmp_path / "shared" / "film.mp4").open("wb") as file:
        file.truncate(50_000_000)
    for command in (("templates", "publish", str(tmp_path)), ("flows", "check", "--templates", str(tmp_path))):
        code, output = run(*command)
        assert code == 1
        assert f"{tmp_path}/shared/film.mp4:1:1: error files.E012: the file has 50,000,000 bytes" in output
        assert "server of your shop" in output
    assert "nothing was published" in run("templates", "publish", str(tmp_path))[1]
