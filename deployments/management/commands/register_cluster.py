"""`manage.py register_cluster`: a Kubernetes cluster on which Deployments can run."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.kit.refusals import ActionRefused
from deployments.actions import clusters
from deployments.actions.clusters import ClusterConnection
from deployments.clusters import checks
from deployments.dataplane.contract import ClusterConfig
from deployments.management.cluster_options import add_options, reach_of, report
from deployments.models import Cluster
from deployments.models.clusters import MISSING


class Command(BaseCommand):
    """Checks it, stores what is needed of the kubeconfig encrypted, and has a worker test network isolation."""

    help = "Register a Kubernetes cluster, or with --replace change how a registered one is reached."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options of docs/kubernetes.md."""
        parser.add_argument("name", help="what people see in the create form")
        add_options(parser)
        parser.add_argument(
            "--replace", action="store_true", help="change a registered cluster; what is not given stays"
        )
        parser.add_argument(
            "--unless-known",
            action="store_true",
            help="leave a cluster of that name as it is, also one that was deregistered; a worker does the checks",
        )
        parser.add_argument(
            "--moved",
            action="store_true",
            help="with --replace: the cluster and its Postgres are the same as before, at another address",
        )
        parser.add_argument("--check-only", action="store_true", help="check, and store nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ends with 1 when something is missing; a cluster is registered all the same, and not offered to anyone until
        it is there."""
        if options["unless_known"] and Cluster.objects.filter(name=options["name"].strip()).exists():
            self.stdout.write(f"{options['name']} is known already, and stays as it is.")
            return
        reach = reach_of(options)
        try:
            if options["unless_known"]:
                name = clusters.register(name=options["name"], reach=reach, by=None).name
                self.stdout.write(
                    f"{name} is registered. A worker checks it now; its page says what was found."
                )
                return
            if options["check_only"]:
                rows = self._look(self._config(options["name"], reach))
            else:
                act = clusters.replace if options["replace"] else clusters.register
                cluster = act(name=options["name"], reach=reach, by=None)
                self.stdout.write(
                    f"{cluster.name} is registered. Checking it; the isolation test takes up to 2 minutes."
                )
                checks.settle(cluster.pk)
                cluster.refresh_from_db()
                rows = cluster.checks
        except ActionRefused as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(report(rows))
        if any(row["state"] == MISSING for row in rows):
            raise CommandError("Something is missing. Until it is there, no Deployment can be created on it.")

    def _config(self, name: str, reach: ClusterConnection) -> ClusterConfig:
        if reach.credentials is None or reach.database_url is None:
            raise CommandError("Give --kubeconfig or --in-cluster, and the URL of the primary Postgres.")
        settings = clusters.checked_settings(reach.settings or {})
        url = clusters.checked_url(reach.database_url)
        return ClusterConfig(name, "kubernetes", url, {**settings, **reach.credentials.settings()})

    def _look(self, config: ClusterConfig) -> list[dict[str, str]]:
        found = list(checks.examine(config))
        if not any(one.state == MISSING for one in found):
            found += checks.try_out(config)
        return [one.row() for one in found]
