"""`manage.py deregister_cluster`: forget a Kubernetes cluster."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.kit.refusals import ActionRefused
from deployments.actions import clusters


class Command(BaseCommand):
    """Refused while Deployments are on it. Touches nothing in the cluster."""

    help = "Deregister a Kubernetes cluster on which no Deployment is left."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one."""
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        """Its stored credentials are removed."""
        try:
            cluster = clusters.registered(options["name"])
            self.stdout.write(clusters.deregister(cluster=cluster, by=None))
        except ActionRefused as refusal:
            raise CommandError(str(refusal)) from None
