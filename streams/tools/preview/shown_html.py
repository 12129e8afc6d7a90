"""The HTML of an email as a page on this machine shows it: with the pictures that it carries, and without requests to other servers."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import blake2b
from html import escape, unescape
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from streams.mail.rendering.renderer import RenderedEmail

#: The colors that a reader has chosen for the whole system.
Scheme: TypeAlias = Literal["light", "dark"]

#: An email may use its own styles and pictures within it. It runs no script and sends no request.
EMAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'"

#: Bytes of a picture of an example.
MAX_PICTURE_BYTES = 512 * 1024
#: The file name at the end of the address of a picture.
_NAME = re.compile(r"/([A-Za-z0-9][A-Za-z0-9_-]*\.(?:png|jpg|jpeg))(?:$|[?#])")
_SCHEME = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)", re.IGNORECASE)
_IMAGE = re.compile(r"<(?:img|source)\b[^>]*>", re.IGNORECASE)
_SOURCE = re.compile(r"""(\bsrc(?:set)?\s*=\s*)(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
_END_OF_HEAD = re.compile(r"</head\s*>", re.IGNORECASE)
#: The part of a body that only inboxes show, and the characters that pad it.
_PREVIEW = re.compile(
    r"""<(?:div|span)\b[^>]*(?:class="[^"]*preview[^"]*"|display:\s*none)[^>]*>(.*?)</(?:div|span)>""",
    re.DOTALL | re.IGNORECASE,
)
_TAG = re.compile(r"<[^>]+>")
_INVISIBLE = dict.fromkeys(map(ord, "\u034f\u200b\u200c\u200d\u2007\ufeff\u00ad"))
#: Soft and deep tones of the pictures that stand in for those of products.
_TONES = (
    ("#e7efe9", "#5f8a75"),
    ("#f3e8dc", "#b3814f"),
    ("#e6ebf4", "#6b82ad"),
    ("#f4e6ea", "#b06a80"),
    ("#efece1", "#8d8658"),
)
#: Their outlines: a mug, a bottle, a box and a lamp.
_OUTLINES = (
    '<path d="M60 78h64v46a16 16 0 0 1-16 16H76a16 16 0 0 1-16-16z"/><path d="M124 90h8a14 14 0 0 1 0 28h-8" fill="none" stroke-width="8"/>',
    '<path d="M88 48h24v22c0 8 16 14 16 32v44a10 10 0 0 1-10 10H82a10 10 0 0 1-10-10v-44c0-18 16-24 16-32z"/>',
    '<path d="M52 82l48-22 48 22v48l-48 24-48-24z"/>'
    '<path d="M52 82l48 22 48-22M100 104v50" fill="none" stroke-opacity=".35" stroke="#fff" stroke-width="4"/>',
    '<path d="M72 52h56l20 52H52z"/><path d="M100 104v42M78 148h44" fill="none" stroke-width="8"/>',
)


def shown_html(
    email: RenderedEmail, scheme: Scheme | None = None, *, has_pictures: bool = True, pictures: Path | None = None
) -> str:
    """Return the HTML part of an email without any address that a browser would load.

    Args:
        email: the email.
        scheme: the colors that are shown whatever the reader has chosen; None leaves that to the browser.
        has_pictures: whether pictures are shown. Those from other servers are replaced by drawings. Without them, alt texts are shown.
        pictures: the folder with pictures for examples. One with the name of an address is shown instead of a drawing.
    """
    html = with_logos(email)
    return with_scheme(without_requests(html, has_pictures=has_pictures, pictures=pictures), scheme)


def with_logos(email: RenderedEmail) -> str:
    """Return the HTML part of an email with the pictures that the email carries in it."""
    html = email.html
    for logo in email.logos:
        data = f"data:{logo.media_type};base64,{b64encode(logo.data).decode()}"
        html = html.replace(f"cid:{logo.content_id}", data)
    return html


def without_requests(html: str, *, has_pictures: bool = True, origin: str = "", pictures: Path | None = None) -> str:
    """Return HTML whose pictures are within it: drawings replace those from other servers.

    Args:
        html: the HTML.
        has_pictures: whether pictures are shown.
        origin: scheme, host and port of a server whose pictures stay; "" for none.
        pictures: the folder with pictures for examples, if there is one.
    """

    def replace(match: re.Match[str]) -> str:
        address = match[2] if match[2] is not None else match[3]
        if not has_pictures:
            return f'{match[1]}""'
        is_kept = address.startswith("data:") or (bool(origin) and address.startswith(f"{origin}/"))
        if is_kept:
            return match[0]
        return f'{match[1]}"{(own_picture(pictures, address) if pictures is not None else "") or drawing(address)}"'

    return _IMAGE.sub(lambda image: _SOURCE.sub(replace, image[0]), html)


def with_scheme(html: str, scheme: Scheme | None) -> str:
    """Return HTML whose rules for light or dark colors apply whatever the reader has chosen."""
    if scheme is None:
        return html
    html = _SCHEME.sub(lambda match: "(min-width:0)" if match[1].lower() == scheme else "(max-width:0)", html)
    return _inserted(html, f"<style>:root{{color-scheme:only {scheme}}}</style>", _END_OF_HEAD, is_before=True)


def with_policy(html: str) -> str:
    """Return HTML that a browser shows without scripts and requests, also from a file."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{escape(EMAIL_POLICY)}">'
    return _inserted(html, policy, _HEAD, is_before=False)


def _inserted(html: str, part: str, at: re.Pattern[str], *, is_before: bool) -> str:
    match = at.search(html)
    if match is None:
        return part + html
    place = match.start() if is_before else match.end()
    return html[:place] + part + html[place:]


def own_picture(folder: Path, address: str) -> str:
    """Return the `data:` address of the picture in a folder that has the name of the one at an address, or ""."""
    match = _NAME.search(address)
    if match is None:
        return ""
    path = folder / match[1]
    if not path.is_file() or path.stat().st_size > MAX_PICTURE_BYTES:
        return ""
    kind = "png" if path.suffix == ".png" else "jpeg"
    return f"data:image/{kind};base64,{b64encode(path.read_bytes()).decode()}"


def drawing(address: str) -> str:
    """Return the `data:` address of a drawing that stands in for the picture at an address. The same address has the same drawing."""
    number = int.from_bytes(blake2b(address.encode(errors="replace"), digest_size=4).digest())
    soft, deep = _TONES[number % len(_TONES)]
    outline = _OUTLINES[number // len(_TONES) % len(_OUTLINES)]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="200" height="200" viewBox="0 0 200 200" preserveAspectRatio="xMidYMid slice">'
        f'<rect width="200" height="200" fill="{soft}"/><ellipse cx="100" cy="160" rx="58" ry="7" fill="{deep}" opacity=".2"/>'
        f'<g fill="{deep}" stroke="{deep}" stroke-linejoin="round" stroke-linecap="round">{outline}</g></svg>'
    )
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"


def preheader(html: str) -> str:
    """Return the words that inboxes show after the subject: the hidden text at the start of the body, or ""."""
    match = _PREVIEW.search(html)
    return " ".join(unescape(_TAG.sub(" ", match[1])).translate(_INVISIBLE).split()) if match else ""
