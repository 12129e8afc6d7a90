"""The start of a process: steps are repeated while Kafka is away, and wrong settings end it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException

from streams.agents import startup as module
from streams.agents.startup import Startup
from streams.observability import metrics
from streams.runtime.errors import NameInUse
from streams.runtime.kafka.availability import KafkaUnavailable
from streams.wire.codec import open_codec
from tests.harness import records
from tests.harness.registry_server import RegistryServer

AWAY = KafkaUnavailable("connection refused", is_permanent=False)


def failure(code: int) -> KafkaException:
    """Return the error of a request to Kafka."""
    return KafkaException(KafkaError(code, "the reason"))


class Script:
    """A request that raises each of some errors once, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> None:
        """Raise the next error, if there is one."""
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


class Clock:
    """A monotonic clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.states: list[str] = []
        self.observe: Callable[[], str] = str

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Move the clock, and note the state of the start."""
        self.states.append(self.observe())
        self.now += seconds


def make(ask: Callable[[], object]) -> tuple[Startup, Clock]:
    """Return a start with a clock of its own."""
    clock = Clock()
    startup = Startup("broker:9092", ask, clock, clock.sleep)
    clock.observe = lambda: startup.state if startup.is_kafka_away else ""
    return startup, clock


async def test_a_start_waits_for_kafka_and_goes_on() -> None:
    """While Kafka is away the state names it, the log has lines at growing intervals, and the steps run once it answers."""
    ask, step = Script(*[AWAY] * 100), Script()
    startup, clock = make(ask)
    with structlog.testing.capture_logs() as lines:
        await startup.take([step])
    assert clock.states[3] == "waiting for Kafka at broker:9092 for 3 s: connection refused"
    assert (startup.state, startup.is_kafka_away, step.calls) == ("", False, 1)
    waiting = [line for line in lines if line["event"] == "waiting for Kafka"]
    assert [line["seconds"] for line in waiting] == [0, 5, 15, 35, 75]
    assert {(line["broker"], "KAFKA_BOOTSTRAP_SERVERS" in line["hint"]) for line in waiting} == {("broker:9092", True)}
    assert lines[-1]["event"] == "the start goes on"


async def test_kafka_is_asked_again_only_after_a_failed_step() -> None:
    """Whether Kafka answers is asked before the first step, and after a step that failed."""
    ask = Script()
    startup, _ = make(ask)
    await startup.take([Script(), Script(), Script()])
    assert ask.calls == 1
    await startup.take([Script(), Script(failure(KafkaError._TRANSPORT)), Script()])
    assert ask.calls == 2


@pytest.mark.parametrize(
    "error",
    [failure(KafkaError._TRANSPORT), failure(KafkaError._TIMED_OUT), failure(KafkaError._MSG_TIMED_OUT), TimeoutError("late")],
)  # fmt: skip
async def test_a_step_is_repeated_while_kafka_is_away(error: Exception) -> None:
    """A step that fails because Kafka went away is taken again, and the steps before it are not."""
    first, second, third = Script(), Script(error, error), Script()
    startup, _ = make(Script())
    await startup.take([first, second, third])
    assert (first.calls, second.calls, third.calls) == (1, 3, 1)


async def test_a_name_in_use_is_waited_for() -> None:
    """A process whose name another one uses waits, says so at once, and does not report that Kafka is away."""
    startup, clock = make(Script(AWAY))
    clock.observe = lambda: f"{startup.is_kafka_away} {startup.state}"
    step = Script(*[NameInUse("another process uses the name worker-1")] * 2)
    with structlog.testing.capture_logs() as lines:
        await startup.take([step])
    assert clock.states[0].startswith("True waiting for Kafka")
    assert clock.states[1].startswith("False waiting for the name in the group for 0 s: another process uses")
    assert [line["event"] for line in lines] == ["waiting for Kafka", "waiting for a name", "the start goes on"]
    assert "TAKK_GROUP_INSTANCE_ID" in lines[1]["hint"]


async def test_a_schema_registry_that_is_away_is_waited_for() -> None:
    """The state names the registry's address, the metric shows the outage, and the start goes on when the registry answers."""

    def is_unavailable() -> float | None:
        return metrics.REGISTRY.get_sample_value("takk_registry_unavailable")

    with RegistryServer() as server:
        codec = open_codec(server.url, registers_later=True)
        server.status = 503
        startup, clock = make(Script())

        def observe() -> str:
            server.status = 200
            return f"{is_unavailable()} {startup.is_kafka_away} {startup.state}"

        clock.observe = observe
        with structlog.testing.capture_logs() as lines:
            await startup.take([partial(module.register_schemas, codec, server.url)])
        reason = f"{server.url}: the registry answers 503"
        assert clock.states == [f"1.0 False waiting for the schema registry for 0 s: {reason}"]
        assert is_unavailable() == 0
        assert [line["event"] for line in lines] == ["waiting for the schema registry", "the start goes on"]
        assert "SCHEMA_REGISTRY_URL" in lines[0]["hint"]
        assert codec.decode("order", codec.encode("order", records.order())) == records.order()


@pytest.mark.parametrize("status", [401, 409])
async def test_a_schema_registry_that_refuses_ends_the_start(status: int) -> None:
    """A refused login and a refused schema end the process with words."""
    with RegistryServer() as server:
        server.status = status
        startup, _ = make(Script())
        codec = open_codec(server.url, registers_later=True)
        with pytest.raises(SystemExit, match=f"schema registry at {server.url} answers {status}.*SCHEMA_REGISTRY_URL"):
            await startup.take([partial(module.register_schemas, codec, server.url)])


async def test_wrong_settings_end_the_start() -> None:
    """An error that waiting does not remove ends the process with words, also after Kafka was away."""
    startup, _ = make(Script(AWAY, KafkaUnavailable("authentication failed", is_permanent=True)))
    with pytest.raises(SystemExit, match=r"cannot start: Kafka at broker:9092 cannot be used: authentication failed"):
        await startup.take([Script()])
    startup, _ = make(Script())
    with pytest.raises(SystemExit, match=r"cannot start: Kafka at broker:9092: the reason"):
        await startup.take([Script(failure(KafkaError.TOPIC_AUTHORIZATION_FAILED))])


async def test_lines_are_never_further_apart_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage of hours stays visible in the log."""
    monkeypatch.setattr(module, "LAST_LINE_S", 20.0)
    startup, _ = make(Script(*[AWAY] * 100))
    with structlog.testing.capture_logs() as lines:
        await startup.take([])
        await startup.take([Script()])
    seconds = [line["seconds"] for line in lines if line["event"] == "waiting for Kafka"]
    assert seconds == [0, 5, 15, 35, 55, 75, 95]
