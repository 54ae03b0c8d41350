"""The app of everything that converges."""

from django.apps import AppConfig


class DeploymentsConfig(AppConfig):
    """Deployments, their clusters and runtimes, and the reconciler."""

    name = "deployments"

    def ready(self) -> None:
        """Tell tenancy what lives in Workspaces."""
        from deployments import workspace_hooks

        workspace_hooks.register()
