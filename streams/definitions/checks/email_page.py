"""The HTML of an email as customers get it: its links, its pictures and its words."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlsplit

#: Schemes of links that need a host, and others that email programs open.
_WEB, _OTHER = ("http", "https"), ("mailto", "tel", "sms")
#: Schemes of pictures: those in the email itself have no host.
_EMBEDDED = ("cid", "data")
#: Pixels of the widest picture: the width of the card.
WIDEST = 600
#: The elements whose words nobody reads.
_UNREAD = ("head", "script", "style")


class EmailPage(HTMLParser):
    """The links, images and words in the HTML of an email.

    Attributes:
        addresses: the address of each link and image, and whether it is an image.
        without_text: the addresses of the images without `alt`.
        too_wide: the addresses of the images that are wider than the email, with their widths in pixels.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[tuple[str, bool]] = []
        self.without_text: list[str] = []
        self.too_wide: list[tuple[str, int]] = []
        self._words: list[str] = []
        self._unread = 0
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        """The words, without markup."""
        return " ".join(self._words)

    def handle_data(self, data: str) -> None:
        """Note words, unless nobody reads them."""
        if not self._unread:
            self._words.append(data)

    def handle_endtag(self, tag: str) -> None:
        """Note the end of an element that nobody reads."""
        self._unread -= tag in _UNREAD and self._unread > 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link or an image."""
        values = dict(attrs)
        self._unread += tag in _UNREAD
        if tag == "a" and "href" in values:
            self.addresses.append(((values["href"] or "").strip(), False))
        elif tag == "img":
            source = (values.get("src") or "").strip()
            self.addresses.append((source, True))
            if "alt" not in values:
                self.without_text.append(source)
            width = (values.get("width") or "").removesuffix("px")
            if width.isdecimal() and int(width) > WIDEST:
                self.too_wide.append((source, int(width)))


def is_address(value: str, *, is_image: bool) -> bool:
    """Return whether an email program can open a link, or show an image."""
    try:
        parts = urlsplit(value)
        if parts.scheme in _WEB:
            return bool(parts.hostname) and value.isprintable() and " " not in value
    except ValueError:
        return False
    if is_image:
        return parts.scheme in _EMBEDDED
    # An email without a recipient is for a person whom the customer chooses (RFC 6068).
    is_letter = parts.scheme == "mailto" and bool(parts.query)
    return (parts.scheme in _OTHER and (bool(parts.path) or is_letter)) or (value.startswith("#") and len(value) > 1)
