"""The table of problems: what each id means, and an example of the fix. `templates/LANGUAGE.md` is generated from it.

An id keeps its meaning. The id of a problem that no longer exists is never used again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from streams.definitions.problem_texts import conditions, files, flows, messages, policies, stories
from streams.definitions.problem_texts.entry import Entry

#: The part of an id before the dot, with the files that it is about.
PREFIXES: Mapping[str, str] = MappingProxyType(
    {
        "files": "The templates folder and its files.",
        "yaml": "The form of any YAML file, and its single values.",
        "condition": "Conditions, in flows and in `segments.yaml`.",
        "flow": "`flow.yaml`, its older versions, and flows together.",
        "rules": "`rules.yaml`.",
        "consent": "`consent.yaml`.",
        "brand": "`shared/brand.yaml`.",
        "occasions": "`occasions.yaml`.",
        "message": "Templates and copy files of messages.",
        "story": "`stories/*.yaml`, which `takk story` plays. A worker does not read them.",
    }
)

PROBLEMS: Mapping[str, Entry] = MappingProxyType(
    {**files.ENTRIES, **conditions.ENTRIES, **flows.ENTRIES, **policies.ENTRIES, **messages.ENTRIES, **stories.ENTRIES}
)

#: The ids of problems that no longer exist, with the ids that took their place.
RETIRED: Mapping[str, str] = MappingProxyType({"brand.E005": "brand.W003", "brand.E009": "brand.W004"})
