"""What tenancy must know of Deployments, and reports to them: whether a Workspace has any, how to forget the history of
those gone, and who signed out."""

from uuid import UUID

from django.db.models.functions import Now
from django.urls import reverse

from deployments.models import AirflowSignOut, Deployment
from workspaces import hooks
from workspaces.models import User, Workspace


def content_of(row: Deployment) -> hooks.Content:
    """The Deployment, as tenancy knows it."""
    return hooks.Content(row.pk, row.name, row.url, row.url_for("api_tokens"))


class Deployments:
    """The Deployments of a Workspace, for `workspaces.hooks`."""

    kind = "deployment"
    label = "Deployment"
    token_letter = "d"  # noqa: S105 - a letter

    def find(self, workspace_id: UUID, pk: UUID) -> hooks.Content | None:
        """One that is not gone. One query."""
        row = Deployment.objects.filter(pk=pk, workspace=workspace_id, deleted_at__isnull=True).first()
        return None if row is None else content_of(row)

    def deletion_blocker(self, workspace: Workspace) -> str:
        """Whatever is not gone yet keeps the Workspace."""
        count = Deployment.objects.filter(workspace=workspace, deleted_at__isnull=True).count()
        if not count:
            return ""
        words = "1 Deployment is" if count == 1 else f"{count} Deployments are"
        them = "it" if count == 1 else "them"
        return f"{words} in it. Delete {them} first, and wait until nothing is left of {them}."

    def forget(self, workspace: Workspace) -> None:
        """Rows of deleted Deployments go with their Workspace. Audit events and release names stay."""
        Deployment.objects.filter(workspace=workspace, deleted_at__isnull=False).delete()

    def summary(self, workspace: Workspace) -> hooks.Summary:
        """How many, deleted ones included."""
        url = reverse("admin:deployments_deployment_changelist")
        count = Deployment.objects.filter(workspace=workspace).count()
        words = "1 Deployment" if count == 1 else f"{count:,} Deployments"
        return hooks.Summary(words, f"{url}?workspace__id__exact={workspace.pk}")

    def signed_out(self, user: User) -> None:
        """Sessions in Airflow end too: the next pass over each of their Deployments sees to it."""
        AirflowSignOut.objects.update_or_create(user=user, defaults={"at": Now()})


def register() -> None:
    """Make Deployments known to Workspaces. Called once, when Django starts."""
    hooks.register(Deployments())
