"""The mailer with a fake server: each command has one report, and its failure does not affect others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from structlog.testing import capture_logs

from streams.core.model.address_state import Suppression
from streams.core.offers.assortment import Assortment
from streams.core.offers.recommendations import request_for
from streams.core.sending.address_limits import AddressRules
from streams.core.values.addresses import address_hash
from streams.mail.command import Command
from streams.mail.delivery.ledger import Plan
from streams.mail.delivery.marks import BEGUN, DeliveryMarks
from streams.observability import metrics
from tests.harness import products
from tests.harness.commands import NOW, WRONG_INVOICE, command, example
from tests.harness.mailer_setup import ADDRESS_KEY, InMemoryStore, MailerSetup, mailer_setup
from tests.harness.smtp_server import DROP

LATER = NOW + timedelta(days=3)
#: The context of an email that needs two products to recommend.
FEW_PRODUCTS = {
    "context": example("order-confirmation") | {"recommend": request_for([products.order("o1", "x")], 3, 2)}
}


@pytest.fixture
async def setup() -> AsyncIterator[MailerSetup]:
    """A mailer whose server listens."""
    async with mailer_setup() as setup:
        yield setup


async def test_sent(setup: MailerSetup) -> None:
    """An accepted email is reported with the server's id, and was marked before its data left."""
    report = await setup.one()
    assert (report.outcome, report.queue_id, report.code, report.is_resend) == ("sent", "Q1", 250, False)
    assert (setup.marked, setup.server.accepted, setup.pauses) == (["s1"], ["s1"], [])


async def test_deferred_and_refused(setup: MailerSetup) -> None:
    """4xx is deferred with a time. 5xx is refused, and is a bounce only if the address was refused."""
    setup.server.answers["rcpt"] = ["450 4.2.0 greylisted", "550 5.1.1 no such user"]
    setup.server.answers["data"] = ["550 5.6.0 content not wanted"]
    deferred = await setup.one()
    assert (deferred.outcome, deferred.code) == ("deferred", 450)
    assert deferred.retry_at is not None
    assert NOW < deferred.retry_at < NOW + timedelta(minutes=2)
    hard, content = await setup.one(), await setup.one(to_address="bo@post.example", purpose="marketing")
    assert (hard.outcome, hard.is_hard, hard.is_bounce) == ("refused", True, True)
    assert (content.outcome, content.is_hard, content.is_bounce) == ("refused", False, False)
    assert content.text.startswith("policy: 550 5.6.0")


@pytest.mark.parametrize("phase", ["rcpt", "data"])
@pytest.mark.parametrize(
    "answer", ["550 5.7.26 no SPF", "554 5.7.1 Relay access denied", "504 5.5.2 <a>: Helo command rejected"]
)
async def test_a_refusal_of_the_sender_waits(setup: MailerSetup, phase: str, answer: str) -> None:
    """An email whose sender is refused waits for its retry, in any phase and for any purpose; it does not count as a bounce of the customer."""
    setup.server.answers[phase] = [answer]
    report = await setup.one(purpose="marketing")
    assert (report.outcome, report.rule, report.is_hard, report.is_bounce) == ("deferred", "refused_us", False, False)
    assert report.retry_at is not None
    assert (await setup.one()).outcome == "sent"


async def test_an_accepted_email_is_not_sent_again(setup: MailerSetup) -> None:
    """After a crash between the server's reply and the ledger, the email is reported as sent with the marked id."""
    setup.marks.mark_accepted("s1", "Q9")
    report = await setup.one("confirm", send_id="s1")
    assert (report.outcome, report.rule, report.queue_id, report.is_resend) == ("sent", "accepted", "Q9", False)
    assert setup.server.accepted == setup.marked == []


async def test_an_accepted_email_is_marked(setup: MailerSetup) -> None:
    """An accepted email is marked with the server's id."""
    await setup.one(send_id="s1")
    assert (setup.marks.crash_state("s1", setup.marks.disk), setup.marks.queue_id("s1")) == ("accepted", "Q1")


async def test_no_time_for_a_retry(setup: MailerSetup) -> None:
    """An email whose next attempt would be too late is refused now; it is not a hard bounce."""
    setup.server.answers["rcpt"] = ["450 4.2.0 later"]
    report = await setup.one(not_after=NOW + timedelta(seconds=5))
    assert (report.outcome, report.rule, report.is_hard) == ("refused", "gave_up", False)


@pytest.mark.parametrize(("plan", "outcome"), [("send", "expired"), ("expire", "expired"), ("resend", "unknown")])
async def test_late(setup: MailerSetup, plan: Plan, outcome: str) -> None:
    """A late email is not sent. Its outcome is expired, or unknown if it may have left."""
    setup.now = LATER
    assert (await setup.one(plan)).outcome == outcome
    assert setup.server.accepted == setup.marked == []


async def test_a_receipt_is_sent_again_and_a_promotion_is_not(setup: MailerSetup) -> None:
    """After a broken connection, a receipt is sent again with the same Message-ID. A promotion is not; both are reported."""
    setup.server.answers["data"] = [DROP]
    receipt = await setup.one()
    assert (receipt.outcome, receipt.is_resend, setup.server.accepted) == ("sent", True, ["s1", "s1"])
    setup.server.answers["data"] = [DROP]
    promotion = await setup.one(send_id="s2", purpose="marketing")
    assert (promotion.outcome, promotion.rule, setup.server.accepted[2:]) == ("unknown", "connection_lost", ["s2"])


async def test_a_resend_waits_for_the_server(setup: MailerSetup) -> None:
    """A receipt whose connection broke waits for the server, is sent again, and is reported as a resend."""

    async def close_after_data(*_: Any) -> str:
        setup.server.accepted.append("s1")
        setup.server.close()
        return DROP

    loop = asyncio.get_running_loop()
    original = setup.server.handle_DATA
    setup.server.handle_DATA = close_after_data  # type: ignore[method-assign]  # a server that fails after it accepted the data

    def back() -> None:
        setup.server.handle_DATA = original  # type: ignore[method-assign]
        setup.restart = loop.create_task(setup.server.open())
        setup.on_pause = lambda: None

    setup.on_pause = back
    report = await setup.one()
    assert (report.outcome, report.is_resend, setup.server.accepted) == ("sent", True, ["s1", "s1"])


async def test_abandoned(setup: MailerSetup) -> None:
    """An abandoned send is reported as unknown, and is not sent."""
    report = await setup.one("abandon", purpose="marketing")
    assert (report.outcome, report.rule, setup.server.accepted) == ("unknown", "in_flight_after_crash", [])


async def test_invalid_commands_do_not_affect_others(setup: MailerSetup) -> None:
    """Commands that cannot be rendered or composed are refused with the rule and without a code. Other commands are sent."""
    invalid = example("order-confirmation") | {"order": {"total": "?"}}
    reports = await setup.deliver(
        (command(send_id="a", to_address="x@y.example\r\nBcc: z"), "send"),
        (command(send_id="b", context=invalid), "send"),
        (command(send_id="c", message="gone", flow_version=2), "send"),
        (command(send_id="d", time_zone="Mars/Olympus"), "send"),
        (command(send_id="e"), "send"),
    )
    assert {key: report.rule for key, report in reports.items()} == {
        "a": "unsendable", "b": "unrenderable", "c": "unrenderable", "d": "accepted", "e": "accepted"
    }  # fmt: skip
    assert all(reports[key].code is None and not reports[key].is_bounce for key in "abc")


@pytest.mark.parametrize(
    "newer",
    [
        {"flow_version": 4},
        {"flow_version": 4, "message": "new"},
        {"flow_version": 3, "message": "new"},
        {"flow": "new", "context": {}},
    ],
)
async def test_newer_templates_are_waited_for(setup: MailerSetup, newer: dict[str, Any]) -> None:
    """An email of a flow, version or message that this mailer does not have yet waits for one that has it. Other emails are sent."""
    reports = await setup.deliver((command(send_id="a", **newer), "send"), (command(send_id="b"), "send"))
    waiting = reports["a"]
    assert (waiting.outcome, waiting.rule, waiting.is_bounce) == ("deferred", "newer_templates", False)
    assert waiting.retry_at is not None
    assert NOW < waiting.retry_at < NOW + timedelta(minutes=2)
    assert (reports["b"].outcome, setup.marked) == ("sent", ["b"])
    setup.versions |= {"order-confirmation": 4}
    if newer == {"flow_version": 4}:
        assert (await setup.one(send_id="a", attempt=2, **newer)).outcome == "sent"


async def test_newer_templates_are_waited_for_an_hour_if_the_message_is_known(setup: MailerSetup) -> None:
    """The last attempt is at the end of the hour. It sends the message of the older templates: a newer version may have been rolled back."""
    setup.now = NOW + timedelta(minutes=50)
    last = await setup.one(flow_version=4, attempt=7)
    assert (last.rule, last.retry_at) == ("newer_templates", NOW + timedelta(hours=1))
    setup.now = NOW + timedelta(hours=1)
    assert (await setup.one(flow_version=4, attempt=8)).rule == "accepted"
    assert (await setup.one(send_id="s2", flow_version=4, not_after=setup.now)).rule == "accepted"


@pytest.mark.parametrize(("days", "attempt"), [(7, 200), (2, 1)])
async def test_unknown_messages_are_refused_in_the_end(setup: MailerSetup, days: int, attempt: int) -> None:
    """An unknown message is waited for until the email expires, at most a week. The refusal names the flow, the version and the message."""
    setup.now = NOW + timedelta(days=days)
    expiry = NOW + timedelta(days=2 if days == 2 else 30)
    changes: dict[str, Any] = {"flow": "gone", "flow_version": 5, "context": {}}
    report = await setup.one(attempt=attempt, not_after=expiry, **changes)
    assert (report.outcome, report.rule) == ("refused", "unrenderable")
    assert report.text.startswith("gone/confirmation, version 5: ")


async def test_removed_messages_are_refused_at_once(setup: MailerSetup) -> None:
    """A message that newer templates no longer have is not waited for. The refusal names the flow, the version and the message."""
    report = await setup.one(message="gone", flow_version=2)
    assert (report.outcome, report.rule) == ("refused", "unrenderable")
    assert report.text.startswith("order-confirmation/gone, version 2: missing template ")


async def test_an_invoice_arrives_with_its_email(setup: MailerSetup) -> None:
    """The mail server gets the document of the command, the same in every attempt."""
    documents: list[bytes] = []
    for attempt in (1, 2):
        report = await setup.one(send_id=f"s{attempt}", attempt=attempt, attach="invoice")
        assert report.rule == "accepted"
        mail = message_from_bytes(setup.server.bodies[-1], policy=policy.default)
        assert isinstance(mail, EmailMessage)
        (part,) = mail.iter_attachments()
        assert (part.get_content_type(), part.get_filename()) == ("application/pdf", "Kvittering-1001.pdf")
        documents.append(part.get_content())
    assert documents[0] == documents[1]
    assert documents[0].startswith(b"%PDF-")


async def test_a_wrong_invoice_never_leaves(setup: MailerSetup) -> None:
    """An order whose amounts contradict each other has no invoice, and no email that speaks of one. The report says why."""
    report = await setup.one(attach="invoice", context=WRONG_INVOICE)
    assert (report.outcome, report.rule) == ("refused", "incorrect_document")
    assert report.text == "invoice: the lines do not give the subtotal"
    assert setup.server.accepted == []
    assert (await setup.one(send_id="s2", context=WRONG_INVOICE)).rule == "accepted"  # without the document


async def test_a_receipt_instead_of_an_invoice_is_logged(setup: MailerSetup) -> None:
    """The shop has issued an invoice, but its lines and its tax contradict each other. The log says why the email has a receipt."""
    context = example("invoice")
    for line in context["order"]["lines"]:
        line["tax_rate"] = "6"
    with capture_logs() as lines:
        report = await setup.one(flow="invoice", message="invoice", attach="invoice", context=context)
    assert report.rule == "accepted"
    assert [(line["send_id"], line["log_level"]) for line in lines if "receipt" in line["event"]] == [("s1", "warning")]
    assert any("taxes that agree with the rates of the lines" in str(line.get("reason")) for line in lines)


async def test_the_mailer_waits_for_the_server(setup: MailerSetup) -> None:
    """The server is down, then available again: every email arrives once, and the pause starts and ends."""
    setup.server.close()
    loop = asyncio.get_running_loop()

    def back() -> None:
        setup.on_pause = lambda: None
        setup.restart = loop.create_task(setup.server.open())

    setup.on_pause = back
    reports = await setup.deliver(*((command(send_id=f"s{n}"), "send") for n in range(30)))
    assert {report.outcome for report in reports.values()} == {"sent"}
    assert sorted(setup.server.accepted) == sorted(reports)
    assert len(reports) == 30
    assert setup.pauses[0] is True
    assert setup.pauses[-1] is False


async def test_stop_while_the_server_is_down(setup: MailerSetup) -> None:
    """A stop ends the pause. Commands that were not attempted have no report; finished commands have one."""
    reports = await setup.deliver((command(send_id="first"), "send"))
    assert list(reports) == ["first"]
    setup.server.close()

    def stop() -> None:
        setup.is_stopping = True

    setup.on_pause = stop
    assert await setup.deliver((command(send_id="a"), "send"), (command(send_id="b"), "send")) == {}
    assert setup.server.accepted == ["first"]
    assert setup.pauses[-1] is False


async def test_a_withdrawn_email_is_suppressed(setup: MailerSetup) -> None:
    """A withdrawn email is suppressed with its rule before any data leaves. A transactional email is sent."""
    setup.withdrawn.update({"s1": "unsubscribed", "s2": "unsubscribed"})
    review = command(flow="review", message="ask", purpose="review")
    reports = await setup.deliver((review, "send"), (command(send_id="s2"), "send"))
    assert (reports["s1"].outcome, reports["s1"].rule, reports["s1"].text) == (
        "suppressed",
        "withdrawn",
        "unsubscribed",
    )
    assert (reports["s2"].outcome, setup.marked, setup.server.accepted) == ("sent", ["s2"], ["s2"])


async def test_emails_that_name_no_company_wait(setup: MailerSetup) -> None:
    """While the brand has the legal lines of the example, transactional emails are sent, and others wait, or are not sent if it is too late."""
    setup.mailer = setup.new_mailer(holds_marketing=True)
    planned: list[tuple[Command, Plan]] = [
        (command(send_id=purpose, purpose=purpose), "send")
        for purpose in ("order", "service", "review", "survey", "marketing", "profile")
    ]
    late = command(send_id="late", purpose="marketing", not_after=NOW + timedelta(seconds=5))
    reports = await setup.deliver(*planned, (late, "send"), (command(send_id="again"), "resend"))
    assert sorted(setup.server.accepted) == ["again", "order", "service"]
    held = [reports[purpose] for purpose in ("review", "survey", "marketing", "profile")]
    assert {(report.outcome, report.rule) for report in held} == {("deferred", "example_brand")}
    assert all(report.retry_at is not None and report.retry_at > NOW for report in held)
    assert (reports["late"].outcome, reports["late"].rule) == ("suppressed", "example_brand")


async def test_an_email_of_an_erased_customer_is_not_sent(setup: MailerSetup) -> None:
    """The erasure of its customer withdraws a transactional email too, also one that may have left before a crash."""
    setup.withdrawn["s1"] = "erased"
    expected: dict[Plan, str] = {"send": "suppressed", "resend": "unknown"}
    for plan, outcome in expected.items():
        report = (await setup.deliver((command(), plan)))["s1"]
        assert (report.outcome, report.rule, report.text) == (outcome, "withdrawn", "erased")
    assert setup.server.accepted == []


@pytest.mark.parametrize(
    ("changes", "answer", "first", "rule"),
    [
        ({"message": "gone"}, None, "refused", "unrenderable"),
        ({"attach": "invoice", "context": WRONG_INVOICE}, None, "refused", "incorrect_document"),
        ({"to_address": "anna@post.example\nbo@post.example"}, None, "refused", "unsendable"),
        (FEW_PRODUCTS, None, "suppressed", "too_few_products"),
        ({"not_after": NOW + timedelta(seconds=5)}, "450 4.2.0 later", "refused", "gave_up"),
        ({"not_after": NOW + timedelta(seconds=5)}, "550 5.7.26 no SPF", "refused", "gave_up"),
        ({"not_after": NOW - timedelta(seconds=5)}, None, "expired", "not_after"),
    ],
)
async def test_a_second_copy_that_is_not_sent(
    setup: MailerSetup, changes: dict[str, Any], answer: str | None, first: str, rule: str
) -> None:
    """The first copy may have arrived, so the outcome of the email stays unknown, whatever keeps the second one back."""
    setup.assortment.set_result(Assortment())
    expected: dict[Plan, str] = {"send": first, "resend": "unknown"}
    for plan, outcome in expected.items():
        setup.server.answers["rcpt"] = [answer] if answer else []
        report = await setup.one(plan, **changes)
        assert report.outcome == outcome
        assert report.rule == (rule if plan == "send" or rule != "not_after" else "in_flight_after_crash")
        assert not report.is_resend
    assert setup.server.accepted == []


async def test_a_second_copy_whose_first_one_was_lost_in_the_same_attempt(setup: MailerSetup) -> None:
    """After the connection broke, the second copy is refused for now and has no time left: the first one may have arrived."""
    setup.server.answers["data"] = [DROP]
    setup.server.answers["rcpt"] = ["250 ok", "450 4.2.0 later"]
    report = await setup.one(not_after=NOW + timedelta(seconds=5))
    assert (report.outcome, report.rule) == ("unknown", "gave_up")


async def test_a_second_copy_that_is_deferred(setup: MailerSetup) -> None:
    """Its retry is a second copy too: the report says so, for the ledger. A refusal of the address by the server stands."""
    setup.server.answers["rcpt"] = ["450 4.2.0 later", "550 5.1.1 no such user"]
    deferred, refused = await setup.one("resend"), await setup.one("resend")
    assert (deferred.outcome, deferred.is_resend) == ("deferred", True)
    assert (refused.outcome, refused.is_hard) == ("refused", True)


class WithdrawingStore(InMemoryStore):
    """Marks in memory. Each send is withdrawn when its data begins."""

    def __init__(self, withdrawn: dict[str, str]) -> None:
        super().__init__([])
        self._withdrawn = withdrawn

    def put_local(self, key: bytes, value: bytes | None) -> None:
        """Write a mark, or delete it."""
        if value == BEGUN:
            self._withdrawn[key.decode()] = "unsubscribed"
        super().put_local(key, value)


@pytest.mark.parametrize(("purpose", "late"), [("review", 1), ("order", 0)])
async def test_withdrawn_while_it_is_sent(setup: MailerSetup, purpose: str, late: int) -> None:
    """An email that is withdrawn after its data began counts as withdrawn too late, unless it is transactional."""
    name, labels = "takk_withdrawals_total", {"outcome": "too_late"}
    before = metrics.REGISTRY.get_sample_value(name, labels) or 0.0
    setup.marks = DeliveryMarks(WithdrawingStore(setup.withdrawn), "disk-1", "boot-1")
    report = await setup.one(send_id="s1", purpose=purpose)
    assert (report.outcome, setup.withdrawn) == ("sent", {"s1": "unsubscribed"})
    assert (metrics.REGISTRY.get_sample_value(name, labels) or 0.0) - before == late


async def test_withdrawn_while_the_server_is_down(setup: MailerSetup) -> None:
    """An email that waits for the server is checked again when the server is available."""
    setup.server.close()
    loop = asyncio.get_running_loop()

    def back() -> None:
        setup.on_pause = lambda: None
        setup.withdrawn["s1"] = "complained"
        setup.restart = loop.create_task(setup.server.open())

    setup.on_pause = back
    report = await setup.one(flow="review", message="ask", purpose="review")
    assert (report.outcome, report.text, setup.server.accepted) == ("suppressed", "complained", [])


def _command_with_request(at_least: int) -> Command:
    context = example("goes-well-with") | {"recommend": request_for([products.order("o1", "x")], 3, at_least)}
    del context["products"]
    return command(flow="goes-well-with", message="products", purpose="marketing", context=context)


async def test_products_are_chosen_when_the_email_is_rendered(setup: MailerSetup) -> None:
    """The mailer waits for the current assortment. With too few products the email is suppressed."""
    delivery = asyncio.create_task(setup.deliver((_command_with_request(1), "send"), (command(send_id="s2"), "send")))
    await asyncio.sleep(0)
    setup.assortment.set_result(
        products.assortment_of(products.product("x", complements=("y",)), products.product("y"))
    )
    assert {send_id: report.outcome for send_id, report in (await delivery).items()} == {"s1": "sent", "s2": "sent"}
    report = (await setup.deliver((_command_with_request(2), "send")))["s1"]
    assert (report.outcome, report.rule) == ("suppressed", "too_few_products")


async def test_an_invalid_request(setup: MailerSetup) -> None:
    """An invalid request for products fails its own email."""
    setup.assortment.set_result(Assortment())
    report = await setup.one(context=example("order-confirmation") | {"recommend": {"most": "many"}})
    assert (report.outcome, report.rule) == ("refused", "unrenderable")


async def test_stop_while_the_catalogue_is_read(setup: MailerSetup) -> None:
    """A stop does not wait for the assortment. No command is reported or sent."""
    delivery = asyncio.create_task(setup.deliver((_command_with_request(1), "send")))
    await asyncio.sleep(0)
    setup.is_stopping = True
    assert (await delivery, setup.marked) == ({}, [])


async def test_an_address_is_checked_right_before_its_email(setup: MailerSetup) -> None:
    """An email of a suppressed purpose is not sent, however its address is spelled. Other purposes and other addresses are sent."""
    setup.suppressed[address_hash(ADDRESS_KEY, "anna@post.example")] = Suppression((("review", "unsubscribed"),))
    assert (await setup.one(send_id="s1", to_address="bo@post.example", purpose="review")).outcome == "sent"
    report = await setup.one(send_id="s2", to_address="ANNA@post.example", purpose="review")
    assert (report.outcome, report.rule, report.text) == ("suppressed", "address_suppressed", "unsubscribed")
    assert (await setup.one(send_id="s3")).outcome == "sent"
    assert (await setup.one(send_id="s4", purpose="survey")).outcome == "sent"
    assert setup.server.accepted == ["s1", "s3", "s4"]


async def test_only_emails_that_may_have_arrived_count_for_their_address() -> None:
    """An email that the server refused or deferred leaves its place to the next; a second copy of an email in doubt is never held back."""
    async with mailer_setup(AddressRules(transactional=1)) as setup:
        setup.server.answers["rcpt"] = ["450 4.2.0 greylisted", "550 5.1.1 no such user"]
        outcomes = [(await setup.one(send_id=f"s{number}")).outcome for number in range(3)]
        assert outcomes == ["deferred", "refused", "sent"]
        limited = await setup.one(send_id="s4")
        assert (limited.outcome, limited.rule) == ("suppressed", "address_limit")
        assert (await setup.one("resend", send_id="s5")).outcome == "sent"
        assert (await setup.one(send_id="s6", commanded_at=NOW + timedelta(days=1))).outcome == "sent"
