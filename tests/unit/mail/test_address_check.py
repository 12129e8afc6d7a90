"""The check of addresses in one mailer: what is published, and what it sends itself."""

from __future__ import annotations

from datetime import timedelta

from streams.core.model.address_state import Suppression
from streams.core.rules.sending_rules import Cap
from streams.core.sending.address_limits import AddressRules
from streams.core.values.addresses import address_hash, address_key
from streams.mail import address_check
from streams.mail.address_check import AddressCheck
from streams.mail.command import Command
from tests.harness.commands import NOW, command

KEY = address_key(b"a secret of the tests, long enough")
DAY = timedelta(days=1)
RULES = AddressRules((Cap(most=2, per=DAY),), transactional=3)


async def check(published: dict[bytes, Suppression] | None = None) -> AddressCheck:
    """Return a check that has read what is published."""

    async def fetch() -> dict[bytes, Suppression]:
        return published if published is not None else {}

    made = AddressCheck(KEY, RULES, fetch)
    await made.refresh()
    return made


def email(number: int, purpose: str = "order", **changes: object) -> Command:
    """Return the command of an email to an address in one of two spellings."""
    address = "anna@post.example" if number % 2 else "ANNA@Post.Example"
    return command(**{"send_id": f"s{number}", "purpose": purpose, "to_address": address, "context": {}, **changes})


def rules(checked: AddressCheck, *commands: Command) -> list[str | None]:
    """Return the rule about each email; those without one are sent."""
    found: list[str | None] = []
    for each in commands:
        forbidden = checked.begin(each)
        found.append(forbidden[0] if forbidden else None)
        if forbidden is None:
            checked.settle(each, is_sent=True)
    return found


async def test_a_burst_to_one_address_is_bounded() -> None:
    """A mailer counts what it sends itself, before anything is published: 200 orders at once give no 200 emails."""
    checked = await check()
    assert rules(checked, *map(email, range(200))) == [None] * 3 + ["address_limit"] * 197
    assert rules(checked, *[email(n, "review") for n in range(200, 205)]) == [None] * 2 + ["address_cap"] * 3
    assert rules(checked, email(1000, commanded_at=NOW + DAY)) == [None]


async def test_emails_on_the_wire_count() -> None:
    """An email counts from its check on, so that two at the same time do not take the same place; one that was not sent leaves it."""
    checked = await check()
    first, second, third = (email(number, "review") for number in range(3))
    assert (checked.begin(first), checked.begin(second)) == (None, None)
    assert checked.begin(third) == ("address_cap", f"until {(NOW + DAY).isoformat()}")
    checked.settle(second, is_sent=False)
    assert checked.begin(third) is None


async def test_an_email_does_not_stand_in_its_own_way() -> None:
    """A second attempt of an email takes the place of the first."""
    checked = await check()
    assert rules(checked, *[email(0), email(0), email(0), email(0), email(1), email(2), email(3)]) == [None] * 6 + [
        "address_limit"
    ]


async def test_published_suppressions_hold_at_once() -> None:
    """A suppression that is published while a batch is sent holds for its next email; other addresses are not affected."""
    published: dict[bytes, Suppression] = {}
    checked = await check(published)
    assert rules(checked, email(0, "review")) == [None]
    published[address_hash(KEY, "anna@post.example")] = Suppression(
        (("marketing", "complained"),), (("review", NOW + DAY),), NOW + DAY
    )
    assert rules(checked, email(1, "marketing"), email(2, "review"), email(3), email(4, "survey")) == [
        "address_suppressed", "address_cap", "address_limit", None,
    ]  # fmt: skip
    assert rules(checked, email(5, "marketing", to_address="bo@post.example")) == [None]


async def test_the_memory_is_bounded() -> None:
    """Only the addresses that were used last are remembered; an address without an email takes no memory."""
    checked = await check({address_hash(KEY, "anna@post.example"): Suppression((("review", "unsubscribed"),))})
    rules(checked, email(1, "review"))
    assert checked._own == {}
    for number in range(address_check.REMEMBERED + 10):
        rules(checked, command(send_id=f"s{number}", to_address=f"c{number}@post.example", context={}))
    assert len(checked._own) == address_check.REMEMBERED
