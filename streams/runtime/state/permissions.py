"""The rights of the state's folders: they contain addresses and orders in clear text, so only the process's own user may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from streams.runtime.errors import StoreError

#: New files get 0600 and new folders 0700.
UMASK = 0o077
_NOT_OWNER = stat.S_IRWXG | stat.S_IRWXO


def make_private(folder: Path) -> list[Path]:
    """Make `folder` one that only this user can read, and set the umask of the process. Its parent is TAKK_STATE_DIR.

    Folders that Takk made with wider rights are closed, with all their files.

    Returns:
        The folders that were closed.

    Raises:
        StoreError: others can read a folder that Takk did not make, or replace the state. The message has the command that mends it.
        OSError: a folder cannot be made or changed.
    """
    os.umask(UMASK)
    closed = []
    if folder.parent.exists() and _close_parent(folder.parent):
        closed.append(folder.parent)
    folder.mkdir(parents=True, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise StoreError(
            f"{folder} belongs to another user, who can read the state: chown -R {os.geteuid()} {folder} && chmod -R go= {folder}"
        )
    if close_folder(folder):
        closed.append(folder)
    return closed


def close_folder(folder: Path) -> bool:
    """Take the rights of the group and of others from a folder of this user and from everything in it. Return whether that was needed."""
    status = folder.stat()
    if status.st_uid != os.geteuid() or not status.st_mode & _NOT_OWNER:
        return False
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            entry = Path(path, name)
            if not entry.is_symlink():
                entry.chmod(stat.S_IMODE(entry.lstat().st_mode) & ~_NOT_OWNER)
    # The folder itself is the last: a process that dies before starts again.
    folder.chmod(stat.S_IMODE(status.st_mode) & ~_NOT_OWNER)
    return True


def _close_parent(state_dir: Path) -> bool:
    """Return whether the rights of TAKK_STATE_DIR itself had to be changed."""
    status = state_dir.stat()
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        raise StoreError(f"all users can replace the state in TAKK_STATE_DIR: chmod o-w {state_dir}")
    # A volume of Kubernetes belongs to root and is readable. The state is in a folder below it, which belongs to this user.
    if status.st_uid != os.geteuid() or not status.st_mode & stat.S_IRWXO:
        return False
    # Takk made it, or it has been in use for long: it contains the tables of a role.
    if not any((entry / "v1" / "tables").is_dir() for entry in state_dir.iterdir()):
        raise StoreError(
            f"all users can read TAKK_STATE_DIR, which will contain addresses of customers: chmod 700 {state_dir}"
        )
    state_dir.chmod(stat.S_IMODE(status.st_mode) & ~stat.S_IRWXO)
    return True
