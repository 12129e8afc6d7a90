"""The page of a photo contest: one photo for each customer and contest. A second one replaces the first."""

from __future__ import annotations

from aiohttp import web

from streams.core.values import ids
from streams.gateway.pages.base.forms import Form
from streams.gateway.pages.base.photos import MAX_PHOTO, InvalidPhoto, encoded
from streams.gateway.pages.base.records import engagement, event_id, publish
from streams.gateway.pages.base.uploads import store_of
from streams.gateway.pages.base.visit import Submission, Visit, acted, shown
from streams.wire import topics

TEMPLATE = "contest.html.j2"
MAX_CAPTION = 500


async def show(visit: Visit) -> web.Response:
    """Return the form, or the thanks after it."""
    return await again(visit, Form(), "")


async def again(visit: Visit, form: Form, error: str) -> web.Response:
    """Return the form again, with what was typed and an error. Browsers never fill in a file again."""
    errors = {"photo": error} if error.startswith("error.photo") else {}
    if len(form.text("caption")) > MAX_CAPTION:
        errors["caption"] = "error.long"
    return visit.page(
        TEMPLATE,
        error=error,
        errors=errors,
        caption=form.text("caption"),
        may_publish=form.text("publish") == "yes",
        most_chars=MAX_CAPTION,
    )


async def act(visit: Visit, submission: Submission) -> web.Response:
    """Store the photo and publish the entry."""
    form, link = submission.form, visit.link
    if form.is_photo_too_large:
        return await again(visit, form, "error.photo-size")
    if len(form.text("caption")) > MAX_CAPTION:
        return await again(visit, form, "error.check")
    if not form.photo:
        return await again(visit, form, "error.photo-missing")
    try:
        content = await encoded(form.photo)
    except InvalidPhoto as error:
        return await again(visit, form, f"error.photo-{error.reason}")
    photo = await store_of(visit.gateway).put(content)
    id = ids.digest("contest", link.customer_id, link.target)
    may_publish = form.text("publish") == "yes"
    entry = {
        "entry_id": id,
        "customer_id": link.customer_id,
        "send_id": link.send_id,
        "contest": link.target,
        "photo": photo,
        "caption": form.text("caption"),
        "may_publish": may_publish,
        "occurred_at": visit.now,
    }
    record_id = event_id(visit, "entry", f"{photo}.{form.text('caption')}.{may_publish}")
    await publish(
        visit,
        visit.gateway.encoder.record(topics.CONTEST_ENTRIES, link.customer_id, record_id, entry),
        engagement(visit, "contest_entered", id, {"contest": link.target}),
    )
    return visit.redirect("entered")


get, post = shown("k", show), acted("k", act, again, MAX_PHOTO)
