"""An embedded cluster: several brokers on this machine that replicate to each other, of which one may die."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from streams.tools.local.kafka.broker import EmbeddedKafka, Member
from streams.tools.local.kafka.jars import classpath
from streams.tools.local.kafka.ports import free_port


class EmbeddedCluster:
    """Brokers that are controllers too (KRaft), with Kafka's own topics on all of them; they stop with their parent.

    Each keeps its ports for as long as this object lives, dead or alive. They are numbered from 1.

    Args:
        data_dir: a folder for each broker is made in it, and kept.
        brokers: how many; a majority must live for the cluster to.
    """

    def __init__(self, data_dir: Path, brokers: int = 3) -> None:
        ports = [free_port() for _ in range(2 * brokers)]
        controllers = dict(enumerate(ports[:brokers], 1))
        # The same folder has the same id, so that a start that was cut short between two brokers can be made good.
        cluster_id = uuid.uuid5(uuid.NAMESPACE_URL, str(data_dir.absolute())).hex[:22]
        self._by_number = {
            node: EmbeddedKafka(data_dir / f"broker-{node}", port, member=Member(node, controllers, cluster_id))
            for node, port in enumerate(ports[brokers:], 1)
        }
        self.brokers = list(self._by_number.values())
        self.bootstrap = ",".join(broker.bootstrap for broker in self.brokers)

    def start(self) -> str:
        """Start all brokers that do not run, wait until each answers, and return the bootstrap servers.

        Raises:
            KafkaStartError: one did not start; the message names its log. None of them runs then.
        """
        classpath()  # fetched once, before all brokers ask for it together
        dead = [broker for broker in self.brokers if not broker.is_alive]
        with ExitStack() as undo:
            undo.callback(self.stop)
            with ThreadPoolExecutor(len(self.brokers)) as pool:
                list(pool.map(EmbeddedKafka.launch, dead))
            for broker in dead:
                broker.await_answer()
            undo.pop_all()
        return self.bootstrap

    def stop(self) -> None:
        """End all brokers at once; their data stays, and `start` brings them back."""
        # In good order each would wait for a majority of controllers that is going, too.
        for broker in self.brokers:
            broker.kill()

    def kill(self, number: int) -> None:
        """kill -9 of one broker; its data stays."""
        self._by_number[number].kill()

    def restart(self, number: int) -> None:
        """Start a broker again on its ports and its data, dead or not, and wait until it answers.

        Raises:
            KafkaStartError: it did not answer, as when no majority lives with it; then use `start`, which starts all.
        """
        self._by_number[number].kill()
        self._by_number[number].start()

    def is_alive(self, number: int) -> bool:
        """Whether a broker's process runs."""
        return self._by_number[number].is_alive

    def __enter__(self) -> EmbeddedCluster:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
