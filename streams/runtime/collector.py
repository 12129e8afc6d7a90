"""The garbage collector of a process that works on records."""

from __future__ import annotations

import gc

#: New objects until the collector looks at them, and collections of one generation until the next older one is collected, too. A batch, an
#: email and a request create thousands of objects that soon end.
THRESHOLDS = (50_000, 20, 20)


def tune_collector() -> None:
    """Let the garbage collector run less often, and leave all objects out that exist now. Call it once everything is loaded."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
