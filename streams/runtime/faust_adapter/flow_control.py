"""Faust's flow control, without the clearing of queues."""

from __future__ import annotations

from mode.utils.queues import FlowControlEvent


class FlowControl(FlowControlEvent):  # type: ignore[misc]  # mode has no usable types
    """Flow control that keeps the content of the queues when the flow resumes.

    Faust's own clears them each time, and Faust resumes the flow twice after an assignment. A batch that was delivered in between was lost,
    and its task waited without end for it: its partition stood still. Clearing is not needed, because the task manager drops the batches of
    an earlier assignment by their generation.
    """

    def resume(self) -> None:
        """Let the queues take records again."""
        self._suspend.clear()
        self._resume.set()
