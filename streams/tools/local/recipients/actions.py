"""The actions of recipients that the gateway accepted, as the recipients remember them. `comparison` looks for their records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct


class Action(Struct, frozen=True):
    """One thing that a recipient did.

    Attributes:
        kind: such as `opened`; the keys of `comparison.EFFECTS`.
        token: of the link.
        began_at, ended_at: when the request was sent and answered, UTC.
        fields: what the form sent, by name.
        agent: the class of the client, of opens and clicks.
    """

    kind: str
    token: str
    began_at: datetime
    ended_at: datetime
    fields: Mapping[str, str] = {}
    agent: str = "human"


class Actions:
    """The actions so far, and the requests that failed.

    Attributes:
        accepted: what the gateway answered with success, in order.
        scanned: number of links that mail scanners have followed.
        refused: answers that no customer should get, such as `404 on /r/`, with their number.
        unanswered: number of requests without an answer. Their actions may have happened.
    """

    def __init__(self) -> None:
        self.accepted: list[Action] = []
        self.scanned = 0
        self.refused: Counter[str] = Counter()
        self.unanswered = 0

    @property
    def forms(self) -> int:
        """The number of forms that were accepted, and of unsubscriptions by one click."""
        return sum(action.kind not in ("opened", "clicked") for action in self.accepted)

    def by_kind(self) -> dict[str, int]:
        """Return how often each kind of action was accepted, the most frequent first."""
        return dict(Counter(action.kind for action in self.accepted).most_common())
