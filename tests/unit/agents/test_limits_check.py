"""Settings beyond the limits of the brokers end the start in words; brokers that do not tell their limits do not."""

from __future__ import annotations

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException

from streams.agents.limits_check import check_limits, limit_problems

KAFKA = {
    "group.min.session.timeout.ms": "6000",
    "group.max.session.timeout.ms": "1800000",
    "transaction.max.timeout.ms": "900000",
}


class FakeCluster:
    """A cluster with some settings, or with an error."""

    def __init__(self, answer: dict[str, str] | KafkaException) -> None:
        self._answer = answer

    def broker_settings(self) -> dict[str, str]:
        """Return the settings, or raise the error."""
        if isinstance(self._answer, KafkaException):
            raise self._answer
        return self._answer


@pytest.mark.parametrize("session_s", [6, 45, 1800])
def test_kafkas_defaults_allow_ordinary_sessions(session_s: float) -> None:
    """Both limits are allowed values. A broker that does not have a setting has no limit."""
    assert list(limit_problems(KAFKA, session_s)) == []
    assert list(limit_problems({}, session_s)) == []


@pytest.mark.parametrize("session_s", [3, 5.9, 1801])
def test_a_session_beyond_the_limits_is_refused(session_s: float) -> None:
    """The message names the setting, its value, and the limits with the names of the brokers' settings."""
    with pytest.raises(SystemExit) as ended:
        check_limits(FakeCluster(KAFKA), session_s)  # type: ignore[arg-type]
    text = str(ended.value)
    assert f"TAKK_SESSION_TIMEOUT_S={session_s} is not within the limits of the brokers, 6 to 1800 seconds" in text
    assert "group.min.session.timeout.ms" in text


def test_transactions_that_may_last_too_long_are_refused() -> None:
    """The message names the setting of the brokers and the value that it needs."""
    (problem,) = limit_problems({**KAFKA, "transaction.max.timeout.ms": "10000"}, 45)
    assert problem.endswith("set transaction.max.timeout.ms of the brokers to at least 60000")


def test_brokers_that_do_not_tell_their_limits() -> None:
    """A missing permission is a warning with the remedy; a broker that went away is waited for by the caller."""
    with structlog.testing.capture_logs() as lines:
        check_limits(FakeCluster(KafkaException(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED))), 45)  # type: ignore[arg-type]
    assert [(line["log_level"], "DescribeConfigs" in line["hint"]) for line in lines] == [("warning", True)]
    with pytest.raises(KafkaException):
        check_limits(FakeCluster(KafkaException(KafkaError(KafkaError._TRANSPORT))), 45)  # type: ignore[arg-type]
