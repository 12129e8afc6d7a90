"""The flow control of Faust's queues."""

from __future__ import annotations

from mode.utils.queues import ThrowableQueue

from streams.runtime.faust_adapter.flow_control import FlowControl


async def test_a_second_resumption_keeps_the_queue() -> None:
    """A batch that was put into a queue after the flow resumed stays there when the flow resumes again, as it does after each assignment."""
    flow = FlowControl()
    queue: ThrowableQueue = ThrowableQueue(flow_control=flow, clear_on_resume=True)
    flow.resume()
    await queue.put("batch")
    flow.resume()
    assert flow.is_active()
    assert await queue.get() == "batch"
