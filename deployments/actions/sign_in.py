"""Opening an Airflow as oneself, and tokens for scripts. Both are judged here once more, by the database's clock:
a person who loses the right after that moment is sent away by the list that Airflow reads."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction
from django.utils.http import urlencode

from console.kit.database_clock import database_now
from console.kit.refusals import InvalidInput
from deployments.access import deployment_for
from deployments.actions.refusals import NotNow
from deployments.dataplane.airflow_sign_in import local_path
from deployments.models import Deployment
from deployments.queries.people import AIRFLOW_ROLES, NO_PEOPLE, digest, people_of
from deployments.secrets import assertions, vault
from workspaces import audit
from workspaces.access import require
from workspaces.models import User
from workspaces.permissions import Permission, Role, least

OPENED = "opened the Airflow of"
TOKEN_MINUTES = (15, 30, 60)  # as the page offers them; the last is the most
NOT_OPEN = "Airflow does not answer yet. It may be starting, or hibernating: the overview says which."
OLD = (
    "This Airflow was started before Airdeck signed people in. It does so once it is restarted: edit it, or hibernate "
    "it and wake it up."
)


@dataclass(frozen=True)
class AirflowToken:
    """What a script sends to one Airflow, as which of its roles, and until when."""

    value: str
    role: str
    ends_at: datetime


def start_url(deployment: Deployment, *, to: str, console: str) -> str:
    """Where a browser begins: at Airflow, which remembers it and leads it back here. Pure."""
    query = urlencode({"next": local_path(to), "console": console})
    return f"{deployment.airflow_url.rstrip('/')}/auth/login?{query}"


@transaction.atomic
def sign_in(*, deployment: Deployment, by: User, state: str, to: str) -> str:
    """An assertion for the browser whose digest Airflow passed on as `state`; audited. `to` is a path of that Airflow.

    Raises Http404 and PermissionDenied as the page does, and NotNow while Airflow does not answer."""
    now = database_now().timestamp()
    role = _role(deployment, by)
    if not deployment.airflow_url:
        raise NotNow(NOT_OPEN)
    audit.record(deployment, by, OPENED, new={"role in Airflow": role})
    return assertions.sign_in(
        vault.one(deployment, "sign_in_key"),
        release=deployment.release_name,
        user_id=str(by.pk),
        email=by.email,
        role=role,
        state=state,
        to=local_path(to),
        now=now,
    )


@transaction.atomic
def make_airflow_token(
    *, deployment: Deployment, by: User, minutes: int, up_to: Role | None = None
) -> AirflowToken:
    """A token for scripts: Airflow's API as oneself, for 1 to 60 minutes; audited. It ends with its maker's right to
    open this Airflow, and never allows more than they may at that moment, nor than the role `up_to`.

    Raises InvalidInput, Http404 and PermissionDenied, and NotNow while this Airflow takes none."""
    if not 1 <= minutes <= TOKEN_MINUTES[-1]:
        raise InvalidInput({"minutes": f"A token is valid for 1 to {TOKEN_MINUTES[-1]} minutes."})
    now = database_now().timestamp()
    role = _role(deployment, by, up_to)
    if not deployment.signs_in:
        raise NotNow(OLD)
    audit.record(
        deployment,
        by,
        "created an Airflow token for",
        new={"role in Airflow": role, "minutes": minutes},
    )
    value = assertions.airflow_token(
        vault.one(deployment, "jwt_secret"),
        user_id=str(by.pk),
        email=by.email,
        role=role,
        now=now,
        seconds=minutes * 60,
        capped=up_to is not None,
    )
    return AirflowToken(value, role, datetime.fromtimestamp(int(now) + minutes * 60, UTC))


def _role(deployment: Deployment, by: User, up_to: Role | None = None) -> str:
    """What they are in Airflow now, at most as what `up_to` is there."""
    found, membership = deployment_for(by, deployment.release_name)
    require(membership, Permission.OPEN_AIRFLOW)
    _have_list_follow(found, by, AIRFLOW_ROLES[Role(membership.role)])
    return AIRFLOW_ROLES[least(membership.role, up_to) if up_to else Role(membership.role)]


def _have_list_follow(deployment: Deployment, by: User, role: str) -> None:
    """Have the list of people written after this moment, unless Airflow's says already that this person is `role`.
    Airflow believes this sign-in until a newer list comes. A role that was raised and is lowered again before the next
    sweep leaves nothing by which the sweep would see that one is due."""
    people = people_of([deployment.workspace_id]).get(deployment.workspace_id, NO_PEOPLE)
    _, ended = people.get(str(by.pk), ("", 0.0))
    if digest({**people, str(by.pk): (role, ended)}) != deployment.people_digest:
        Deployment.objects.filter(pk=deployment.pk).update(people_digest="")
