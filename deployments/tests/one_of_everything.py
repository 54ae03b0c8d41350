"""What a Deployment can have, one of each: for tests that ask for every address."""

from uuid import uuid4

from django.utils import timezone

from deployments.models import Deployment
from deployments.secrets import vault


def furnish(deployment: Deployment) -> None:
    """Give it the variable REGION, revision 1 of its variables, and deploy 1, which failed."""
    deployment.variables.create(key="REGION", value="eu")
    deployment.variable_revisions.create(number=1, sealed=vault.seal_revision(deployment, 1, {}))
    deployment.deploys.create(
        number=1,
        idempotency_key=uuid4(),
        source="upload",
        digest="0" * 64,
        version="1-000000000000",
        files=1,
        python_files=1,
        size=1,
        status="failed",
        finished_at=timezone.now(),
    )
