"""Workers, mailers and gateways on this machine, as in production: starts, watches and stops them."""

from __future__ import annotations

import json
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
    """A process did not become ready, or ended. The message names its log."""


class Process:
    """`takk worker`, `takk mailer` or `takk gateway` as a child process.

    Args:
        role: `worker`, `mailer` or `gateway`.
        env: settings of the process, in addition to this process's environment.
        log_file: the file that its output is appended to.
        program: the directory whose `streams` package runs; None runs this one.

    Attributes:
        settings: the environment of the process at its next start.
        public_url: of a gateway: the address that its links start with.
    """

    def __init__(self, role: str, env: dict[str, str], log_file: Path, program: Path | None = None) -> None:
        self.role = role
        self.program = program
        self.port = free_port()
        self.log_file = log_file
        # A process that is aborted writes the stacks of its threads to its log.
        self.settings = {
            "PYTHONFAULTHANDLER": "1",
            **os.environ,
            **env,
            "TAKK_WEB_PORT": str(self.port),
            "TAKK_WEB_HOST": "127.0.0.1",
        }
        self.public_url = ""
        if role == "gateway":
            self.settings["TAKK_GATEWAY_PORT"] = str(free_port())
            self.public_url = f"http://127.0.0.1:{self.settings['TAKK_GATEWAY_PORT']}"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, *options: str, **env: str) -> None:
        """Start the process, with command line options and additional settings for this start.

        The process has its own process group: a terminal sends Ctrl-C to the whole group of the program that it runs, and
        that program must stop this process only after the last emails.
        """
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "streams", self.role, *options],
                env={**self.settings, **env},
                cwd=self.program,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                process_group=0,
            )

    def await_ready(self, timeout_s: float = 120.0) -> None:
        """Wait until `/readyz` answers 200.

        Raises:
            ProcessFailed: the process ended, or was not ready within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._child is None or self._child.poll() is not None:
                raise ProcessFailed(
                    f"the {self.role} ended while starting. Its log is {self.log_file}:\n{self._tail()}"
                )
            if self._get("/readyz") is not None:
                return
            time.sleep(0.05)
        raise ProcessFailed(
            f"the {self.role} was not ready within {timeout_s:.0f} s. Its log is {self.log_file}:\n{self._tail()}"
        )

    @property
    def is_alive(self) -> bool:
        """Whether the process is running."""
        return self._child is not None and self._child.poll() is None

    @property
    def metrics_url(self) -> str:
        """The address of its metrics."""
        return f"http://127.0.0.1:{self.port}/metrics"

    def series(self) -> dict[str, float]:
        """Return its metrics by name with labels; empty if it does not answer."""
        lines = (line for line in (self._get("/metrics") or "").splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def metrics(self) -> dict[str, float]:
        """Return its metrics by name, summed over labels; empty if it does not answer."""
        sums: dict[str, float] = {}
        for series, value in self.series().items():
            name = series.partition("{")[0]
            sums[name] = sums.get(name, 0.0) + value
        return sums

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._child.pid if self._child is not None else 0

    @property
    def is_ready(self) -> bool:
        """Whether `/readyz` answers 200."""
        return self._get("/readyz") is not None

    @property
    def readiness(self) -> str:
        """The answer of `/readyz`, if it is 200; else empty."""
        return self._get("/readyz") or ""

    @property
    def exit_code(self) -> int | None:
        """The exit code, or minus the signal that killed the process; None while it runs and before the start."""
        return None if self._child is None else self._child.poll()

    def stop(self, timeout_s: float = 20.0) -> int:
        """Stop the process with SIGTERM, or after `timeout_s` with SIGABRT, which logs its stacks; return the exit code."""
        if self._child is None:
            return 0
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(timeout_s)
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
        """Return the last errors of the log, without stack traces; the last lines if it contains no errors."""
        entries = [_entry(line) for line in self.log_file.read_text(errors="replace").splitlines()]
        errors = [text for level, text in entries if level != "info"]
        return "\n".join((errors or [text for _, text in entries])[-12:])


def _entry(line: str) -> tuple[str, str]:
    """Return the level and the event of a line of a log; a line that is not JSON has no level."""
    try:
        entry = json.loads(line)
        return entry["level"], entry["event"]
    except (ValueError, TypeError, KeyError):
        return "", line
