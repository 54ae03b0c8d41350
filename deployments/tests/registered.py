"""A registered Kubernetes cluster that nobody asks anything, for tests."""

from console.embedded import postgres
from console.tests.services import STATE
from deployments.dataplane.kubernetes.checks import Check, State
from deployments.dataplane.kubernetes.kubeconfig import Credentials
from deployments.registration import Reach

ADMIN = postgres.url(STATE, "postgres")
TOKEN, PASSWORD = "marked-token-77", "marked-password-77"
URL = f"postgresql://airdeck:{PASSWORD}@db.example:5432/postgres"
OK, MISSES = Check("api", "API server", State.OK, "Fine."), Check("rights", "Rights", State.MISSING, "None.")


def credentials(server: str = "https://10.0.0.1:6443") -> Credentials:
    return Credentials(server, "", TOKEN)


def reach(**settings: str) -> Reach:
    return Reach(credentials(), URL, settings)
