"""`manage.py check_cluster`: look at a registered cluster again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.kit.refusals import ActionRefused
from deployments.actions import clusters
from deployments.clusters import checks
from deployments.management.cluster_options import report
from deployments.models.clusters import MISSING


class Command(BaseCommand):
    """Prints one line per check and keeps them on the cluster's page."""

    help = "Check a registered Kubernetes cluster: rights, Postgres, ingress, isolation."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one."""
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ends with 1 when something is missing."""
        try:
            cluster = clusters.registered(options["name"])
        except ActionRefused as refusal:
            raise CommandError(str(refusal)) from None
        checks.ask(cluster)
        checks.settle(cluster.pk)
        cluster.refresh_from_db()
        self.stdout.write(report(cluster.checks))
        if any(row["state"] == MISSING for row in cluster.checks):
            raise CommandError("Something is missing. Until it is there, no Deployment can be created on it.")
