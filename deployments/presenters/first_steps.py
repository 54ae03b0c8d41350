"""What comes after the first Deployment of a Workspace: open Airflow, add a DAG, invite someone. Offered from its
creation on, so that nothing jumps when it is Healthy, and never again once it is done."""

from dataclasses import dataclass

from deployments.actions import sign_in
from deployments.models import Deployment
from workspaces.models import AuditEvent, Invitation, Membership


@dataclass(frozen=True)
class FirstSteps:
    """What is done already, as far as it is known."""

    opened: bool  # a person opened this Airflow
    deployed: bool  # code was deployed to it
    invited: bool  # another person belongs to the Workspace, or is invited


def first_steps(deployment: Deployment) -> FirstSteps | None:
    """For the first Deployment of its Workspace; None for any other, and once they are done or put away. No query once
    they are put away, five before. The Workspace is loaded."""
    workspace = deployment.workspace
    if workspace.first_steps_done_at is not None or deployment.is_deleting:
        return None
    others = Deployment.objects.filter(workspace=workspace).exclude(pk=deployment.pk)
    if others.filter(first_healthy_at__isnull=False).exists():
        return None
    opened = AuditEvent.objects.filter(
        object_type="deployment", object_id=str(deployment.pk), verb=sign_in.OPENED
    )
    invited = (
        Membership.objects.filter(workspace=workspace)[1:2].exists()
        or Invitation.objects.filter(workspace=workspace).exists()
    )
    found = FirstSteps(opened.exists(), deployment.deploys.exists(), invited)
    return None if found.opened and found.invited else found
