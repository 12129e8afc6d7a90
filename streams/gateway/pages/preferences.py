"""The preference page: which emails, how often, in which language, important dates, wishes and likes, address, export and erasure."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web
from babel import Locale

from streams.addresses import MAX_ADDRESS, parse_address
from streams.gateway.pages.base.days import DayFields, fields_of
from streams.gateway.pages.base.forms import Form
from streams.gateway.pages.base.records import engagement, event_id, publish, request, request_id
from streams.gateway.pages.base.visit import Submission, Visit, acted, shown
from streams.gateway.pages.choices import (
    BIRTHDAY,
    FREQUENCIES,
    PURPOSES,
    Choices,
    choices_in,
    choices_of,
    date_names,
    field_of,
    records_of,
)

TEMPLATE = "preferences.html.j2"
#: The requests on this page that an email asks the customer to confirm.
ASKED = ("export", "erase")


async def show(visit: Visit) -> web.Response:
    """Return the page with the present choices, or the thanks after a change."""
    return _page(visit, choices_of(visit))


async def again(visit: Visit, form: Form, error: str) -> web.Response:
    """Return the page again, with what was typed and an error."""
    choices, errors = choices_in(visit, form)
    return _page(visit, choices, error, errors, form.text("email"))


def _page(
    visit: Visit, choices: Choices, error: str = "", errors: dict[str, str] | None = None, email: str = ""
) -> web.Response:
    person = visit.person
    months = Locale.parse(visit.language).months["stand-alone"]["wide"]
    return visit.page(
        TEMPLATE,
        error=error,
        errors=errors or {},
        choices=choices,
        purposes=PURPOSES,
        frequencies=FREQUENCIES,
        dates=[
            (field_of(name), _label(visit, name), choices.dates.get(name, DayFields())) for name in date_names(visit)
        ],
        months=[(str(number), months[number]) for number in range(1, 13)],
        wishes=_titled(visit, person.wishes if person is not None else ()),
        likes=_titled(visit, person.likes if person is not None else ()),
        email=email[:MAX_ADDRESS],
        is_known=person is not None,
    )


def _label(visit: Visit, name: str) -> str:
    key = f"date.{name}"
    if visit.site.has_text(key, visit.language):
        return visit.text(key)
    return name.replace("_", " ").capitalize()  # a date that the shop has named without a text for it


def _titled(visit: Visit, skus: Sequence[str]) -> list[tuple[str, str]]:
    return [(sku, visit.title_of(sku) or sku) for sku in skus]


async def act(visit: Visit, submission: Submission) -> web.Response:
    """Save the choices, or ask for another address, an export or an erasure."""
    form, action = submission.form, submission.form.text("act")
    if action == "nothing":
        id = event_id(visit, "unsubscribed", f"marketing.{submission.made}")
        await publish(visit, engagement(visit, "unsubscribed", id, {"scope": "marketing"}))
        return visit.redirect("nothing")
    if action == "address":
        return await _ask_for_address(visit, submission)
    if action in ASKED:
        if action == "erase" and form.text("sure") != "yes":
            return _page(visit, choices_of(visit), "error.check", {"sure": "error.sure"})
        id = request_id(visit, action, submission.made)
        await publish(visit, request(visit, action, id))
        return visit.redirect(action)
    if action != "save":
        return await again(visit, form, "error.again")
    return await _save(visit, submission)


async def _ask_for_address(visit: Visit, submission: Submission) -> web.Response:
    typed = submission.form.text("email")
    address = parse_address(typed)
    if address is None:
        return _page(visit, choices_of(visit), "error.check", {"email": "error.email"}, typed)
    id = request_id(visit, "change_address", f"{address}.{submission.made}")
    await publish(visit, request(visit, "change_address", id, fields={"email": address}))
    return visit.redirect("address")


async def _save(visit: Visit, submission: Submission) -> web.Response:
    choices, errors = choices_in(visit, submission.form)
    if errors:
        return await again(visit, submission.form, "error.check")
    records = records_of(visit, submission, choices)
    if records:
        await publish(visit, *records)
    present = choices_of(visit)
    # In the language that the customer has just chosen.
    has_chosen = choices.language != present.language
    done = "older" if _is_outdated(choices, present) else "saved"
    return visit.redirect(done, choices.language if has_chosen else "")


def _is_outdated(choices: Choices, present: Choices) -> bool:
    """Return whether something that the customer left as the page showed it is no longer so: not all that the form says holds.

    The browser's button to go back shows the page of before, with what was typed into it.
    """
    has_box = (choices.shown ^ present.shown) - (choices.shown ^ choices.ticked)
    typed = {BIRTHDAY: choices.birthday, **choices.dates}
    shown, days = choices.shown_days, present.shown_days
    return bool(has_box) or any(
        fields.is_same(fields_of(shown.get(field, ""))) and shown.get(field, "") != days.get(field, "")
        for field, fields in ((field_of(name), fields) for name, fields in typed.items())
    )


get, post = shown("p", show), acted("p", act, again)
