"""The templates of a process: a copy of the folder as it was at one moment, which no edit changes.

A process reads templates long after its start, and so does a renderer that is started again. Without a copy, it would mix the files of two
versions while somebody edits them.
"""

from __future__ import annotations

import fcntl
import shutil
import sys
import tempfile
from itertools import count
from pathlib import Path

from streams.definitions.layers import Layers, Snapshot, read_snapshot
from streams.runtime.errors import StoreError
from streams.runtime.state.permissions import make_private
from streams.settings import Settings

_PREFIX = "templates-"
_LOCK = ".templates.lock"
#: The copies that stay: the present one, and the one before, which renderers may still read while they end.
_KEPT = 2


class ProcessTemplates:
    """The copies of a templates folder that a process has made.

    Args:
        root: the templates folder.
        home: a folder of this process alone.

    Attributes:
        layers: the copy in use.
        version: its version; "" if there is no folder.

    Raises:
        OSError: the folder cannot be read, or the copy not be written.
    """

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self._home = home
        self._numbers = count(1)
        self._copies: list[Path] = []
        self.layers = Layers(path=root, shop=root)
        self.version = ""
        if root.is_dir():
            snapshot = read_snapshot(root)
            self.use(snapshot.version, self.write(snapshot))

    def write(self, snapshot: Snapshot) -> Layers:
        """Return a copy of the folder's content. It is not in use yet.

        Raises:
            OSError: it cannot be written. No part of it stays.
        """
        path = self._home / f"{snapshot.version}-{next(self._numbers)}"
        try:
            return snapshot.write(path)
        except OSError:
            self.drop(path)
            raise

    def use(self, version: str, layers: Layers) -> None:
        """Use a copy from now on, and delete the older ones."""
        self.layers, self.version = layers, version
        self._copies.append(layers.path)
        while len(self._copies) > _KEPT:
            self.drop(self._copies.pop(0))

    def drop(self, path: Path) -> None:
        """Delete a copy that is not in use."""
        shutil.rmtree(path, ignore_errors=True)


def open_templates(settings: Settings, role: str) -> ProcessTemplates:
    """Return the templates of a process, in its state folder.

    Args:
        settings: the settings.
        role: the name of the state folder: `flows`, `mailer` or `gateway`.

    Raises:
        SystemExit: the state folder or the templates folder cannot be used; the message says why.
    """
    folder = Path(settings.state_dir) / role
    try:
        make_private(folder)
        return ProcessTemplates(settings.templates_dir, new_home(folder))
    except StoreError as error:
        sys.exit(f"cannot start: {error}")
    except OSError as error:
        sys.exit(f"cannot start: cannot copy the templates ({error.filename}): {error.strerror}")


def new_home(folder: Path) -> Path:
    """Return a new folder below `folder` for this process, and remove those of processes that have ended.

    The lock of a folder ends with its process, however it ends. The lock of `folder` orders processes that start together.
    """
    with (folder / _LOCK).open("w") as all_homes:
        fcntl.flock(all_homes, fcntl.LOCK_EX)
        for home in folder.glob(f"{_PREFIX}*"):
            if _lock(home):
                shutil.rmtree(home, ignore_errors=True)
        home = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
        _lock(home, is_kept=True)
    return home


#: The locks of this process, which must not be closed.
_locks: list[object] = []


def _lock(home: Path, *, is_kept: bool = False) -> bool:
    """Return whether no process has the lock of a folder; with `is_kept`, this one has it until it ends."""
    with_lock = (home / _LOCK).open("w")
    try:
        fcntl.flock(with_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        with_lock.close()
        return False
    if is_kept:
        _locks.append(with_lock)
    else:
        with_lock.close()
    return True
