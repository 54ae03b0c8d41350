"""When a Deployment hibernates and wakes by itself."""

from datetime import datetime
from typing import Any

from django.http import HttpResponse
from ninja import Router, Schema

from console.kit.http_json import NOT_FLAG, Flag, Input, Stale, Text, etag, form_data, require_match
from deployments.actions import EditConflict, hibernation, refuse_unless_editable
from deployments.actions.hibernation import schedule_settings
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.forms.hibernation import ScheduleForm
from deployments.models import Deployment, HibernationSchedule
from workspaces.permissions import Permission

router = Router(tags=["Deployments"])
PATH = "/deployments/{slug:release_name}/schedule"


class ScheduleOut(Schema):
    """Cron expressions of five fields in a time zone; "" is never. The times come next while it is enabled."""

    hibernate_cron: str
    wake_cron: str
    time_zone: str
    enabled: bool
    next_hibernate_at: datetime | None
    next_wake_at: datetime | None


class ScheduleIn(Input):
    """The whole schedule."""

    hibernate_cron: Text = ""
    wake_cron: Text = ""
    time_zone: Text = "UTC"
    enabled: Flag = True


def _stored(deployment: Deployment) -> HibernationSchedule | None:
    return HibernationSchedule.objects.filter(deployment=deployment).first()


def _document(row: HibernationSchedule | None, response: HttpResponse) -> ScheduleOut:
    response["ETag"] = _etag(row)
    found = row or HibernationSchedule(enabled=False)
    return ScheduleOut(
        hibernate_cron=found.hibernate_cron,
        wake_cron=found.wake_cron,
        time_zone=found.time_zone,
        enabled=found.enabled,
        next_hibernate_at=found.next_hibernate_at,
        next_wake_at=found.next_wake_at,
    )


def _etag(row: HibernationSchedule | None) -> str:
    return etag("schedule", schedule_settings(row))


@router.get(
    PATH,
    auth=OnDeployment(Permission.VIEW),
    response=ScheduleOut,
    url_name="schedule",
    operation_id="get_schedule",
)
def read(request: DeploymentRequest, release_name: str, response: HttpResponse) -> ScheduleOut:
    """The schedule; one that is not enabled when there is none."""
    return _document(_stored(request.deployment), response)


@router.put(
    PATH,
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response=ScheduleOut,
    url_name="schedule",
    operation_id="set_schedule",
)
def update(
    request: DeploymentRequest, release_name: str, payload: ScheduleIn, response: HttpResponse
) -> ScheduleOut:
    """Set the schedule. Nothing happens before its next time."""
    deployment = request.deployment
    refuse_unless_editable(deployment)
    row = _stored(deployment)
    require_match(request, _etag(row))
    typed = form_data(payload, texts=("hibernate_cron", "wake_cron", "time_zone"))
    if not isinstance(typed.data.get("enabled", True), bool):
        typed.problems["enabled"] = NOT_FLAG
    now = schedule_settings(row)
    blank = ScheduleForm(None, deployment=deployment, settings=now)
    defaults = {"hibernate_cron": "", "wake_cron": "", "time_zone": "UTC", "enabled": True}
    data: Any = {**defaults, **typed.data, "shown": blank["shown"].value()}
    form = ScheduleForm(data, deployment=deployment, settings=now)
    typed.refuse(form.errors)
    try:
        hibernation.set_schedule(
            deployment=deployment, by=request.caller.user, shown=now, desired=form.desired
        )
    except EditConflict:
        if "If-Match" in request.headers:
            raise Stale from None
        raise
    return _document(_stored(deployment), response)  # its times in UTC
