"""Scenarios of the gateway: killed at each failpoint, Kafka away, a full disk, and two gateways that are restarted in turn.

Customers send requests all the time, and repeat those that are not answered. Each answered request must have its record.
"""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from streams.mail.tokens import Use
from streams.runtime.failpoints import VARIABLE
from streams.tools.local.processes import Process
from tests.crash.scenario_run import ScenarioRun
from tests.crash.stops import MAILER, WORKER
from tests.harness.gateway_load import GatewayLoad

#: Failpoints with Kafka, and those of an outage, in the order in which it reaches them.
WITH_KAFKA = ("gateway.received", "gateway.safe")
OUTAGE = ("gateway.spooled", "gateway.replayed", "gateway.recovered")
#: Failpoints with Kafka kill at a random one of their first hits.
MAX_HITS = 6
#: Orders per second, so that workers and mailer have something to do.
RATE = 5.0
UNLIMITED = resource.RLIM_INFINITY


@contextmanager
def customers(run: ScenarioRun, uses: Sequence[Use] = ("c", "o", "u")) -> Iterator[GatewayLoad]:
    """Let the shop sell and customers use links until the end of the block, and then look for the record of each answered request."""
    stack = run.stack
    urls = [gateway.public_url for gateway in stack.gateways]
    with run.shop_open(rate=RATE), GatewayLoad(urls, stack.env["TAKK_MAIL_SECRET"], uses) as load:
        _await_requests(run, load, 30)
        yield load
        _await_requests(run, load, 100)
    for gateway in stack.gateways:
        run.wait_until(lambda gateway=gateway: _is_direct(gateway), "all spools are empty")
    run.row.problems += load.problems(stack.settings.kafka(), stack.codec)
    run.log(f"{load.count} requests answered, {load.refused} refused for the moment")


def _await_requests(run: ScenarioRun, load: GatewayLoad, count: int) -> None:
    expected = load.count + count
    run.wait_until(lambda: load.count >= expected, f"{count} more requests are answered")


def _is_direct(gateway: Process) -> bool:
    metrics = gateway.metrics()
    return metrics.get("takk_gateway_spooling") == 0 and metrics["takk_gateway_spool_records"] == 0


def _has_spooled(gateway: Process, records: int) -> bool:
    return gateway.metrics().get("takk_gateway_spool_records", 0) >= records


def edges(run: ScenarioRun) -> None:
    """Start the gateway once per failpoint, armed, and wait until the failpoint kills it: with Kafka, then in an outage and its end."""
    gateway, broker = run.stack.gateways[0], run.stack.brokers[0]
    others = [process for process in run.stack.processes if process is not gateway]
    with customers(run) as load:
        for failpoint in WITH_KAFKA:
            gateway.kill()
            _die_at(run, failpoint, run.rng.randint(1, MAX_HITS))
        broker.kill()  # not noted as a fault: the outage lasts until the gateway has died at each failpoint
        for failpoint in OUTAGE:
            _die_at(run, failpoint, 1, before=broker.start if failpoint == "gateway.replayed" else None)
        run.restart(gateway)
        _await_requests(run, load, 100)
        for process in others:
            run.wait_until(lambda process=process: process.is_ready, f"the {process.role} is ready", is_supervised=True)


def _die_at(run: ScenarioRun, failpoint: str, hit: int, before: Callable[[], object] | None = None) -> None:
    """Start the gateway, which must reach a failpoint. `before` is called once the gateway runs."""
    gateway = run.stack.gateways[0]
    gateway.start(**{VARIABLE: f"{failpoint}@{hit}"})
    if before is not None:
        before()
    run.wait_until(lambda: gateway.exit_code is not None, f"{failpoint} is reached")
    assert gateway.exit_code == -signal.SIGKILL, f"{failpoint}: {gateway.exit_code}, see {gateway.log_file}"
    run.row.kills += 1
    run.log(f"killed at {failpoint}")


def broker_away(run: ScenarioRun) -> None:
    """Kill the broker, let the spool grow, kill the gateway too, and let both return."""
    gateway, broker = run.stack.gateways[0], run.stack.brokers[0]
    with run.supervise(), customers(run) as load:
        run.note_fault(others=[WORKER, MAILER])
        broker.kill()
        run.wait_until(lambda: _has_spooled(gateway, 100), "the gateway writes to its spool")
        gateway.kill()  # the supervisor restarts it
        run.row.kills += 2
        _await_requests(run, load, 100)
        broker.start()
        run.wait_until(lambda: _is_direct(gateway), "the spool is empty")


def disk_full(run: ScenarioRun) -> None:
    """Fill the disk of the spool while Kafka is away: requests are refused, and accepted again as soon as there is room."""
    gateway, broker = run.stack.gateways[0], run.stack.brokers[0]
    # Clicks are answered even if they cannot be recorded, so only unsubscriptions are compared.
    with run.supervise(), customers(run, ["u"]) as load:
        run.note_fault(others=[WORKER, MAILER])
        broker.kill()
        run.row.kills += 1
        run.wait_until(lambda: _has_spooled(gateway, 30), "the gateway writes to its spool")
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (0, UNLIMITED))
        refused = load.refused
        run.wait_until(lambda: load.refused > refused + 30, "requests are refused")
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))
        _await_requests(run, load, 30)
        broker.start()
        run.wait_until(lambda: _is_direct(gateway), "the spool is empty")


def rolling(run: ScenarioRun) -> None:
    """Restart each of two gateways in turn, and kill each once: customers use the other one meanwhile."""
    with customers(run) as load:
        for is_killed in (False, True):
            for gateway in run.stack.gateways:
                if is_killed:
                    gateway.kill()
                    run.row.kills += 1
                else:
                    assert gateway.stop() == 0, f"see {gateway.log_file}"
                _await_requests(run, load, 30)
                run.restart(gateway)
                _await_requests(run, load, 30)
