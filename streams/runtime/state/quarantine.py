"""Damaged stores: recognize them, note them, and move them away, so that the next start restores the state from its changelog.

The process that meets the damage leaves a note beside the directory of the store, and ends. The next one moves the directory to
`<directory>.corrupt-<time>` before it opens the store. The damaged files stay for an inspection; only the newest are kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

#: The number of damaged copies that are kept per partition.
KEPT = 2
#: Seconds within which `KEPT` restores must have been enough. More of them mean that the program or the disk is at fault, and that another
#: restore only costs time.
REPEAT_S = 3600.0
#: RocksDB's words for errors that do not mean damaged files: a full disk or quota, the limits of the process, rights, and a lock.
ENVIRONMENT = (
    "no space left", "quota exceeded", "too many open files", "cannot allocate memory", "permission denied", "read-only file system",
    "lock hold by", "while lock file", "no locks available", "resource temporarily unavailable",
)  # fmt: skip


def is_damage(error: BaseException) -> bool:
    """Return whether an error of RocksDB means that files are damaged, missing or unreadable. A restore repairs that."""
    text = str(error).lower()
    return text.startswith(("corruption", "io error")) and not any(words in text for words in ENVIRONMENT)


def mark_damaged(path: Path, reason: str) -> None:
    """Note that the store in the directory `path` is damaged. If the disk takes no note, the store stays in use, and this is logged."""
    log.critical("the state is damaged, it will be restored at the next start", at=str(path), reason=reason)
    try:
        _note(path).write_text(f"{reason}\n")
    except OSError as error:
        log.error("cannot note that the state is damaged", at=str(path), error=error)


def unmark(path: Path) -> None:
    """Delete the note, if there is one."""
    _note(path).unlink(missing_ok=True)


def quarantine_marked(path: Path) -> Path | None:
    """Move the store in the directory `path` away if it is noted as damaged.

    Returns:
        The new directory; None if the store is not noted, is used by another process, or was restored `KEPT` times within `REPEAT_S`.
    """
    note = _note(path)
    if not note.exists() or _is_in_use(path):
        return None
    recent = [copy for copy in _copies(path) if time.time() - _time_of(copy) < REPEAT_S]
    if len(recent) >= KEPT:
        log.error(
            "the state is damaged again and not restored: check the disk, then this program's log for the error that repeats",
            at=str(path),
            count=len(recent),
        )
        note.unlink(missing_ok=True)
        return None
    return quarantine(path)


def quarantine(path: Path) -> Path:
    """Move the closed store in the directory `path` away, delete the oldest copies and the note, and return the new directory.

    Raises:
        OSError: the directory cannot be renamed.
    """
    note = _note(path)
    with contextlib.suppress(OSError):
        shutil.copy(note, path / "DAMAGED")
    moved = path.with_name(f"{path.name}.corrupt-{time.time_ns() // 1_000_000}")
    if path.exists():
        path.rename(moved)
    note.unlink(missing_ok=True)
    log.error("the damaged state was moved away, it is restored from Kafka", at=str(path), store=str(moved))
    for old in _copies(path)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    if moved.exists() and shutil.disk_usage(moved).free < _size(moved):
        # The restored state needs as much space again.
        shutil.rmtree(moved, ignore_errors=True)
    return moved


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.corrupt")


def _copies(path: Path) -> list[Path]:
    """Return the damaged copies of a store, the oldest first."""
    return sorted(path.parent.glob(f"{path.name}.corrupt-*"), key=_time_of)


def _time_of(copy: Path) -> float:
    """Return when a copy was moved away, in seconds since 1970; 0 if its name has no time."""
    digits = copy.name.rpartition("-")[2]
    return int(digits) / 1000 if digits.isdecimal() else 0.0


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _is_in_use(path: Path) -> bool:
    """Return whether another process holds RocksDB's lock of the directory."""
    try:
        handle = os.open(path / "LOCK", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(handle)
