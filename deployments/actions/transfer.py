"""Moving a Deployment to another Workspace."""

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from deployments.actions.alert_rules import leave_alerts_behind
from deployments.actions.common import changing, show_again
from deployments.actions.refusals import ClusterClosed, NameTaken, NotOpenToYou, WorkspaceGone
from deployments.clusters import connections
from deployments.models import Cluster, Deployment
from workspaces import audit
from workspaces.access import may
from workspaces.models import Membership, User, Workspace
from workspaces.permissions import Permission

CLOSED = "This Workspace can no longer take it. Choose another one."


def transfer_deployment(*, deployment: Deployment, by: User, to: Workspace) -> Deployment:
    """Move it to another Workspace, in which the actor may create Deployments and to which its cluster is open. Nothing
    restarts. Raises NotOpenToYou, ClusterClosed, NameTaken, WorkspaceGone and NotNow."""
    try:
        with changing(deployment, by=by) as row:
            source = row.workspace
            if source.pk == to.pk:
                return row
            membership = Membership.objects.select_related("workspace").filter(workspace=to, user=by).first()
            if membership is None or not may(membership, Permission.CREATE_DEPLOYMENT):
                raise NotOpenToYou(CLOSED)
            connections.lock_for_placement(row.cluster)
            open_to = Q(restricted=False) | Q(workspaces=to)
            if not Cluster.objects.filter(open_to, pk=row.cluster_id).exists():
                raise ClusterClosed(CLOSED, field="workspace")
            values = {"old": {"workspace": source.name}, "new": {"workspace": to.name}}
            audit.record(row, by, "transferred", **values)
            leave_alerts_behind(row)
            row.workspace = to
            Deployment.objects.filter(pk=row.pk).update(
                workspace=to, updated_at=Now(), updated_by=by, changed_at=Now()
            )
            audit.record(row, by, "transferred", **values)
            transaction.on_commit(lambda: show_again(source, to), robust=True)
    except IntegrityError as error:
        if "deployment_name_once_per_workspace" in str(error):
            taken = f"{to.name} has a Deployment named {deployment.name} already."
            raise NameTaken(
                f"{taken} Rename one of them, or choose another Workspace.", field="workspace"
            ) from error
        if not Workspace.objects.filter(pk=to.pk).exists():
            raise WorkspaceGone from error
        raise
    deployment.refresh_from_db()
    return deployment
