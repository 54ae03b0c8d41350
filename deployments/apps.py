"""The app of everything that converges."""

from django.apps import AppConfig
from django.conf import settings


class DeploymentsConfig(AppConfig):
    """Deployments, their clusters and runtimes, and the reconciler."""

    name = "deployments"

    def ready(self) -> None:
        """Register with tenancy what lives in Workspaces, with drivers at which addresses clusters may be, with Git at
        which repositories may be, and with alerts to which webhooks may lead."""
        from deployments import workspace_hooks
        from deployments.domain import addresses, public_hosts

        workspace_hooks.register()
        addresses.allow(addresses.networks(settings.CLUSTER_ADDRESSES))
        public_hosts.REPOSITORIES.allow(settings.GIT_ADDRESSES)
        public_hosts.WEBHOOKS.allow(settings.WEBHOOK_ADDRESSES)
