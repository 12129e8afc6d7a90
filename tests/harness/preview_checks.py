"""Waiting for the local page of emails."""

from __future__ import annotations

from streams.tools.preview.state import PreviewState


async def checked(state: PreviewState) -> None:
    """Wait until the folder is checked."""
    async for _ in state.changes("" if state.is_checked else state.version):
        if state.is_checked:
            return
