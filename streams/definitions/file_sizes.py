"""The sizes of the files of a templates folder."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from streams.definitions.layers import paths_of
from streams.definitions.problems import Problem, unreadable

#: Bytes of a file, and of all files together. Every process reads the folder as a whole, each second while it waits for a version, and keeps
#: two copies. Takk's own folder has about 1 MB, and its largest file 12 kB. Emails carry a logo at most; other pictures are on a server.
MOST_BYTES, MOST_BYTES_IN_ALL = 1_000_000, 20_000_000
#: Files. Takk's own folder has about 650. Links between folders can make millions.
MOST_FILES = 10_000
#: The largest files that a problem of all files names.
_NAMED = 3
_HINT = "remove it, or move it to the server of your shop and link to it"


def check_file_sizes(root: Path) -> list[Problem]:
    """Return the problems of files that are too large. No file is read.

    Args:
        root: the templates folder of the shop.
    """
    try:
        sizes = {path: path.stat().st_size for _, path in islice(paths_of(root), MOST_FILES + 1)}
    except OSError as error:
        return [unreadable(Path(error.filename or root), error)]
    if len(sizes) > MOST_FILES:
        message = f"the folder has more than {MOST_FILES:,} files"
        return [
            Problem("files.E012", message, "remove files that no email needs, and links between folders").in_file(root)
        ]
    problems = [
        Problem("files.E012", f"the file has {size:,} bytes, and at most {MOST_BYTES:,} are allowed", _HINT).in_file(
            path
        )
        for path, size in sizes.items()
        if size > MOST_BYTES
    ]
    if (size := sum(sizes.values())) > MOST_BYTES_IN_ALL:
        largest = sorted(sizes, key=lambda path: sizes[path], reverse=True)[:_NAMED]
        names = ", ".join([path.relative_to(root).as_posix() for path in largest])
        message = (
            f"all files have {size:,} bytes, and at most {MOST_BYTES_IN_ALL:,} are allowed; the largest are {names}"
        )
        problems.append(Problem("files.E012", message, "remove files that no email needs").in_file(largest[0]))
    return problems
