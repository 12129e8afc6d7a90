"""The worker and mailer processes that the demo and the tests start."""

from __future__ import annotations

import os
from pathlib import Path

from streams.tools.local.processes import Process


def test_ctrl_c_does_not_reach_the_process(tmp_path: Path) -> None:
    """A process has its own process group, so Ctrl-C in a terminal does not stop it before the demo does."""
    program = tmp_path / "program"
    (program / "streams").mkdir(parents=True)
    (program / "streams" / "__main__.py").write_text("import time\ntime.sleep(60)\n")
    process = Process("worker", {}, tmp_path / "worker.log", program)
    process.start()
    try:
        assert os.getpgid(process.pid) == process.pid
        assert os.getpgid(process.pid) != os.getpgrp()
    finally:
        process.kill()
