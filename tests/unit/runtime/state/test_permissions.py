"""The rights of the state's folders: other users can read nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.runtime.errors import StoreError
from streams.runtime.state.permissions import make_private
from streams.runtime.state.store import Memory, PartitionStore


@pytest.fixture(autouse=True)
def _wide_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def readable(folder: Path) -> list[str]:
    """Return what the group or others can read, write or search, below a folder and itself."""
    paths = [folder, *folder.rglob("*")]
    return [str(path) for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]


def old_state(state_dir: Path) -> Path:
    """Make a folder as earlier versions did, with a store in it."""
    store = PartitionStore(state_dir / "flows" / "v1" / "tables" / "customers" / "0", Memory(16))
    store.write({b"anna": b"anna@example.org"}, 1)
    store.close()
    return state_dir / "flows"


def test_a_new_folder(tmp_path: Path) -> None:
    """Folders of a new state, and the files of its stores, belong to this user alone."""
    folder = tmp_path / "new" / "state" / "flows"
    assert not make_private(folder)
    old_state(folder.parent)
    assert readable(tmp_path / "new") == []
    assert (folder.parent / "flows/v1/tables/customers/0/CURRENT").exists()


def test_a_folder_that_takk_made_is_closed(tmp_path: Path) -> None:
    """Folders and files of earlier versions are closed at the next start. A second start has nothing to do, and the state is complete."""
    folder = old_state(tmp_path / "state")
    assert len(readable(tmp_path / "state")) > 5
    assert make_private(folder)
    assert readable(folder) == []
    assert not make_private(folder)
    store = PartitionStore(folder / "v1" / "tables" / "customers" / "0", Memory(16))
    assert store.get(b"anna") == b"anna@example.org"


def test_a_role_folder_alone_is_closed(tmp_path: Path) -> None:
    """A private parent does not keep the folder below it open."""
    folder = old_state(tmp_path / "state")
    folder.parent.chmod(0o700)
    assert make_private(folder)
    assert readable(folder) == []


@pytest.mark.parametrize("mode", [0o755, 0o705, 0o701, 0o775])
def test_a_readable_parent_keeps_its_rights(tmp_path: Path, mode: int) -> None:
    """The parent may be readable, as a volume of Kubernetes; the folder of the state in it is private."""
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    state_dir.chmod(mode)
    assert not make_private(state_dir / "flows")
    assert stat.S_IMODE(state_dir.stat().st_mode) == mode
    assert readable(state_dir / "flows") == []


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    """In such a folder another user could put other state into the place of ours, also if it is Takk's."""
    folder = old_state(tmp_path / "state")
    folder.parent.chmod(0o777)
    with pytest.raises(StoreError, match="chmod o-w"):
        make_private(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_folders_of_other_users(tmp_path: Path) -> None:
    """The volume may belong to another user, as in Kubernetes; the folder of the state may not."""
    state_dir = tmp_path / "volume"
    state_dir.mkdir()
    os.chown(state_dir, 12345, -1)
    assert not make_private(state_dir / "flows")
    assert readable(state_dir / "flows") == []
    os.chown(state_dir / "flows", 12345, -1)
    with pytest.raises(StoreError, match="chown -R 0 "):
        make_private(state_dir / "flows")


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Closing a folder changes nothing outside of it."""
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o644)
    folder = old_state(tmp_path / "state")
    (folder / "link").symlink_to(outside)
    make_private(folder)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644
