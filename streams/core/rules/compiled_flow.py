"""A flow with an index of its steps, as instances execute it."""

from __future__ import annotations

from streams.core.rules.flow import Flow, Send, Step


class CompiledFlow:
    """A flow with an index of its steps.

    A step's path is its place in the tree: "1.0.2" is step 1, its branch 0, step 2 of that.

    Attributes:
        flow: the flow.
        steps: every step by its path, in the order of the file.
        next_step: for each path, the path of the step that follows; None after the last one.
        first: the path of the first step; None if there are no steps.
        sending: the paths from which the flow may still send an email, on any path. A step that sends is one of them.
    """

    __slots__ = ("first", "flow", "next_step", "sending", "steps")

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.steps: dict[str, Step] = {}
        self.next_step: dict[str, str | None] = {}
        self._index(flow.steps, None)
        self.first: str | None = flow.steps[0].path if flow.steps else None
        sending: set[str] = set()
        for path in reversed(self.steps):  # the steps that may follow are behind it
            step = self.steps[path]
            following = (self.next_step[path], *(branch[0].path for branch in step.inner if branch))
            if isinstance(step, Send) or not sending.isdisjoint(following):
                sending.add(path)
        self.sending = frozenset(sending)

    def _index(self, steps: tuple[Step, ...], after: str | None) -> None:
        for index, step in enumerate(steps):
            next_path = steps[index + 1].path if index + 1 < len(steps) else after
            self.steps[step.path] = step
            self.next_step[step.path] = next_path
            for branch in step.inner:
                self._index(branch, next_path)

    def branch(self, step: Step, number: int) -> str | None:
        """Return the path of the first step of a branch. An empty branch continues with the step after `step`."""
        steps = step.inner[number]
        return steps[0].path if steps else self.next_step[step.path]
