"""The shop's rules around every mail that is not owed: how many, when not, and for whom none. How they are written is in rules_file.py."""

from __future__ import annotations

from datetime import time, timedelta

from msgspec import Struct


class Cap(Struct, frozen=True, kw_only=True):
    """At most `most` mails in any period as long as `per`: of the `purposes`, or of all that are not transactional if there are none."""

    most: int
    per: timedelta
    purposes: tuple[str, ...] = ()

    def covers(self, purpose: str) -> bool:
        """Whether a mail of `purpose` counts."""
        return purpose in self.purposes if self.purposes else True


class QuietHours(Struct, frozen=True, kw_only=True):
    """From `begins` to `ends`, on the customer's clock, no mail is sent; on no weekday of `days` at all (Monday = 0), and, if wanted, on no
    public holiday of the customer's country."""

    begins: time
    ends: time
    days: frozenset[int] = frozenset()
    holidays: bool = False


class Rules(Struct, frozen=True, kw_only=True):
    """What holds for every mail but the transactional.

    `holdout` percent of the customers get none of them; `calm_if_late`: none while an order is late; `calm_after_refund`: none for so long
    after an order was refunded; `calm_series`: none while one of these series of other systems is running, for example of a complaint that is
    looked into. `outside` names the series of other systems that flows may keep clear of.
    """

    caps: tuple[Cap, ...] = ()
    quiet: QuietHours | None = None
    holdout: int = 0
    calm_if_late: bool = False
    calm_after_refund: timedelta = timedelta()
    calm_series: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()


NO_RULES = Rules()
