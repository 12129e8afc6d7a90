"""The imports of the stages."""

from __future__ import annotations

import subprocess
import sys

MAIL_LIBRARIES = {"aiosmtplib", "jinja2"}


def test_the_flows_stage_imports_no_mail_library() -> None:
    """Only the mailer needs the libraries for rendering and SMTP."""
    code = f"import streams.agents.flows, sys; print(sorted({MAIL_LIBRARIES} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
