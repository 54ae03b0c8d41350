"""Tokens for the API of an Airflow itself: what a program sends there, in place of a person's sign-in."""

from datetime import datetime

from ninja import Router, Schema, Status

from console.kit.http_json import Input, OptionalNumber, form_data
from deployments.actions import sign_in
from deployments.api.access import DeploymentRequest, OnDeployment
from workspaces.permissions import Permission, Role

router = Router(tags=["Airflow"])
USUAL_MINUTES = sign_in.TOKEN_MINUTES[0]


class NewAirflowToken(Input):
    """For how many minutes it is valid: 1 to 60."""

    minutes: OptionalNumber = USUAL_MINUTES


class AirflowTokenOut(Schema):
    """Send `token` as `Authorization: Bearer` to addresses below `url`. `role` is Airflow's."""

    token: str
    role: str
    expires_at: datetime
    url: str


@router.post(
    "/deployments/{slug:release_name}/airflow-token",
    auth=OnDeployment(Permission.OPEN_AIRFLOW),
    response={201: AirflowTokenOut},
    url_name="airflow_token",
    operation_id="create_airflow_token",
)
def create(
    request: DeploymentRequest, release_name: str, payload: NewAirflowToken
) -> Status[AirflowTokenOut]:
    """A token for the API of this Airflow, for an hour at most. It acts as the person who created the API token, with
    the role of the API token, and ends early when that person may no longer open this Airflow."""
    deployment = request.deployment
    typed = form_data(payload, numbers=("minutes",))
    asked = typed.data.get("minutes", USUAL_MINUTES)
    typed.refuse({})
    made = sign_in.make_airflow_token(
        deployment=deployment,
        by=request.caller.user,
        minutes=asked if isinstance(asked, int) else 0,  # 0 is refused there, in words
        up_to=Role(request.membership.role),
    )
    url = f"{deployment.airflow_url.rstrip('/')}/api/v2" if deployment.airflow_url else ""
    return Status(201, AirflowTokenOut(token=made.value, role=made.role, expires_at=made.ends_at, url=url))
