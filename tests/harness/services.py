"""Services of docker-compose.yml as processes on this machine: the same command, environment and health check, without containers.

Host names and ports of the network become ports of this machine, and container paths become folders of the test.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streams.settings import PROJECT_ROOT
from streams.tools.local.kafka.ports import free_port
from tests.harness.compose import environment, mounts

#: The programs of images, by the name that Debian gives them.
PROGRAMS = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
#: The variables of `make test CLOCK=…`: all processes of a test have one clock.
_WALL_CLOCK = ("LD_PRELOAD", "TAKK_TEST_CLOCK_S")


class Network:
    """The addresses of a project on this machine.

    Args:
        known: the local port of each address that already exists, such as `kafka:9092`.
    """

    def __init__(self, known: Mapping[str, int]) -> None:
        self._ports = dict(known)

    def port(self, host: str, port: int | str) -> int:
        """Return the local port of a port of a service; the first call chooses a free one."""
        return self._ports.setdefault(f"{host}:{port}", 0) or self._choose(f"{host}:{port}")

    def _choose(self, address: str) -> int:
        self._ports[address] = free_port()
        return self._ports[address]

    def rewritten(self, text: str, own: str, hosts: set[str]) -> str:
        """Return `text` with all addresses of services replaced.

        Args:
            text: an option, the value of a variable, or a file.
            own: the service that reads it, to which 127.0.0.1 and localhost refer.
            hosts: the names of all services.
        """
        names = "|".join(sorted(map(re.escape, hosts), key=len, reverse=True))
        pattern = re.compile(rf"(?<![\w.-])({names}|127\.0\.0\.1|localhost):(\d+)")

        def local(match: re.Match[str]) -> str:
            host = own if match[1] in ("127.0.0.1", "localhost") else match[1]
            return f"127.0.0.1:{self.port(host, match[2])}"

        return pattern.sub(local, text)


class Service:
    """One service of docker-compose.yml as a process.

    Args:
        name: of the service.
        project: the project, as `tests.harness.compose.load` returns it.
        folder: for the files of the service.
        network: shared by all services.
        secrets: the content of each secret.
    """

    def __init__(
        self, name: str, project: Mapping[str, Any], folder: Path, network: Network, secrets: Mapping[str, str]
    ) -> None:
        self.name = name
        self.folder = folder / name
        self.log_file = folder / f"{name}.log"
        #: The root file system, the home and the working directory, which are read-only in the container.
        self.read_only = self.folder / "read-only"
        self._spec: Mapping[str, Any] = project["services"][name]
        self._hosts = set(project["services"])
        self._network = network
        self._child: subprocess.Popen[bytes] | None = None
        self.read_only.mkdir(parents=True)
        self._paths = {target: self._mounted(target, source) for target, source in mounts(self._spec).items()}
        for secret in self._spec.get("secrets", ()):
            path = self.folder / "secrets" / secret
            path.parent.mkdir(exist_ok=True)
            path.write_text(secrets[secret])
            self._paths[f"/run/secrets/{secret}"] = path

    def _mounted(self, target: str, source: str) -> Path:
        """Return the local path of a mount: a copy of what the source tree has, or an empty folder.

        Copies keep their places relative to each other, since a configuration names its rules by a relative path.
        """
        path = self.folder / "root" / target.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not source.startswith("./"):
            path.mkdir(exist_ok=True)
        elif (PROJECT_ROOT / source).is_dir():
            shutil.copytree(PROJECT_ROOT / source, path)
        else:
            path.write_text(self._local((PROJECT_ROOT / source).read_text(encoding="utf-8")))
        return path

    def path(self, target: str) -> Path:
        """Return the local path of a mount."""
        return self._paths[target]

    def port(self, port: int) -> int:
        """Return the local port of one of its ports."""
        return self._network.port(self.name, port)

    def _local(self, text: str) -> str:
        return self._network.rewritten(text, self.name, self._hosts)

    def _with_paths(self, text: str) -> str:
        """Return an option or a value with the container paths replaced."""
        for target in sorted(self._paths, key=len, reverse=True):
            pattern = rf"(?<![\w/.-]){re.escape(target)}(?=$|[/:])"
            if re.search(pattern, text):
                return re.sub(pattern, str(self._paths[target]), text)
        return text

    @property
    def env(self) -> dict[str, str]:
        """Its environment, with local addresses and paths, and nothing of this process but the programs and the clock."""
        env = {name: self._with_paths(self._local(value)) for name, value in environment(self._spec).items()}
        if "SMTP_HOST" in env:
            env |= {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(self._network.port(env["SMTP_HOST"], env["SMTP_PORT"]))}
        if "TAKK_WEB_PORT" in env:
            env |= {"TAKK_WEB_HOST": "127.0.0.1", "TAKK_WEB_PORT": str(self.port(int(env["TAKK_WEB_PORT"])))}
        if "TAKK_GATEWAY_PORT" in env:
            port = str(self.port(int(env["TAKK_GATEWAY_PORT"])))
            env |= {"TAKK_GATEWAY_HOST": "127.0.0.1", "TAKK_GATEWAY_PORT": port}
        return {
            **env,
            **{name: os.environ[name] for name in _WALL_CLOCK if name in os.environ},
            "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
            "HOME": str(self.read_only),
            "PYTHONDONTWRITEBYTECODE": "1",
            **({"TMPDIR": str(self._paths["/tmp"])} if "/tmp" in self._paths else {}),
        }

    def command(self, *more: str) -> list[str]:
        """Return its command, with local addresses and paths, and with options that only this machine needs."""
        words = [self._with_paths(self._local(word)) for word in self._spec["command"]]
        program = PROGRAMS.get(self.name)
        return [*([program] if program else []), *words, *more]

    def run(self, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a job to its end."""
        return subprocess.run(
            self.command(),
            env=self.env,
            cwd=self.read_only,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, *more: str) -> None:
        """Start the process; `more` has options that only this machine needs."""
        with self.log_file.open("ab") as log:
            self._child = subprocess.Popen(
                self.command(*more),
                env=self.env,
                cwd=self.read_only,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    @property
    def is_alive(self) -> bool:
        """Whether the process is running."""
        return self._child is not None and self._child.poll() is None

    def is_healthy(self) -> bool:
        """Run its health check, and return whether it succeeds within its timeout."""
        check = self._spec["healthcheck"]
        kind, *words = check["test"]
        assert kind == "CMD", "a shell check needs its image"
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                [self._local(word) for word in words],
                env=self.env,
                cwd=self.read_only,
                capture_output=True,
                timeout=float(check["timeout"].removesuffix("s")),
                check=False,
            )
            return done.returncode == 0
        return False

    def stop(self) -> int:
        """Send SIGTERM, and SIGKILL after the grace period of the service; return the exit code."""
        child, self._child = self._child, None
        if child is None:
            return 0
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(float(self._spec["stop_grace_period"].removesuffix("s")))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        return child.wait()

    def tail(self, lines: int = 12) -> str:
        """Return the end of its log."""
        text = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        return "\n".join(text.splitlines()[-lines:])
