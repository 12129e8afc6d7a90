"""Handler of profile updates, and the profile data that orders bring."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from msgspec.structs import replace

from streams.core.handlers.traits import merge_place, update_traits
from streams.core.instances.occurrence import Occurrence
from streams.core.model.consent import Answer, Consent, Resubscription
from streams.core.model.customer import History, Profile
from streams.core.model.events import Order
from streams.core.model.person_events import ProfileUpdated
from streams.core.model.removed_dates import after_answer, is_removed, merge_rows
from streams.core.model.traits import NO_TRAITS, Traits
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.sending.address_events import note_answers
from streams.core.triggers.dates import end_flows_of_removed_dates, schedule_dates
from streams.core.triggers.dispatch import dispatch
from streams.core.values.moments import LONG_AGO


def on_profile_updated(uow: UnitOfWork, event: ProfileUpdated, *, is_by_customer: bool = False) -> None:
    """Update the profile and the answers to the consent questions.

    Args:
        uow: the customer.
        event: what the shop states, or the customer.
        is_by_customer: whether the customer stated it on the preference page. A date that they remove stays removed: see removed_dates.py.
    """
    before = uow.profile
    if is_by_customer and not uow.is_shared:
        _note_removed_dates(uow, event)
    update_profile(
        uow,
        Profile(
            event.email or "",
            event.name or "",
            event.locale or "",
            event.country or "",
            event.time_zone,
            event.occurred_at,
            event.birthday,
            event.gender or "",
            event.country or "",
            Traits(event.postal_code or "", event.city or "", event.is_company),
            event.occurred_at if event.birthday is not None or event.removes_birthday else None,
        ),
    )
    update_traits(uow, event)
    if event.has_bad_address and (before.at is None or event.occurred_at >= before.at):
        # The customer has left the stored address, and the new one is unknown.
        uow.consent = replace(uow.consent, bad_address_at=event.occurred_at)
    country = event.country or uow.profile.country
    uow.consent = _merge_answers(uow.consent, event, country)
    _note_resubscriptions(uow, event, country)
    note_answers(uow)
    uow.history = _merge_history(uow.history, event)
    uow.changed = (
        uow.changed or uow.profile != before or uow.consent != uow.state.consent or uow.history is not uow.state.history
    )
    dispatch_completion(uow, event.occurred_at)
    if uow.ruleset.has_dates:
        end_flows_of_removed_dates(uow, before)
        schedule_dates(uow)


def _note_removed_dates(uow: UnitOfWork, event: ProfileUpdated) -> None:
    """Store which days a customer removed, or stated again, on the preference page."""
    profile, at = uow.profile, event.occurred_at
    if event.birthday is not None or event.removes_birthday:
        day, stated_at = _birthday_of(profile)
        since = profile.birthday_since or stated_at
        row = after_answer(profile.removed_birthdays, day, since, event.birthday, at)
        profile = replace(profile, removed_birthdays=row)
    answers = dict(event.dates)
    dates = [
        replace(each, removed=after_answer(each.removed, each.value, each.since or each.at, answers[each.name], at))
        if each.name in answers
        else each
        for each in profile.traits.dates
    ]
    uow.profile = replace(profile, traits=replace(profile.traits, dates=tuple(dates)))


def learn_profile(uow: UnitOfWork, order: Order, at: datetime) -> None:
    """Update the profile with the data of an order, which is as new as `at` (UTC)."""
    home = order.details.billing_address if order.details is not None else None
    traits = Traits(home.postal_code, home.city) if home is not None else NO_TRAITS
    update_profile(
        uow, Profile(order.email, order.name, order.locale, order.country, order.time_zone, at, traits=traits)
    )


def update_profile(uow: UnitOfWork, update: Profile) -> None:
    """Merge an update into the profile. Nothing is stored under an id that several people share."""
    if uow.is_shared:
        return
    address = uow.profile.email
    uow.profile = merge_profile(uow.profile, update)
    # Clear bounces when the address changes: they belonged to the old one.
    has_bounced = uow.consent.hard_bounced or uow.consent.soft_bounces
    if address and uow.profile.email != address and has_bounced:
        uow.consent = replace(uow.consent, hard_bounced=False, soft_bounces=0)
    bad_at = uow.consent.bad_address_at
    if bad_at is not None and update.email and update.at is not None and update.at > bad_at:
        uow.consent = replace(uow.consent, bad_address_at=None)


def merge_profile(profile: Profile, update: Profile) -> Profile:
    """Return both merged: values of the newer one win, values of the older one fill gaps. At the same time `update` is newer.

    The birthday has its own time, so that neither an order nor an older record restores one that the customer removed. The same birthday does
    not return in a newer record either.
    """
    is_older = profile.at is not None and update.at is not None and update.at < profile.at
    older, newer = (update, profile) if is_older else (profile, update)
    removed = merge_rows(profile.removed_birthdays, update.removed_birthdays)
    birthday, birthday_at = _merge_birthday(profile, update, removed)
    return Profile(
        newer.email or older.email,
        newer.name or older.name,
        newer.locale or older.locale,
        newer.country or older.country,
        newer.time_zone or older.time_zone,
        newer.at,
        birthday,
        newer.gender or older.gender,
        newer.stated_country or older.stated_country,
        merge_place(newer.traits, older.traits, profile.traits),
        birthday_at,
        removed,
        _birthday_since(birthday, birthday_at, (profile, update)),
    )


def _merge_birthday(profile: Profile, update: Profile, removed: bytes) -> tuple[date | None, datetime | None]:
    """Return the newest birthday of both that is not among the `removed` ones, and when it was stated."""
    of_update, of_profile = _birthday_of(update), _birthday_of(profile)
    if of_update == of_profile == (None, None):  # as for nearly every order
        return None, None
    stated = [(None, None) if is_removed(removed, day) else (day, at) for day, at in (of_update, of_profile)]
    return max(stated, key=_rank_of_birthday)


def _birthday_since(day: date | None, stated_at: datetime | None, profiles: Iterable[Profile]) -> datetime | None:
    """Return since when the birthday has been stated, or None if that is `stated_at`."""
    if day is None or stated_at is None:
        return None
    known = [profile.birthday_since or _birthday_of(profile)[1] for profile in profiles if profile.birthday == day]
    since = min([each for each in known if each is not None], default=stated_at)
    return since if since < stated_at else None


def _birthday_of(profile: Profile) -> tuple[date | None, datetime | None]:
    """Return the birthday, and when it was stated or removed."""
    stated_at = profile.birthday_at
    if stated_at is None and profile.birthday is not None:
        stated_at = profile.at  # an older program stored it: not later than the newest change of the profile
    return profile.birthday, stated_at


def _rank_of_birthday(stated: tuple[date | None, datetime | None]) -> tuple[datetime, bool]:
    """Return the rank of a statement: the newest counts, and at the same time a day counts more than its removal."""
    birthday, stated_at = stated
    return stated_at or LONG_AGO, birthday is not None


def dispatch_completion(uow: UnitOfWork, at: datetime) -> None:
    """Dispatch "profile.completed" if this event has filled the last gap of the profile."""
    if _is_complete(uow.profile) and not _is_complete(uow.state.profile):
        dispatch(uow, Occurrence("profile.completed", None, None, at))


def _is_complete(profile: Profile) -> bool:
    return bool(profile.email and profile.name and profile.country and profile.birthday)


def _merge_history(history: History | None, event: ProfileUpdated) -> History | None:
    """Return what the shop said last about purchases before the first record. Of two statements at the same time the larger one counts."""
    if event.history is None:
        return history
    stated = History(event.history, event.occurred_at, event.orders_before, event.spend_before_minor)
    if history is not None and history.at is not None and _rank(stated) <= _rank(history):
        return history
    return stated


def _rank(history: History) -> tuple[datetime | None, int, int, str]:
    return history.at, history.orders, history.spend_minor, history.state


def _merge_answers(consent: Consent, event: ProfileUpdated, country: str) -> Consent:
    """Return the consent with the newest answer to each question and its evidence.

    Of two answers at the same time, the refusal counts. The same answer again changes nothing.
    """
    at, marketing, tracking = event.occurred_at, event.marketing_consent, event.tracking_consent
    notice = event.consent_notice or ""
    if marketing is not None and (
        consent.marketing_at is None or (at, not marketing) > (consent.marketing_at, not consent.marketing)
    ):
        consent = replace(
            consent, marketing=marketing, marketing_at=at, marketing_country=country, marketing_notice=notice
        )
    if tracking is not None and (
        consent.tracking_at is None or (at, not tracking) > (consent.tracking_at, not consent.tracking)
    ):
        consent = replace(consent, tracking=tracking, tracking_at=at)
    if notice and (consent.notice_at is None or at > consent.notice_at):
        consent = replace(consent, notice=notice, notice_at=at)
    answers = (("profile", event.profile_consent), ("review", event.review_consent), ("survey", event.survey_consent))
    for purpose, is_yes in answers:
        stored = consent.answer(purpose)
        if is_yes is None or (stored is not None and (at, not is_yes) <= (stored.at, not stored.is_yes)):
            continue
        others = [answer for answer in consent.answers if answer.purpose != purpose]
        answer = Answer(purpose, is_yes, at, country, notice)
        consent = replace(consent, answers=tuple(sorted([*others, answer], key=lambda item: item.purpose)))
    return consent


def _note_resubscriptions(uow: UnitOfWork, event: ProfileUpdated, country: str) -> None:
    """Store each "yes" that has a notice. The newest for each purpose counts."""
    answers = (
        ("marketing", event.marketing_consent),
        ("profile", event.profile_consent),
        ("review", event.review_consent),
        ("survey", event.survey_consent),
    )
    if not event.consent_notice:
        return
    source, wording = event.consent_source or "", event.consent_wording or ""
    for purpose, is_yes in answers:
        if is_yes:
            yes = Resubscription(purpose, event.occurred_at, country, event.consent_notice, source, wording)
            uow.consent = uow.consent.with_resubscription(yes)
