"""The schema registry: writer schemas by their id, believed only under the subjects of the topics that have the schema.

An id that is unknown costs no request of its own. The versions of a schema's own subjects are listed again, at most once per
`REFRESH_INTERVAL_S` for all schemas of the process, however many ids are unknown. An id that is not among them is not valid for the topic,
whether the registry knows it or not.

Sources: Confluent's API (`GET /subjects/(subject)/versions`), and its strategies for the names of subjects.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from streams.runtime.avro.schemas import Schema
from streams.runtime.errors import RegistryUnavailable

#: Seconds from one refresh to the next.
REFRESH_INTERVAL_S = 1.0
#: Seconds to wait for an answer.
TIMEOUT_S = 10.0
#: The newest versions of a subject that are read. A subject has tens.
MAX_VERSIONS = 500
#: HTTP statuses that mean that a subject does not exist, or is not for this client.
NOT_FOUND, FORBIDDEN = 404, (401, 403)
#: HTTP statuses below 500 after which the same request may succeed later: timeout, and too many requests.
TRY_AGAIN = (408, 429)
#: The answer to a request whose status is ignored.
MISSING = object()


def connect(address: str, login: str | None = None, timeout_s: float = TIMEOUT_S) -> Any:
    """Return Confluent's client, which does not repeat requests.

    Args:
        address: the URL of the registry, or several with commas between, without user and password: the HTTP client logs it.
            `mock://` is an in-memory registry.
        login: `user:password`, or None.
        timeout_s: seconds to wait for an answer.
    """
    # Imported late: most installations have no registry, and its client imports an HTTP library.
    from confluent_kafka.schema_registry import SchemaRegistryClient

    config: dict[str, Any] = {"url": address, "timeout": timeout_s, "max.retries": 0}
    if login is not None:
        config["basic.auth.user.info"] = login
    return SchemaRegistryClient.new_client(config)


class Registry:
    """The writer schemas of the subjects of each schema. All methods may be called from several threads.

    Args:
        client: Confluent's client, see `connect`.
        subjects: name -> the subjects to register the schema under, `<topic>-value`.
        full_names: name -> the full name of the record.
        clock, sleep: replaced in tests.
    """

    def __init__(
        self,
        client: Any,
        subjects: Mapping[str, Sequence[str]],
        full_names: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._subjects = {name: list(subjects.get(name) or [full_names[name]]) for name in full_names}
        self._others = {name: _other_subjects(self._subjects[name], full_names[name]) for name in full_names}
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._next_at = clock()
        self._schemas: dict[str, dict[int, Any]] = {name: {} for name in full_names}
        self._read: set[tuple[str, int]] = set()
        self._refreshed_at: dict[str, float] = {}

    def register(self, name: str, schema: Schema) -> int:
        """Register a schema under its subjects, and return its id.

        Raises:
            RegistryUnavailable: the registry does not answer.
            SchemaRegistryError: the registry rejects the schema or the login.
        """
        from confluent_kafka.schema_registry import Schema as RegistrySchema
        from confluent_kafka.schema_registry.error import SchemaRegistryError

        registered = RegistrySchema(json.dumps(schema), "AVRO")
        try:
            ids = [int(self._client.register_schema(subject, registered)) for subject in self._subjects[name]]
        except SchemaRegistryError as error:
            if error.http_status_code < 500 and error.http_status_code not in TRY_AGAIN:
                raise
            raise RegistryUnavailable(f"the registry answers {error.http_status_code}") from error
        # As in `_ask`: the client does not wrap the errors of its HTTP library.
        except Exception as error:
            raise RegistryUnavailable(f"no answer of the registry ({type(error).__name__}: {error})") from error
        # Records of this version need no further request.
        self._schemas[name] |= dict.fromkeys(ids, registered)
        return ids[0]

    def find(self, name: str, number: int) -> Any | None:
        """Return the schema with an id as the client's object (`schema_type`, `schema_str`, `references`), or None. No request is made."""
        return self._schemas[name].get(number)

    def age_s(self, name: str) -> float:
        """Return the seconds since the last refresh of a schema's subjects began; infinite before the first."""
        return self._clock() - self._refreshed_at.get(name, float("-inf"))

    def refresh(self, names: Iterable[str], since: float) -> None:
        """Read the new versions of the subjects of `names`, unless that began after `since`. Block until done.

        Args:
            names: the names of schemas.
            since: when the record with the unknown id had been read, in seconds of `clock`: its writer registered the schema before.

        Raises:
            RegistryUnavailable: the registry does not answer.
        """
        with self._lock:
            due = [name for name in names if self._refreshed_at.get(name, float("-inf")) < since]
            if not due:
                return
            if (wait := self._next_at - self._clock()) > 0:
                self._sleep(wait)
            started = self._clock()
            try:
                for name in due:
                    for subject in self._subjects[name]:
                        self._read_versions(name, subject, ignored=(NOT_FOUND,))
                    for subject in self._others[name]:
                        self._read_versions(name, subject, ignored=(NOT_FOUND, *FORBIDDEN))
                    self._refreshed_at[name] = started
            finally:
                self._next_at = self._clock() + REFRESH_INTERVAL_S

    def _read_versions(self, name: str, subject: str, ignored: Sequence[int]) -> None:
        # Records of a version that was deleted since are valid.
        versions = self._ask(partial(self._client.get_versions, subject, deleted=True), ignored)
        if versions is MISSING:
            return
        if not isinstance(versions, list) or not all(type(version) is int for version in versions):
            raise RegistryUnavailable("the answer of the registry is not a list of versions")
        for version in sorted(versions)[-MAX_VERSIONS:]:
            if (subject, version) in self._read:
                continue
            found = self._ask(partial(self._client.get_version, subject, version, deleted=True), ignored)
            if found is MISSING:
                continue
            if type(found.schema_id) is not int or not isinstance(found.schema.schema_str, str):
                raise RegistryUnavailable("the answer of the registry is not a schema")
            self._schemas[name][found.schema_id] = found.schema
            self._read.add((subject, version))

    @staticmethod
    def _ask(request: Callable[[], Any], ignored: Sequence[int]) -> Any:
        from confluent_kafka.schema_registry.error import SchemaRegistryError

        try:
            return request()
        except SchemaRegistryError as error:
            if error.http_status_code in ignored:
                return MISSING
            raise RegistryUnavailable(f"the registry answers {error.http_status_code}") from error
        # The client does not wrap the errors of its HTTP library, or an answer that is not JSON. All of them mean the same here.
        except Exception as error:
            raise RegistryUnavailable(f"no answer of the registry ({type(error).__name__})") from error


def _other_subjects(subjects: Sequence[str], full_name: str) -> list[str]:
    """Return the subjects of Confluent's two other strategies, by record name, and by topic and record name."""
    by_topic = [f"{subject.removesuffix('-value')}-{full_name}" for subject in subjects if subject.endswith("-value")]
    return [subject for subject in (full_name, *by_topic) if subject not in subjects]
