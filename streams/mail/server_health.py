"""Whether trouble with the mail server is that of one email, or of all. Pure.

Trouble that comes with one email and not with its neighbours concerns that email: its recipient is deferred, its text breaks a filter, the
server closes the connection for it. That email waits for its retry, and the others are sent. The server itself is in trouble if no connection
can be opened, or if different emails in a row meet trouble and none gets through.
"""

from __future__ import annotations

#: Different emails that meet trouble in a row before the server counts as unavailable. Two may be a coincidence: one batch holds many
#: emails of one shop, and their recipients share providers.
IN_A_ROW = 3
#: Different recipients that are refused in a row, without one that is accepted, before a refusal counts as one of the sender. A list of old
#: addresses may have several, but customers who have just ordered rarely have two.
REFUSED_IN_A_ROW = 5
TRANSACTIONAL_REFUSED_IN_A_ROW = 2
#: Seconds between two attempts while the server is down. They are short at first, since most outages are restarts.
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
#: Attempts of an email that meets trouble alone, before it waits for its retry.
TRIES_ALONE = 2


class ServerHealth:
    """The outcomes of the newest attempts of a process.

    Attributes:
        worked: how many emails the server has answered as it answers a working sender. It only grows.
        accepted: how many emails it has accepted. It only grows.
    """

    def __init__(self) -> None:
        self.worked = self.accepted = 0
        self._troubled: set[str] = set()
        self._refused: set[str] = set()

    def note_accepted(self) -> None:
        """Note that the server accepted an email."""
        self.accepted += 1
        self._refused.clear()
        self.note_answered()

    def note_answered(self) -> None:
        """Note that the server accepted or refused an email for reasons of that email."""
        self.worked += 1
        self._troubled.clear()

    def note_trouble(self, send_id: str) -> None:
        """Note that an email met trouble that may be its own."""
        if len(self._troubled) < IN_A_ROW:
            self._troubled.add(send_id)

    @property
    def is_down(self) -> bool:
        """Whether different emails in a row met trouble."""
        return len(self._troubled) >= IN_A_ROW

    def note_refused(self, address: str) -> None:
        """Note a permanent refusal of `address`."""
        if len(self._refused) < REFUSED_IN_A_ROW:
            self._refused.add(address)

    def refuses_all(self, is_transactional: bool) -> bool:
        """Return whether different recipients in a row were refused, and none accepted: more of them if the email is not transactional."""
        return len(self._refused) >= (TRANSACTIONAL_REFUSED_IN_A_ROW if is_transactional else REFUSED_IN_A_ROW)
