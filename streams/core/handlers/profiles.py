"""Handlers of profiles: the newest value of each field, and the answers to consent questions."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from streams.core.model.customer import Answer, Consent, Profile
from streams.core.model.events import Order, ProfileUpdated
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.triggers.dates import schedule_dates
from streams.core.triggers.dispatch import happened


def on_profile_updated(uow: UnitOfWork, event: ProfileUpdated) -> None:
    """Take in the shop's profile of the customer: what is newer wins, what is older fills gaps."""
    at, old = event.occurred_at, uow.profile
    if old.at is None or at >= old.at:
        uow.profile = Profile(
            event.email or old.email,
            event.name or old.name,
            event.locale or old.locale,
            event.country or old.country,
            event.time_zone or old.time_zone,
            at,
            event.birthday or old.birthday,
            event.gender or old.gender,
        )
        note_address(uow, old.email)
    else:
        uow.profile = Profile(
            old.email or event.email or "",
            old.name or event.name or "",
            old.locale or event.locale or "",
            old.country or event.country or "",
            old.time_zone or event.time_zone,
            old.at,
            old.birthday or event.birthday,
            old.gender or event.gender or "",
        )
    uow.consent = _answered(uow.consent, event, event.country or uow.profile.country)
    uow.changed = uow.changed or uow.profile != old or uow.consent != uow.state.consent
    note_completion(uow, at)
    if uow.ruleset.has_days:
        schedule_dates(uow)


def learn_profile(uow: UnitOfWork, told: Order, at: datetime) -> None:
    old = uow.profile
    if old.at is not None and at < old.at:
        uow.profile = Profile(
            old.email or told.email,
            old.name or told.name,
            old.locale or told.locale,
            old.country or told.country,
            old.time_zone or told.time_zone,
            old.at,
            old.birthday,
            old.gender,
        )
        return
    uow.profile = Profile(
        told.email or old.email,
        told.name or old.name,
        told.locale or old.locale,
        told.country or old.country,
        told.time_zone or old.time_zone,
        at,
        old.birthday,
        old.gender,
    )
    note_address(uow, old.email)


def note_completion(uow: UnitOfWork, at: datetime) -> None:
    """Tell the flows when all that a shop asks for is known of the customer for the first time."""
    if _is_complete(uow.profile) and not _is_complete(uow.state.profile):
        happened(uow, "profile.completed", None, None, at)


def _is_complete(profile: Profile) -> bool:
    return bool(profile.email and profile.name and profile.country and profile.birthday)


def note_address(uow: UnitOfWork, before: str) -> None:
    """What bounced was the address before; a new one starts anew."""
    if before and uow.profile.email != before and (uow.consent.hard_bounced or uow.consent.soft_bounces):
        uow.consent = replace(uow.consent, hard_bounced=False, soft_bounces=0)


def _answered(old: Consent, event: ProfileUpdated, country: str) -> Consent:
    """The newest answer to each question, with its evidence; of two of the same moment the no. The same answer again changes nothing."""
    at, marketing, tracking = event.occurred_at, event.marketing_consent, event.tracking_consent
    notice = event.consent_notice or ""
    if marketing is not None and (
        old.marketing_at is None or (at, not marketing) > (old.marketing_at, not old.marketing)
    ):
        old = replace(old, marketing=marketing, marketing_at=at, marketing_country=country, marketing_notice=notice)
    if tracking is not None and (old.tracking_at is None or (at, not tracking) > (old.tracking_at, not old.tracking)):
        old = replace(old, tracking=tracking, tracking_at=at)
    if notice and (old.notice_at is None or at > old.notice_at):
        old = replace(old, notice=notice, notice_at=at)
    own = (("profile", event.profile_consent), ("review", event.review_consent), ("survey", event.survey_consent))
    for purpose, is_yes in own:
        known = old.answer(purpose)
        if is_yes is None or (known is not None and (at, not is_yes) <= (known.at, not known.is_yes)):
            continue
        others = [answer for answer in old.answers if answer.purpose != purpose]
        said = Answer(purpose, is_yes, at, country, notice)
        old = replace(old, answers=tuple(sorted([*others, said], key=lambda answer: answer.purpose)))
    return old
