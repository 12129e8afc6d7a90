"""The choices of a customer on the preference page, and the records of what has changed.

Only changes are published: a box that was ticked when the page was shown and still is records nothing, because a box that was ticked
beforehand is not consent (CJEU, C-673/17). A day is compared with the one that the page showed as well, so that a field that was empty
from the start does not remove a day that has become known since.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from msgspec import Struct

from streams.gateway.pages.base.days import DayFields, InvalidDay, changed_day, fields_of, read_fields, shown_day
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
#: The name of the birthday's fields.
BIRTHDAY = "birthday"
SOURCE = "preference page"
_BOXES = (*PURPOSES, TRACKING)
_NO_DAYS: Mapping[str, str] = MappingProxyType({})


class Choices(Struct, frozen=True, kw_only=True):
    """The choices on the page.

    Attributes:
        shown, ticked: the boxes that were ticked when the page was made, and now: purposes, and `tracking`.
        birthday, dates: the fields of the days.
        shown_days: the days that the page showed, by the name of the field; "" or missing for none.
        changed_days: the days that the customer changed, by the name of the day; "" for one that they removed.
        removed: kind of engagement (`unwished`, `unliked`) and sku of what was taken off the lists.
    """

    shown: frozenset[str]
    ticked: frozenset[str]
    frequency: str
    language: str
    birthday: DayFields
    dates: Mapping[str, DayFields]
    shown_days: Mapping[str, str]
    changed_days: Mapping[str, str] = _NO_DAYS
    removed: tuple[tuple[str, str], ...] = ()


def date_names(visit: Visit) -> tuple[str, ...]:
    """Return the names of the dates on the page besides the birthday: the brand's, and those that are known of the customer."""
    known = visit.person.dates if visit.person is not None else {}
    return tuple([name for name in dict.fromkeys((*visit.site.brand.dates, *sorted(known))) if name != BIRTHDAY])


def field_of(name: str) -> str:
    """Return the first part of the names of a day's fields. The dates of a shop have a prefix, so that none is named like another field."""
    return name if name == BIRTHDAY else f"date-{name}"


def choices_of(visit: Visit) -> Choices:
    """Return the present choices of a customer."""
    person = visit.person
    if person is None:
        empty = frozenset[str]()
        return Choices(
            shown=empty,
            ticked=empty,
            frequency="",
            language=visit.language,
            birthday=DayFields(),
            dates={},
            shown_days={},
        )
    boxes = frozenset(purpose for purpose in PURPOSES if person.answers.get(purpose))
    if person.tracking:
        boxes |= {TRACKING}
    return Choices(
        shown=boxes,
        ticked=boxes,
        frequency=person.frequency,
        language=page_language(person.locale) if person.locale else visit.language,
        birthday=fields_of(person.birthday),
        dates={name: fields_of(person.dates[name]) for name in date_names(visit) if name in person.dates},
        shown_days={field_of(name): day for name, day in (*person.dates.items(), (BIRTHDAY, person.birthday))},
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
    days, shown_days, changed_days = dict[str, DayFields](), dict(present.shown_days), dict[str, str]()
    for name in (BIRTHDAY, *date_names(visit)):
        field, has_year = field_of(name), name == BIRTHDAY
        # The second name is that of pages which were opened before dates had a prefix.
        typed = next(
            ((each, found) for each in (field, name) if (found := read_fields(form, each, has_year=has_year))), None
        )
        if typed is None:
            continue
        days[name], shown = typed[1], shown_day(form, typed[0])
        if shown is not None:
            shown_days[field] = shown
        try:
            day = changed_day(days[name], shown_days.get(field, ""), visit.now.date(), has_year=has_year)
        except InvalidDay:
            errors[field] = "error.day"
            continue
        if day is not None:
            changed_days[name] = day
    birthday = days.pop(BIRTHDAY, present.birthday)
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
            birthday=birthday,
            dates={**present.dates, **days},
            shown_days=shown_days,
            changed_days=changed_days,
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
    if choices.language != choices_of(visit).language:
        fields["locale"] = choices.language
    dates = {name: day or None for name, day in choices.changed_days.items() if name != BIRTHDAY}
    if BIRTHDAY in choices.changed_days:
        fields[BIRTHDAY] = choices.changed_days[BIRTHDAY]  # "" removes it
    if dates:
        fields["dates"] = dates
    return fields
