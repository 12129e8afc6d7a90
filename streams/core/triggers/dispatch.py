"""Dispatch: pass an occurrence to the instances that wait for it and to the flows that it starts."""

from __future__ import annotations

from streams.core.instances.occurrence import Occurrence
from streams.core.instances.resume import resume_instances
from streams.core.instances.start import start_flows
from streams.core.model.unit_of_work import UnitOfWork


def dispatch(uow: UnitOfWork, occurrence: Occurrence) -> None:
    """Resume the instances that wait for `occurrence`, then start the flows that it triggers. One that was imported resumes nothing."""
    if uow.instances and not uow.is_imported:
        resume_instances(uow, occurrence)
    start_flows(uow, occurrence)
