"""Changes of the files in a folder, seen by their times and sizes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

#: The time of the last change in ns and the size in bytes of each file, by path.
Fingerprint: TypeAlias = dict[str, tuple[int, int]]


def fingerprint(root: Path) -> Fingerprint:
    """Return the fingerprint of the files below a folder. Hidden files and folders are left out: editors write some while they save."""
    found: Fingerprint = {}
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if not name.startswith((".", "__pycache__"))]
        for name in files:
            if name.startswith(".") or name.endswith("~"):
                continue
            path = os.path.join(folder, name)
            try:
                status = os.stat(path)
            except OSError:  # the file is gone, which the next look sees too
                continue
            found[path] = (status.st_mtime_ns, status.st_size)
    return found
