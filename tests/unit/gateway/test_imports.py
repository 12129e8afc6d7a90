"""The imports of the gateway."""

from __future__ import annotations

import subprocess
import sys

FAUST = {"faust", "mode", "aiokafka"}


def test_the_gateway_imports_no_faust() -> None:
    """The gateway has no agents, so it starts without Faust, which takes memory and a second."""
    code = f"import streams.gateway.process, sys; print(sorted({FAUST} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
