"""The number of examples of a property test: all of them in `make test-all`, a quarter in `make test`."""

from __future__ import annotations

import os

#: Set to 1 by `make test-all`.
ALL = "TAKK_ALL_EXAMPLES"
#: With fewer examples Hypothesis hardly leaves the simplest values.
LEAST = 15


def examples(count: int) -> int:
    """Return how many of `count` examples a test tries in this run."""
    return count if os.environ.get(ALL) else max(count // 4, min(count, LEAST))


def every(step: int) -> int:
    """Return the step through a list of which a test tries each `step`th entry in `make test-all`."""
    return step if os.environ.get(ALL) else 4 * step
