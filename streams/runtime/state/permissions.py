"""The rights of the state's folders: they contain addresses and orders in clear text, so only the process's own user may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from streams.runtime.errors import StoreError

#: New files get 0600 and new folders 0700.
UMASK = 0o077
_NOT_OWNER = stat.S_IRWXG | stat.S_IRWXO


def make_private(folder: Path) -> bool:
    """Make `folder` one that only this user can read, and set the umask of the process. Its parent is TAKK_STATE_DIR.

    A folder that an earlier version made with wider rights is closed, with all its files. TAKK_STATE_DIR itself may be readable: a volume
    of Kubernetes is, and the state is in the folder below it.

    Returns:
        Whether the folder had to be closed.

    Raises:
        StoreError: the folder belongs to another user, or others can replace it. The message has the command that mends it.
        OSError: a folder cannot be made or changed.
    """
    os.umask(UMASK)
    if folder.parent.exists():
        _refuse_writable(folder.parent)
    folder.mkdir(parents=True, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise StoreError(
            f"{folder} belongs to another user, who can read the state: chown -R {os.geteuid()} {folder} && chmod -R go= {folder}"
        )
    return close_folder(folder)


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


def _refuse_writable(state_dir: Path) -> None:
    """Raise StoreError if all users can replace the folders in `state_dir`."""
    mode = state_dir.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise StoreError(f"all users can replace the state in TAKK_STATE_DIR: chmod o-w {state_dir}")
