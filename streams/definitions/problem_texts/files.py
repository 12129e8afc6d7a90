"""Problems: the templates folder, and the form of any YAML file."""

from __future__ import annotations

from streams.definitions.problem_texts.entry import Entry

ENTRIES = {
    "files.E001": Entry("Folder not found", "The templates folder does not exist.", "set `TAKK_TEMPLATES_DIR`"),
    "files.E002": Entry("No flows", "The templates folder contains no flow.", "add `flows/<group>/<flow>/flow.yaml`"),
    "files.E003": Entry("Cannot read", "The system refuses access to a file or folder.", "check its permissions"),
    "files.E004": Entry("Not UTF-8", "The file has another encoding than UTF-8.", "save it as UTF-8"),
    "files.E005": Entry(
        "Old layout",
        "Flows or shared templates are at the top of the folder, as in earlier versions.",
        "move them to `flows/<group>/` and `shared/`",
    ),
    "files.E006": Entry("Flow without a folder", "Each flow has its own folder.", "move it to `flows/<group>/<flow>/`"),
    "files.E007": Entry(
        "Flow without a group", "The folders of flows are in groups.", "move the folder to `flows/<group>/`"
    ),
    "files.E008": Entry(
        "Missing `flow.yaml`", "The folder of a flow has no `flow.yaml`.", "add it, or remove the folder"
    ),
    "files.E009": Entry(
        "Duplicate flow name",
        "Two folders have the same name. Stored state knows flows by name.",
        "rename one folder and the flow in it",
    ),
    "files.E010": Entry(
        "Invalid file name", "Older versions of a flow have the name `flow.v<version>.yaml`.", "`flow.v3.yaml`"
    ),
    "files.E011": Entry(
        "Unknown flow of Takk", "`library.yaml` names a flow that Takk does not have.", "correct the spelling"
    ),
    "files.E012": Entry(
        "Too large",
        "A file has more than 1 MB, or the folder more than 20 MB or 10,000 files. Every process reads the whole folder again and again.",
        "move pictures and films to the server of your shop",
    ),
    "yaml.E001": Entry(
        "Invalid YAML", "The file cannot be parsed.", "check the indentation, the colons and the brackets"
    ),
    "yaml.E002": Entry("Alias", "YAML aliases (`*name`) are not supported.", "write the value out"),
    "yaml.E003": Entry("Invalid character", "YAML does not allow this character.", "remove it"),
    "yaml.E004": Entry("Nested too deeply", "Brackets or lists are nested too deeply.", "remove some levels"),
    "yaml.E005": Entry("Not a mapping", "A mapping of keys to values is expected.", "`{message: a}`"),
    "yaml.E006": Entry("Not a list", "A list is expected.", "`[order.cancelled, order.refunded]`"),
    "yaml.E007": Entry("Not a single value", "A word, a number or a text is expected.", "`version: 2`"),
    "yaml.E008": Entry("Missing value", "The value is empty.", '`law: "GDPR"`'),
    "yaml.E009": Entry("Duplicate key", "A mapping has the same key twice.", "remove one of them"),
    "yaml.E010": Entry("Unknown key", "The key does not exist at this place.", "correct the spelling"),
    "yaml.E011": Entry("Missing key", "A required key is missing.", "add the key"),
    "yaml.E012": Entry("Unknown value", "Only certain words are valid for the key.", "`status: live`"),
    "yaml.E013": Entry("Invalid number", "The value is not a whole number in the valid range.", "`priority: 60`"),
    "yaml.E014": Entry("Invalid duration", "A duration is a number and `w`, `d`, `h`, `m` or `s`.", "`expires: 12h`"),
    "yaml.E015": Entry("Invalid time of day", "A time of day has hours and minutes.", '`at: "10:00"`'),
    "yaml.E016": Entry("Invalid date", "A date has year, month and day.", "`not_before: 2026-12-01`"),
    "yaml.E017": Entry(
        "Invalid name",
        "A name consists of lowercase letters, digits and dashes, and starts with a letter. Fields have underscores instead of dashes.",
        "`flow: thank-you`",
    ),
    "yaml.E018": Entry("No weekday left", "All weekdays are excluded.", "`not_on: [sat, sun]`"),
}
