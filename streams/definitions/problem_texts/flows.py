"""Problems: flows."""

from __future__ import annotations

from streams.definitions.problem_texts.entry import Entry

ENTRIES = {
    "flow.E001": Entry(
        "Name differs from the folder",
        "The folder has the name of the flow.",
        "`flow: review` in the folder `review`",
    ),
    "flow.E002": Entry(
        "Holdout of transactional emails", "Every customer gets transactional emails.", "remove `holdout`"
    ),
    "flow.E003": Entry(
        "Ends immediately", "The event that starts the flow would also end it.", "remove it from `exit_on`"
    ),
    "flow.E004": Entry(
        "No order", "The trigger is not about an order.", "start with an order or a parcel, or remove the reference"
    ),
    "flow.E005": Entry("No parcel", "The trigger is not about a parcel.", "`trigger: {on: shipment.shipped}`"),
    "flow.E006": Entry("Waits for itself", "`not_with` has the flow's own name.", "remove it"),
    "flow.E007": Entry(
        "Migration from a newer version", "A migration goes from an older version to this one.", "raise `version`"
    ),
    "flow.E008": Entry("Duplicate migration", "Two migrations have the same `from`.", "merge the two"),
    "flow.E009": Entry("Empty migration", "The migration maps no steps.", '`steps: {"1.0.0": "2.0.0"}`'),
    "flow.E010": Entry("Invalid step path", "A path consists of numbers, as `takk flows show` prints it.", '`"1.0.2"`'),
    "flow.E011": Entry(
        "Impossible `once_per`",
        "The trigger has no such order, parcel or product.",
        "`{on: shipment.shipped, once_per: parcel}`",
    ),
    "flow.E012": Entry(
        "`which` without parcels", "`which` selects a parcel, and the trigger has none.", "remove `which`"
    ),
    "flow.E013": Entry(
        "`which` conflicts with `once_per`",
        "`which: each` and `once_per: parcel` need each other.",
        "`{once_per: parcel, which: each}`",
    ),
    "flow.E014": Entry(
        "Redundant `again_after`", "The trigger repeats every year, or happens only once.", "remove `again_after`"
    ),
    "flow.E015": Entry(
        "`before` without a date",
        "Only birthdays, anniversaries, important dates, launches and ends of rewards are known in advance.",
        "`{on: customer.birthday, before: 3d}`",
    ),
    "flow.E016": Entry("Invalid number of days", "`before` is whole days, up to 365.", "`before: 3d`"),
    "flow.E017": Entry(
        "Segment without a segment trigger", "The trigger has no segment.", "`{on: segment.entered, segment: vip}`"
    ),
    "flow.E018": Entry("Nested too deeply", "Branches are nested more than 8 levels deep.", "divide the flow in two"),
    "flow.E019": Entry("No steps", "A list of steps is empty.", "`- send: {message: a}`"),
    "flow.E020": Entry("Empty step", "The step has no kind.", "`- wait: 1d`"),
    "flow.E021": Entry("Several kinds", "Each step has one kind.", "start each step with its own dash"),
    "flow.E022": Entry("Value too long", "The value of a field is longer than 200 characters.", "shorten it"),
    "flow.E023": Entry(
        "`within` without a pool",
        "A signed code is given at once. Only pool codes can be waited for.",
        "`{name: ten, pool: tens, within: 1d}`",
    ),
    "flow.E024": Entry("Wait too long", "The longest wait is 400 days, or 13 months.", "`wait: 365d`"),
    "flow.E025": Entry(
        "Wait without an end",
        "A wait needs a length, a weekday or a time of day.",
        '`wait: {days: 2, at: "10:00"}`',
    ),
    "flow.E026": Entry("`on` and `not_on`", "`on` and `not_on` exclude each other.", "remove one of them"),
    "flow.E027": Entry("Empty `on`", "Without a weekday the wait never ends.", "`on: [tue, thu]`"),
    "flow.E028": Entry(
        "Missing `until`", "`before` and `lasts` refer to `until`.", "`{until: shipment.window_to, before: 1d}`"
    ),
    "flow.E029": Entry(
        "No launch",
        "Only a product that the customer viewed has a launch to wait for.",
        "`trigger: {on: product.viewed, once_per: product}`",
    ),
    "flow.E030": Entry(
        "No product", "Only a flow that runs per product knows which product runs out.", "`once_per: product`"
    ),
    "flow.E031": Entry(
        "No email before",
        "Without a `send` before it, the event of an email cannot occur.",
        "add a `send` before the step",
    ),
    "flow.E032": Entry("Too few branches", "An experiment compares two branches or more.", "add a branch"),
    "flow.E033": Entry(
        "Wrong total", "The percentages of an experiment do not add up to 100.", "`percent: 50` and `percent: 50`"
    ),
    "flow.E034": Entry(
        "Duplicate branch name", "Two branches of an experiment have the same name.", "rename one of them"
    ),
    "flow.E035": Entry(
        "Mixed branch", "A branch has either `when` and `steps`, or `otherwise`.", "make it two branches"
    ),
    "flow.E036": Entry(
        "Branches after `otherwise`",
        "`otherwise` matches every customer who is left.",
        "move `otherwise` to the end",
    ),
    "flow.E037": Entry("Duplicate condition", "An earlier branch has the same condition.", "change one of them"),
    "flow.E038": Entry("No branches", "The split is empty.", "`- otherwise: [{wait: 1d}]`"),
    "flow.E039": Entry("Unknown message", "The folder of the flow has no such message.", "add `<message>.html.j2`"),
    "flow.E040": Entry(
        "Other purpose in a transactional flow",
        "A transactional flow sends only transactional emails.",
        "send it from another flow",
    ),
    "flow.E041": Entry("Products in a transactional email", "Recommendations are advertising.", "remove `products`"),
    "flow.E042": Entry("`at_least` is too high", "`at_least` is more than `products`.", "`{products: 4, at_least: 2}`"),
    "flow.E043": Entry("Never starts", "The trigger's `where` is never true.", "change the condition"),
    "flow.E044": Entry("Goal is never reached", "`goal` is never true.", "change the condition"),
    "flow.E045": Entry(
        "Goal is always reached", "`goal` is always true, so every customer leaves at once.", "change the condition"
    ),
    "flow.E046": Entry(
        "Condition is never true", "No customer takes this branch.", "change the condition, or remove the branch"
    ),
    "flow.E047": Entry(
        "Unreachable branch",
        "An earlier branch matches every customer of this one.",
        "change the order of the branches",
    ),
    "flow.E048": Entry(
        "Event ends the flow",
        "The awaited event is also in `exit_on`, and ends the flow first.",
        "remove it from `exit_on`",
    ),
    "flow.E049": Entry("Event never occurs", "The `where` of a `wait_for` is never true.", "change the condition"),
    "flow.E050": Entry(
        "Email without consent",
        "Only customers without the required consent reach the `send`.",
        "change the condition, or remove the `send`",
    ),
    "flow.E051": Entry(
        "Missing reward code",
        "The message shows `reward.code`, but some customers reach it without a code.",
        "check `reward.is_given` before the `send`",
    ),
    "flow.E052": Entry(
        "Different experiments",
        "Two experiments with the same name have different branches.",
        "rename one experiment",
    ),
    "flow.E053": Entry(
        "Unknown flow",
        "`not_with` names neither a flow nor a series in `outside` of `rules.yaml`.",
        "`not_with: [welcome]`",
    ),
    "flow.E054": Entry(
        "Version differs from the file name",
        "The number in the file name is the version.",
        "`version: 3` in `flow.v3.yaml`",
    ),
    "flow.E055": Entry(
        "Older version is not older", "`flow.yaml` has the highest version.", "raise `version` in `flow.yaml`"
    ),
    "flow.E056": Entry(
        "Version not kept",
        "Without its file the paths of an older version are unknown.",
        "keep it as `flow.v<version>.yaml`",
    ),
    "flow.E057": Entry(
        "Unknown step", "The older version has no such step.", "use a path that `takk flows show` prints"
    ),
    "flow.E058": Entry(
        "No customer waits there",
        "Customers never wait at this step, so the mapping has no effect.",
        "map the step that follows the wait",
    ),
    "flow.E059": Entry(
        "Unknown target", "The newer version has no such step.", "use a path that `takk flows show` prints"
    ),
    "flow.E060": Entry(
        "Waits for something else",
        "The target does not wait for the same event or pool.",
        "map it to a step that does",
    ),
    "flow.E061": Entry(
        "Received twice",
        "After the move, customers could receive an email, a reward or a signal again.",
        "map it to a later step",
    ),
    "flow.E062": Entry(
        "Transactional email without an order",
        "Emails that are sent whatever the consent are about an order or a parcel.",
        "`trigger: {on: order.placed}`, or another `purpose`",
    ),
    "flow.E063": Entry(
        "Reward in a transactional flow",
        "A reward is advertising, which needs consent.",
        "give the reward in a flow for `marketing`",
    ),
    "flow.E064": Entry(
        "Transactional email too late",
        "A transactional email is sent within 60 days of the event that starts the flow.",
        "shorten the waits, or use another `purpose`",
    ),
    "flow.E065": Entry(
        "Date without a date trigger",
        "Only `customer.date` starts on a date with a name.",
        "`{on: customer.date, date: wedding}`",
    ),
    "flow.E066": Entry(
        "Invalid name of a date",
        "Names of dates have lowercase letters, digits and underscores, and at most 40 characters.",
        "`date: wedding_day`",
    ),
    "flow.E067": Entry(
        "`value` and `from`",
        "A field gets either a `value`, or what a name has now.",
        "`{name: nps, from: event.answer}`",
    ),
    "flow.E068": Entry(
        "Not a text or a number",
        "Only a text or a number can be stored in a field, and only a number added to one.",
        "`{name: nps, from: event.number}`",
    ),
    "flow.E069": Entry(
        "Invalid amount",
        "`add` takes a whole number up to 1,000,000, which may be negative.",
        "`{name: points, value: -50}`",
    ),
    "flow.E070": Entry("Expiry of a negative value", "Only what is added can expire.", "remove `expires`"),
    "flow.E071": Entry(
        "Repetition within a repetition", "The steps of `repeat` contain no other `repeat`.", "raise `times`"
    ),
    "flow.E072": Entry("Repetition without an end", "`until` is never true.", "change the condition"),
    "flow.E073": Entry(
        "Threshold without its trigger",
        "Only `customer.reached` starts when a threshold is reached.",
        "`{on: customer.reached, threshold: customer.orders_in(90d) >= 3}`",
    ),
    "flow.E074": Entry(
        "Source without products",
        "`from` and `category` say which products an email recommends.",
        "`{products: 4, from: [favourites]}`",
    ),
    "flow.E075": Entry(
        "Invalid source",
        "`from` lists each source once, and `category` is the name of one category.",
        "`from: [complements, bestsellers]`",
    ),
    "flow.E076": Entry(
        "`together` with recommendations",
        "The template gets the products of the flow as `products`, in the place of recommended ones.",
        "remove one of them",
    ),
    "flow.E077": Entry(
        "`together` of parcels or requests",
        "Each such email has the link of its own parcel or request.",
        "remove `together`",
    ),
    "flow.E078": Entry("Invalid moment", "A moment is a day and a time of day.", "`at: 2026-12-01 09:00`"),
    "flow.E079": Entry(
        "Moment without its trigger",
        "Only `date` starts at a moment, by a clock, spread over a time.",
        "`{on: date, at: 2026-12-01 09:00, segment: vip}`",
    ),
    "flow.E080": Entry("Spread too long", "A campaign is spread over 7 days at most.", "`spread: 4h`"),
    "flow.E081": Entry(
        "Backfill without members",
        "Only flows on a segment that is entered, or on a threshold, start for present members.",
        "`{on: segment.entered, segment: vip, backfill: true}`",
    ),
    "flow.E082": Entry(
        "Marketing in the quiet hours",
        "`any_hour` is for marketing emails only in countries whose line in `consent.yaml` is `allowed`.",
        "remove `any_hour`",
    ),
    "flow.E083": Entry(
        "Email that nobody waits for",
        "`any_hour` is for the answer to something that the customer has just done, without a wait before it.",
        "`trigger: {on: survey.answered}`",
    ),
    "flow.E084": Entry("Too many values", "A signal has 12 values at most.", "remove some of them"),
    "flow.E085": Entry(
        "Invalid pools",
        "`pools` has 1 to 40 values, each with the name of a pool.",
        "`{by: customer.top_category, pools: {tea: tea-10}}`",
    ),
    "flow.E086": Entry(
        "Document in another email",
        "Only a transactional email about one order carries a document.",
        "`attach: invoice` in a flow with `purpose: order` that starts with an order",
    ),
    "flow.W001": Entry(
        "`not_with` has no effect", "Transactional emails do not wait for other flows.", "remove `not_with`"
    ),
    "flow.W002": Entry("Unused message", "No version of the flow sends the message.", "delete its files"),
    "flow.W003": Entry(
        "Flows wait for each other", "While both run, neither sends until one ends.", "remove one `not_with`"
    ),
    "flow.W004": Entry("Wait at the end", "No step follows the wait.", "remove the wait"),
    "flow.W005": Entry(
        "Wait for the start",
        "The flow does not start earlier than the wait ends.",
        "`trigger: {on: product.launch, before: 1d}`",
    ),
    "flow.W006": Entry("Wait for the past", "The order was placed before the flow started.", "`wait: 2d`"),
    "flow.W007": Entry(
        "Expires during quiet hours",
        "The email is due in the quiet hours and expires before they end.",
        "raise `expires`",
    ),
    "flow.W008": Entry(
        "Minutes or months?",
        "The wait or `up_to` is in `m`, which are minutes, and the other waits of the flow are in days or months.",
        "`30min` for minutes, `1mo` for months",
    ),
    "flow.W009": Entry(
        "Can expire during quiet hours",
        "The quiet hours can last longer than the email may wait.",
        "raise `expires`, or `wait` until a time of day",
    ),
    "flow.W010": Entry(
        "Expires behind its own flow",
        "An earlier email of the flow takes the place under a cap of `rules.yaml` until after the email expires.",
        "`wait` longer before it, or raise `expires`",
    ),
    "flow.W011": Entry(
        "`together` has no effect",
        "A flow that runs once per customer has no other email to join.",
        "remove `together`",
    ),
    "flow.W012": Entry(
        "Code before a wait",
        "A code of a pool is taken before Takk knows whether the later email may be sent.",
        "move the `reward` behind the wait",
    ),
    "flow.W013": Entry(
        "Campaign is over",
        "The moment of the campaign is past by more than `max_age`, so it starts for no further customer.",
        "a later `at`, or delete the flow",
    ),
    "flow.W014": Entry(
        "`any_hour` has no effect",
        "Transactional emails do not wait for the end of the quiet hours.",
        "remove `any_hour`",
    ),
    "flow.W015": Entry(
        "Document after a wait",
        "After a wait, Takk has forgotten the billing address and the lines of long orders, so customers get a receipt, or no email.",
        "send the email as the first step",
    ),
}
