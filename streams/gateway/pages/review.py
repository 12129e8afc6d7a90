"""The review form of the shop itself: stars, text and a photo; then the other places for reviews, the same for everyone."""

from __future__ import annotations

from aiohttp import web

from streams.gateway.pages.base.forms import Form, whole_number
from streams.gateway.pages.base.photos import MAX_PHOTO, InvalidPhoto, encoded
from streams.gateway.pages.base.records import engagement, event_id, publish
from streams.gateway.pages.base.uploads import store_of
from streams.gateway.pages.base.visit import Submission, Visit, acted, shown
from streams.wire import topics

TEMPLATE = "review.html.j2"
MAX_TEXT, MAX_NAME = 5000, 80


async def show(visit: Visit) -> web.Response:
    """Return the form, with the stars that the link chooses, or the thanks after it."""
    return _page(visit, whole_number(visit.request.query.get("stars", ""), 1, 5), "", visit.first_name)


async def again(visit: Visit, form: Form, error: str) -> web.Response:
    """Return the form again, with what was typed and an error."""
    return _page(visit, form.number("stars", 1, 5), form.text("text"), form.line("name"), error, _errors(form, error))


def _page(
    visit: Visit, stars: int | None, text: str, name: str, error: str = "", errors: dict[str, str] | None = None
) -> web.Response:
    sku = visit.link.target
    return visit.page(
        TEMPLATE,
        error=error,
        errors=errors or {},
        product=visit.title_of(sku) if sku else "",
        is_product=bool(sku),
        stars_given=stars,
        review=text,
        name=name,
        max_text=MAX_TEXT,
        max_name=MAX_NAME,
        destinations=visit.site.brand.destinations(visit.country),
    )


def _errors(form: Form, error: str = "") -> dict[str, str]:
    """Return the errors by field."""
    errors: dict[str, str] = {}
    if form.number("stars", 1, 5) is None:
        errors["stars"] = "error.stars"
    if len(form.text("text")) > MAX_TEXT:
        errors["text"] = "error.long"
    if len(form.line("name")) > MAX_NAME:
        errors["name"] = "error.long"
    if error.startswith("error.photo"):
        errors["photo"] = error
    return errors


async def act(visit: Visit, submission: Submission) -> web.Response:
    """Publish the review. A second one from the same link replaces the first."""
    form, link = submission.form, visit.link
    if form.is_photo_too_large:
        return await again(visit, form, "error.photo-size")
    if _errors(form):
        return await again(visit, form, "error.check")
    id, photo = event_id(visit, "reviewed"), None
    if form.photo:
        try:
            content = await encoded(form.photo)
        except InvalidPhoto as error:
            return await again(visit, form, f"error.photo-{error.reason}")
        photo = await store_of(visit.gateway).put(content)
    stars = int(form.text("stars"))
    review = {
        "review_id": id,
        "customer_id": link.customer_id,
        "send_id": link.send_id,
        "sku": link.target or None,
        "stars": stars,
        "text": form.text("text"),
        "name": form.line("name"),
        "locale": visit.language,
        "photo": photo,
        "occurred_at": visit.now,
    }
    # The ids of records differ by content: a corrected review is another version of the same review.
    record_id = event_id(visit, "review", f"{stars}.{form.text('text')}.{form.line('name')}.{photo or ''}")
    await publish(
        visit,
        visit.gateway.encoder.record(topics.REVIEWS, link.customer_id, record_id, review),
        engagement(visit, "reviewed", id, {"sku": link.target or None, "stars": stars}),
    )
    return visit.redirect("reviewed")


get, post = shown("r", show), acted("r", act, again, MAX_PHOTO)
