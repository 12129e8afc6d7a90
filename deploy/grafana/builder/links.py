"""Addresses of dashboards and runbooks."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

#: The address of the folder of runbooks, as Grafana's browser sees it. Compose mounts `deploy/runbooks` below Grafana's own `public` folder.
#: A shop that serves its runbooks elsewhere changes this line and runs `make docs`.
RUNBOOKS: Final = "/public/runbooks"


def link(title: str, url: str, *, new_tab: bool = False) -> model.DashboardLink:
    """Return a link to an address."""
    return model.DashboardLink(title=title, type_val=model.DashboardLinkType.LINK, url=url, target_blank=new_tab)


def dashboard_url(uid: str) -> str:
    """Return the address of a dashboard, with the time range and all variables of the current one."""
    return f"/d/{uid}?${{__url_time_range}}&${{__all_variables}}"


def runbook_url(alert: str) -> str:
    """Return the address of the runbook of an alert."""
    return f"${{runbooks}}/{alert}.md"


def flow_url(uid: str) -> str:
    """Return the address of a dashboard for the flow in a table's cell."""
    return f"/d/{uid}?${{__url_time_range}}&${{shop:queryparam}}&var-flow=${{__value.raw}}"
