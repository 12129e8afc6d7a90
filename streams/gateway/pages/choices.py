"""The choices of a customer on the preference page, and the records of what has changed.

Only changes are published: a box that was ticked when the page was shown and still is records nothing, because a box that was ticked
beforehand is not consent (CJEU, C-673/17).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct

from streams.gateway.pages.base.days import DayFields, InvalidDay, fields_of, read_fields, stored_day
from streams.gateway.pages.base.forms import Form
from streams.gateway.pages.base.records import engagement, event_id, evidence, request, request_id
from streams.gateway.pages.base.site import LANGUAGES, page_language
from streams.gateway.pages.base.visit import Submission, Visit
from streams.runtime.kafka.producer_record import ProducerRecord

#: The purposes of emails that a customer can choose, and the tracking of opens and clicks.
PURPOSES, TRACKING = ("marketing", "review", "survey", "profile", "service"), "tracking"
#: The purposes that have a scope of unsubscriptions, which hold until a newer yes with evidence.
_SCOPES = frozenset(("marketing", "review", "survey", "service"))
FREQUENCIES = ("normal", "fewer")
SOURCE = "preference page"
_BOXES = (*PURPOSES, TRACKING)


class Choices(Struct, frozen=True, kw_only=True):
    """The choices on the page.

    Attributes:
        shown, ticked: the boxes that were ticked when the page was made, and now: purposes, and `tracking`.
        birthday, dates: the fields of the days; None: the form has no birthday.
        removed: kind of engagement (`unwished`, `unliked`) and sku of what was taken off the lists.
    """

    shown: frozenset[str]
    ticked: frozenset[str]
    frequency: str
    language: str
    birthday: DayFields | None
    dates: Mapping[str, DayFields]
    removed: tuple[tuple[str, str], ...] = ()


def date_names(visit: Visit) -> tuple[str, ...]:
    """Return the names of the dates on the page: the brand's, and those that are known of the customer."""
    known = visit.person.dates if visit.person is not None else {}
    return tuple(dict.fromkeys((*visit.site.brand.dates, *sorted(known))))


def choices_of(visit: Visit) -> Choices:
    """Return the present choices of a customer."""
    person = visit.person
    if person is None:
        empty = frozenset[str]()
        return Choices(shown=empty, ticked=empty, frequency="", language=visit.language, birthday=DayFields(), dates={})
    boxes = frozenset(purpose for purpose in PURPOSES if person.answers.get(purpose))
    if person.tracking:
        boxes |= {TRACKING}
    return Choices(
        shown=boxes,
        ticked=boxes,
        frequency=person.frequency,
        language=page_language(person.locale) if person.locale else visit.language,
        birthday=fields_of(person.birthday),
        dates={name: fields_of(value) for name, value in person.dates.items()},
    )


def choices_in(visit: Visit, form: Form) -> tuple[Choices, dict[str, str]]:
    """Return the choices in a form, and the errors by field. Without a value in the form, the present choice remains."""
    present, errors = choices_of(visit), dict[str, str]()
    has_boxes = "shown" in form.fields
    frequency, language = form.text("frequency") or present.frequency, form.text("language") or present.language
    if frequency not in (*FREQUENCIES, ""):
        errors["frequency"], frequency = "error.choose", present.frequency
    if language not in LANGUAGES:
        errors["language"], language = "error.choose", present.language
    days = {name: read_fields(form, name) for name in ("birthday", *date_names(visit))}
    for name, fields in days.items():
        try:
            day = stored_day(fields or DayFields(), visit.now.date())
        except InvalidDay:
            errors[name] = "error.day"
        else:
            is_cleared = fields is not None and not day and name == "birthday"
            if is_cleared and visit.person is not None and visit.person.birthday:
                errors[name] = "error.birthday"  # the topic has no way to forget a birthday alone
    birthday = days.pop("birthday")
    dates = {**present.dates, **{name: fields for name, fields in days.items() if fields is not None}}
    listed = {
        "unwished": visit.person.wishes if visit.person is not None else (),
        "unliked": visit.person.likes if visit.person is not None else (),
    }
    removed = [(kind, sku) for kind, skus in listed.items() for sku in skus if sku in form.all(kind)]
    return (
        Choices(
            shown=_boxes(form.text("shown").split()) if has_boxes else present.shown,
            ticked=_boxes(form.all("on")) if has_boxes else present.shown,
            frequency=frequency,
            language=language,
            birthday=birthday if birthday is not None else present.birthday,
            dates=dates,
            removed=tuple(removed),
        ),
        errors,
    )


def _boxes(names: list[str]) -> frozenset[str]:
    return frozenset(_BOXES) & frozenset(names)


def records_of(visit: Visit, submission: Submission, choices: Choices) -> list[ProducerRecord]:
    """Return the records of what has changed. A customer who is unknown has changed all that they filled in."""
    made = submission.made
    changed = {box: box in choices.ticked for box in _BOXES if (box in choices.ticked) != (box in choices.shown)}
    left = [purpose for purpose, is_yes in changed.items() if not is_yes and purpose in _SCOPES]
    records = [
        engagement(visit, "unsubscribed", event_id(visit, "unsubscribed", f"{purpose}.{made}"), {"scope": purpose})
        for purpose in left
    ]
    fields = _preferences(visit, choices, {box: yes for box, yes in changed.items() if box not in left})
    if fields:
        # After the unsubscriptions: a purpose that is still ticked stays, although marketing covers all of them.
        at = visit.now + timedelta(milliseconds=1)
        id = request_id(visit, "preferences", made)
        records.append(request(visit, "preferences", id, fields={**fields, "occurred_at": at}))
    present = visit.person.frequency if visit.person is not None else ""
    if choices.frequency and choices.frequency != present:
        id = request_id(visit, "frequency", f"{choices.frequency}.{made}")
        records.append(request(visit, "frequency", id, fields={"frequency": choices.frequency}))
    for kind, sku in choices.removed:
        records.append(engagement(visit, kind, event_id(visit, kind, f"{sku}.{made}"), {"sku": sku}))
    return records


def _preferences(visit: Visit, choices: Choices, changed: dict[str, bool]) -> dict[str, object]:
    """Return the fields of the request that states answers, language and days; empty if none of them has changed."""
    fields: dict[str, object] = {}
    answers = {purpose: yes for purpose, yes in changed.items() if purpose != TRACKING}
    if "marketing" in choices.shown and "marketing" not in choices.ticked:
        answers |= {purpose: True for purpose in PURPOSES if purpose in choices.ticked and purpose != "service"}
    if answers:
        fields["answers"] = answers
    if TRACKING in changed:
        fields["tracking"] = changed[TRACKING]
    agreed = [f"p.on.{box}" for box in _BOXES if answers.get(box) or (box == TRACKING and changed.get(box))]
    if answers or TRACKING in changed:
        fields |= evidence(visit, SOURCE, agreed)
    person, today = visit.person, visit.now.date()
    if choices.language != choices_of(visit).language:
        fields["locale"] = choices.language
    birthday = stored_day(choices.birthday or DayFields(), today)
    if birthday and birthday != (person.birthday if person is not None else ""):
        fields["birthday"] = birthday
    known = person.dates if person is not None else {}
    days = {name: stored_day(value, today) for name, value in choices.dates.items()}
    dates = {name: day or None for name, day in days.items() if day != known.get(name, "")}
    if dates:
        fields["dates"] = dates
    return fields
