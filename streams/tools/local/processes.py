"""The processes of a whole world on one machine: a worker and a mailer, as production runs them, started and watched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from streams.tools.local.kafka.ports import free_port


class ProcessFailed(RuntimeError):
    """A worker did not become ready, or ended; the message says where its log is."""


class Process:
    """`takk worker` or `takk mailer` as a child process.

    Args:
        role: worker or mailer.
        env: settings for it, on top of this process's environment.
        log_file: where its output goes, appended.
        program: the folder whose `streams` package runs; None runs this one.
    """

    def __init__(self, role: str, env: dict[str, str], log_file: Path, program: Path | None = None) -> None:
        self.role = role
        self.program = program
        self.port = free_port()
        self.log_file = log_file
        # A process that has to be ended by force then leaves the stacks of its threads in its log.
        self._env = {
            "PYTHONFAULTHANDLER": "1",
            **os.environ,
            **env,
            "TAKK_WEB_PORT": str(self.port),
            "TAKK_WEB_HOST": "127.0.0.1",
        }
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, **env: str) -> None:
        """Start it; `env` holds settings for this life alone."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "streams", self.role],
                env={**self._env, **env},
                cwd=self.program,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def await_ready(self, patience_s: float = 60.0) -> None:
        """Wait until `/readyz` says yes.

        Raises:
            ProcessFailed: it ended, or took longer than `patience_s`.
        """
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if self._child is None or self._child.poll() is not None:
                raise ProcessFailed(f"the {self.role} ended while starting; its log: {self.log_file}\n{self._tail()}")
            if self._get("/readyz") is not None:
                return
            time.sleep(0.05)
        raise ProcessFailed(
            f"the {self.role} was not ready within {patience_s:.0f} s; its log: {self.log_file}\n{self._tail()}"
        )

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._child is not None and self._child.poll() is None

    @property
    def metrics_url(self) -> str:
        """Where its metrics are."""
        return f"http://127.0.0.1:{self.port}/metrics"

    def series(self) -> dict[str, float]:
        """Its metrics, by name with labels; empty when it does not answer."""
        lines = (line for line in (self._get("/metrics") or "").splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def metrics(self) -> dict[str, float]:
        """Its metrics, summed over labels; empty when it does not answer."""
        sums: dict[str, float] = {}
        for series, value in self.series().items():
            name = series.partition("{")[0]
            sums[name] = sums.get(name, 0.0) + value
        return sums

    def kill(self) -> None:
        """kill -9."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens when it has ended."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    @property
    def pid(self) -> int:
        """Its process id; 0 before it was started."""
        return self._child.pid if self._child is not None else 0

    @property
    def is_ready(self) -> bool:
        """Whether `/readyz` says yes."""
        return self._get("/readyz") is not None

    @property
    def exit_code(self) -> int | None:
        """How it ended: an exit code, or minus the signal that killed it; None while it runs and before it started."""
        return None if self._child is None else self._child.poll()

    def stop(self, patience_s: float = 20.0) -> int:
        """SIGTERM; SIGABRT after `patience_s`, which leaves the stacks of its threads in its log. Returns the exit code."""
        if self._child is None:
            return 0
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(patience_s)
            except subprocess.TimeoutExpired:
                self._child.send_signal(signal.SIGABRT)
                self._child.wait()
        return self._child.returncode

    def _get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                text: str = answer.read().decode()
                return text
        except (urllib.error.URLError, OSError):
            return None

    def _tail(self) -> str:
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-12:])
