"""The shop's sending rules: how many emails a customer gets, when, and when none. `definitions/language/rules.py` reads them from YAML."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Literal, TypeAlias

from msgspec import Struct

HistoryState: TypeAlias = Literal["unknown", "partial", "complete"]
#: The transactional emails that one address gets per day, by default. A person has a few orders a day, with two or three emails each.
TRANSACTIONAL_PER_ADDRESS = 20


class Cap(Struct, frozen=True, kw_only=True):
    """A frequency cap: at most `most` emails in any period of length `per`.

    `purposes` are the purposes that count; empty means all that are not transactional.
    """

    most: int
    per: timedelta
    purposes: tuple[str, ...] = ()

    def covers(self, purpose: str) -> bool:
        """Return whether an email of `purpose` counts. The caller excludes transactional emails."""
        return purpose in self.purposes if self.purposes else True


class QuietHours(Struct, frozen=True, kw_only=True):
    """Times without emails, on the customer's clock.

    Attributes:
        begins, ends: no emails from `begins` to `ends`, which may span midnight.
        days: weekdays without emails (Monday = 0).
        holidays: whether public holidays of the customer's country are without emails too.
    """

    begins: time
    ends: time
    days: frozenset[int] = frozenset()
    holidays: bool = False


class SendingRules(Struct, frozen=True, kw_only=True):
    """The rules for every email that is not transactional, and what is known of all customers.

    Attributes:
        caps: the frequency caps.
        quiet: the quiet hours, if any.
        holdout: percent of the customers who get none of these emails.
        pause_if_late: no emails while an order is late.
        pause_after_refund: no emails for this long after an order was refunded.
        pause_series: no emails while one of these series of other systems is running, for example a complaint that is being handled.
        external_series: the series of other systems that flows may name in `not_with`.
        history: how much Takk knows of the orders of customers of whom the shop has not said it: `complete` if it has every order
            since the shop opened.
    """

    caps: tuple[Cap, ...] = ()
    quiet: QuietHours | None = None
    holdout: int = 0
    pause_if_late: bool = False
    pause_after_refund: timedelta = timedelta()
    pause_series: tuple[str, ...] = ()
    external_series: tuple[str, ...] = ()
    history: HistoryState = "unknown"


NO_RULES = SendingRules()
