"""The templates of a process: a copy that no edit changes, and that is deleted with its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from streams.agents.process_templates import ProcessTemplates, new_home, open_templates
from streams.definitions.layers import read_snapshot
from streams.settings import load_settings
from tests.harness.small_templates import FLOW, write_folder

HELD = """
import sys
from pathlib import Path
from streams.agents.process_templates import new_home
print(new_home(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


def test_an_edit_does_not_change_the_copy(tmp_path: Path) -> None:
    """The copy has the content of its version, whatever is edited; another version is another copy, and older ones are deleted."""
    root, home = write_folder(tmp_path / "shop"), tmp_path / "home"
    templates = ProcessTemplates(root, home)
    path = FLOW + "/copy/en.yaml"
    before = (templates.layers.path / path).read_bytes()
    versions, copies = [templates.version], [templates.layers.path]
    for number in range(3):
        (root / path).write_text(f"hi.subject: {number}\n")
        assert number or (copies[0] / path).read_bytes() == before
        snapshot = read_snapshot(root)
        layers = templates.write(snapshot)
        templates.use(snapshot.version, layers)
        versions.append(templates.version)
        copies.append(templates.layers.path)
    assert len(set(versions)) == 4
    assert [copy.exists() for copy in copies] == [False, False, True, True]


def test_without_a_folder(tmp_path: Path) -> None:
    """A missing folder is not copied: the loader reports it."""
    templates = open_templates(load_settings(templates_dir=tmp_path / "none", state_dir=tmp_path / "state"), "flows")
    assert (templates.version, templates.layers.path) == ("", tmp_path / "none")


def test_the_homes_of_ended_processes_are_deleted(tmp_path: Path) -> None:
    """A home stays while its process runs, and the next start deletes it after kill -9."""
    arguments = [sys.executable, "-c", HELD, str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        home = Path(other.stdout.readline().strip())
        (home / "flows").mkdir()
        own = new_home(tmp_path)
        assert home.is_dir()
        other.kill()
        other.wait()
        latest = new_home(tmp_path)
    assert not home.exists()
    assert own.is_dir()
    assert latest.is_dir()


def test_an_unusable_state_folder(tmp_path: Path) -> None:
    """A state folder that is a file ends the start with the reason."""
    (tmp_path / "state").write_text("")
    with pytest.raises(SystemExit, match="cannot start"):
        open_templates(load_settings(templates_dir=tmp_path, state_dir=tmp_path / "state"), "flows")
