"""A registered Kubernetes cluster that nobody asks anything, for tests."""

from console.embedded import postgres
from console.tests.services import STATE
from deployments.actions.clusters import ClusterConnection
from deployments.dataplane.kubernetes.api.credentials import Credentials
from deployments.dataplane.kubernetes.checks.verdicts import Check, CheckState

ADMIN = postgres.url(STATE, "postgres")
TOKEN, PASSWORD = "marked-token-77", "marked-password-77"
URL = f"postgresql://airdeck:{PASSWORD}@db.example:5432/postgres"
OK, MISSES = (
    Check("api", "API server", CheckState.OK, "Fine."),
    Check("rights", "Rights", CheckState.MISSING, "None."),
)


def credentials(server: str = "https://10.0.0.1:6443") -> Credentials:
    return Credentials(server, "", TOKEN)


def reach(**settings: str) -> ClusterConnection:
    return ClusterConnection(credentials(), URL, settings)
