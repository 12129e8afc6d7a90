"""Problems: templates and copy files of messages."""

from __future__ import annotations

from streams.definitions.problem_texts.entry import Entry

ENTRIES = {
    "message.E001": Entry("Invalid template", "Jinja cannot parse the template or text.", "check the syntax"),
    "message.E002": Entry("Unknown name", "No message gets this name.", "see [Messages and copy](#messages-and-copy)"),
    "message.E003": Entry(
        "Data not available",
        "The name exists, but not in this message.",
        "`products: 4` in the `send` for `products`",
    ),
    "message.E004": Entry("Unknown field", "The data has no such field.", "`order.total`"),
    "message.E005": Entry(
        "Unknown filter or test",
        "Jinja and Takk have no such filter or test.",
        "see [Messages and copy](#messages-and-copy)",
    ),
    "message.E006": Entry(
        "Missing text",
        "Each language needs every text. One that is like another, as pt-BR is like pt, may have some there.",
        'add `<key>: "…"` to the copy',
    ),
    "message.E007": Entry("Not a text", "The values of a copy file are texts.", "put quotes around the value"),
    "message.E008": Entry(
        "Template not found",
        "An extended or included template does not exist.",
        '`{% extends "shared/layout.html.j2" %}`',
    ),
    "message.E009": Entry("Cannot be rendered", "The message fails with sample data.", "check the template"),
    "message.E010": Entry(
        "Not a language",
        "Copy files, and the languages in `languages.yaml`, are named by language, script and region.",
        "`pt-BR`",
    ),
    "message.E011": Entry(
        "Missing language",
        "`languages.yaml` names a language, and a flow has no copy in it.",
        "add `copy/<language>.yaml`",
    ),
    "message.W001": Entry(
        "Percentage in a service email",
        "Customers get it without consent, so it may not advertise.",
        "send the offer as marketing",
    ),
    "message.W002": Entry(
        "No link to unsubscribe",
        "Every email that is not about an order needs a visible link, in its HTML and in its text.",
        '`<a href="{{ unsubscribe_url }}">`',
    ),
    "message.W003": Entry(
        "Not an address",
        "A link or an image of an email needs a whole address. Email programs know no page that it could be relative to.",
        "`https://shop.example/tea`",
    ),
    "message.W004": Entry(
        "Image without `alt`",
        "Many email programs show no images, and screen readers read the text.",
        '`alt="A cup of tea"`, or `alt=""`',
    ),
    "message.W005": Entry(
        "Unused text",
        "No template uses the text. It is left over, or its key is misspelt.",
        "correct the key, or remove the text",
    ),
    "message.W006": Entry(
        "Offer in a service email",
        "The texts of the email speak of an offer, and customers get it without consent.",
        "send the offer as marketing",
    ),
    "message.W007": Entry(
        "Unknown block",
        "The extended template has no block of this name, so the email lacks all that is in it.",
        "`{% block content %}`",
    ),
    "message.W008": Entry(
        "Conditional comment without its other part",
        "Outlook would draw the rest of the email in the wrong place, or not at all.",
        "`<!--[if mso]>…<![endif]-->`",
    ),
    "message.W009": Entry(
        "Layout table without a role",
        "Screen readers would read the layout as a table of data.",
        '`<table role="presentation">`',
    ),
    "message.W010": Entry(
        "Picture without a width",
        "Outlook ignores widths in styles, and shows a large picture in its own size.",
        '`<img width="520">`',
    ),
    "message.W011": Entry(
        "Link that leads nowhere",
        "The address is a placeholder, or its host is one that customers cannot reach. Takk does not open links: whether the page exists is yours "
        "to see.",
        "the address of your page",
    ),
    "message.W012": Entry(
        "Picture wider than the email",
        "Outlook does not make a picture smaller, and the email becomes as wide as it.",
        '`<img width="600">`, or less',
    ),
    "message.W013": Entry(
        "No legal lines",
        "The law requires your company and its address in each email, in its HTML and in its text.",
        '`{% extends "shared/layout.html.j2" %}`',
    ),
    "message.W014": Entry(
        "Receipt that does not add up",
        "The email shows lines of the order and its total, and not the shipping, the discounts or the lines that explain the difference.",
        '`{% include "shared/blocks/totals.html.j2" %}`',
    ),
    "message.W015": Entry(
        "Text without contrast",
        "Customers must be able to read each text in light colors (WCAG 2.2). `takk templates test` measures dark colors too.",
        "a darker or a lighter color",
    ),
    "message.W016": Entry(
        "Email too large",
        "Gmail cuts an email after 102 kB of HTML, and with it the link to unsubscribe.",
        "fewer blocks, or two emails",
    ),
    "message.W017": Entry(
        "Long subject",
        "Phones cut a subject after about 50 letters.",
        "continue it in the preview",
    ),
    "message.W018": Entry(
        "Subject like spam",
        "Spam filters and customers distrust capital letters, several marks in a row, feigned answers and certain words.",
        "say what the email is about",
    ),
}
