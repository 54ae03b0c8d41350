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
        from deployments.domain import addresses, git_hosts, webhook_hosts

        workspace_hooks.register()
        addresses.allow(addresses.networks(settings.CLUSTER_ADDRESSES))
        git_hosts.allow(git_hosts.Listed.of(settings.GIT_ADDRESSES))
        hooks = git_hosts.Listed.of(settings.WEBHOOK_ADDRESSES, setting=webhook_hosts.SETTING)
        webhook_hosts.allow(hooks)
