"""Problems: `rules.yaml`, `consent.yaml`, `occasions.yaml` and `shared/brand.yaml`."""

from __future__ import annotations

from streams.definitions.problem_texts.entry import Entry

ENTRIES = {
    "rules.E001": Entry(
        "Caps are too high",
        "Takk remembers a limited number of emails per customer, and all caps together must fit.",
        "reduce `most`",
    ),
    "rules.E002": Entry(
        "Empty `of`", "The cap has no purposes.", "`of: [marketing]`, or remove `of` to cap all emails"
    ),
    "rules.E003": Entry(
        "No quiet hours", "The quiet hours start and end at the same time.", '`{from: "21:00", to: "08:00"}`'
    ),
    "consent.E001": Entry("Empty file", "`consent.yaml` has no purposes.", "see [Consent](#consent)"),
    "consent.E002": Entry(
        "No default",
        "Each purpose needs a line for all other countries.",
        '`"*": {verdict: needs_consent, law: "…", article: "…"}`',
    ),
    "consent.E003": Entry("Unknown country", "Countries are codes of ISO 3166-1.", "`GB`"),
    "consent.E004": Entry(
        "Transactional email needs consent", "Transactional emails are always allowed.", "`verdict: allowed`"
    ),
    "consent.E005": Entry(
        "No separate opt-in",
        "`own_opt_in` exists only for `review`, `survey` and `profile`.",
        "`verdict: needs_consent`",
    ),
    "consent.E006": Entry(
        "`within_days` without a purchase",
        "`within_days` counts from a purchase.",
        "`{verdict: soft_opt_in, within_days: 730}`",
    ),
    "consent.E007": Entry(
        "Invalid verdict for tracking",
        "Customers agree to tracking, or it is allowed; a purchase and other consents do not count.",
        "`verdict: needs_consent`",
    ),
    "consent.W001": Entry(
        "No `consent.yaml`",
        "The strictest policy applies: only transactional emails and emails with explicit consent are sent.",
        "copy Takk's own file, and have it reviewed",
    ),
    "brand.E001": Entry(
        "Invalid text", "A text of the brand is one line, and a few lines are room enough.", "`name: Takk`"
    ),
    "brand.E002": Entry(
        "Invalid address", "Pages and emails link only to addresses with https.", "`https://shop.example/`"
    ),
    "brand.E003": Entry(
        "Placeholder that is missing or unknown",
        "`cart` needs `{items}` and `referral` needs `{code}`, once and behind the host. Nothing else in braces is replaced.",
        '`cart: "https://shop.example/cart?items={items}"`',
    ),
    "brand.E004": Entry("Invalid logo", "The logo is a picture in the folder `shared`.", "`logo: logo.svg`"),
    "brand.E006": Entry("Invalid color", "Colors are six hexadecimal digits.", '`"#2f5d50"`'),
    "brand.E007": Entry("Invalid name of a date", "The name becomes a field of the customer.", "`partner_birthday`"),
    "brand.E008": Entry("Unknown country", "Countries are codes of ISO 3166-1.", "`GB`"),
    "brand.E010": Entry("Invalid email address", "Customers write to it.", "`email: help@shop.example`"),
    "brand.E011": Entry(
        "Invalid fonts",
        "Fonts are a list as CSS writes it, of letters, digits, spaces, commas, dashes and quotes.",
        "`text: Helvetica, Arial, sans-serif`",
    ),
    "brand.W001": Entry(
        "Logo only on pages",
        "Each email carries the logo, so that reading it asks no server. Email programs show PNG and JPEG, and not SVG.",
        "`logo: logo.png`, with at most 64 kB",
    ),
    "brand.W002": Entry(
        "The brand of the example",
        "Customers would see its name, its company and its addresses in emails and on pages.",
        "your own `name`, `shop_url`, `legal` and `privacy_url`",
    ),
    "brand.W003": Entry(
        "Too little contrast",
        "Customers must be able to read each color of texts on the background and on the card (WCAG 2.2).",
        "a darker `accent`, or a lighter `accent_dark`",
    ),
    "brand.W004": Entry(
        "Unreadable text",
        "Customers must be able to read texts of Takk's colors on the background and on the card (WCAG 2.2).",
        "a lighter `background`, or a darker `background_dark`",
    ),
    "brand.W005": Entry(
        "Placeholders in the legal lines",
        "The law requires the company and its address in marketing emails. Mailers hold these back while they would name the example's.",
        '`legal: ["Skovgaard & Søn ApS, Skovvej 12, 8000 Aarhus C"]`',
    ),
    "brand.W006": Entry(
        "Seller of invoices is missing",
        "The law requires company, address and VAT number of the seller on invoices. Without them, customers get receipts.",
        '`vat: "VAT DK12345678"`',
    ),
    "occasions.E001": Entry(
        "Built-in occasion",
        "`plain`, `morning`, `weekend` and `christmas` have days of their own.",
        "another name, such as `boxing-day`",
    ),
    "occasions.E002": Entry(
        "Invalid day",
        "Days are of each year, of one year, or beside Easter Sunday.",
        "`12-24`, `2027-12-24` or `easter-3`",
    ),
    "occasions.E003": Entry(
        "Different forms", "The first and the last day are written in the same form.", "`{from: 12-27, to: 12-31}`"
    ),
    "occasions.E004": Entry(
        "Ends before it begins", "Only days of each year may pass over New Year.", "`{from: easter-3, to: easter+1}`"
    ),
    "occasions.E005": Entry("No weekdays", "The occasion would never come.", "`on: [sun]`"),
    "occasions.E006": Entry("Unknown country", "Countries are codes of ISO 3166-1.", "`SE`"),
    "occasions.W001": Entry(
        "Occasion without words",
        "No copy has a greeting or a closing for it, so emails are as on any other day.",
        '`closing.new-year: "Happy New Year"` in `copy/en.yaml`',
    ),
}
