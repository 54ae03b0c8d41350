"""What passes write of deploys: the row, its steps, and what the Deployment is to run. Each move is one conditional
UPDATE, fenced by the lease, on the status that was seen; so one that was superseded in the meantime stays.
"""

from typing import Any

import structlog
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from deployments.dataplane.contract import Ref
from deployments.domain.code_project import plugins_digest
from deployments.domain.deploy_states import DeployStatus
from deployments.domain.states import StepState
from deployments.models import Deploy, Deployment, DeployStep
from deployments.reconciler import recording
from deployments.reconciler.leases import Claim
from workspaces import audit

logger = structlog.get_logger(__name__)


def ref_of(deployment: Deployment) -> Ref:
    """How drivers name this Deployment."""
    return Ref(str(deployment.pk), deployment.release_name)


def move(claim: Claim, deploy: Deploy, **values: Any) -> bool:
    """Change the row, if it is as it was seen and the lease is ours; whether it was. Open pages are updated."""
    changed = {name: value for name, value in values.items() if getattr(deploy, name) != value}
    if not changed:
        return True
    moved = Deploy.objects.filter(
        pk=deploy.pk, status=deploy.status, deployment__lease_epoch=claim.epoch
    ).update(**changed)
    if moved:
        for name, value in changed.items():
            setattr(deploy, name, timezone.now() if isinstance(value, Now) else value)
        transaction.on_commit(lambda: recording.publish(claim.deployment.pk), robust=True)
    return bool(moved)


def step(deploy: Deploy, key: str, state: StepState, sentence: str = "") -> None:
    """Write one step, with the times at which it began and ended."""
    row = DeployStep.objects.filter(deploy=deploy, key=key).first()
    if row is None or (row.state == state and row.sentence == sentence):
        return
    now = timezone.now()
    row.state, row.sentence = state, sentence[:1000]
    if state is not StepState.PENDING:
        row.started_at = row.started_at or now
    row.finished_at = now if state in {StepState.DONE, StepState.FAILED} else None
    row.save(update_fields=["state", "sentence", "started_at", "finished_at"])
    transaction.on_commit(lambda: recording.publish(deploy.deployment_id), robust=True)


def desire(claim: Claim, deploy: Deploy | None) -> None:
    """Make this deploy what the Deployment is to run, in the transaction that moves its row; None: nothing but the
    image of the runtime."""
    manifest = deploy.manifest.opened() if deploy is not None and deploy.manifest else None
    values: dict[str, Any] = {
        "code_version": deploy.version if deploy else "",
        "code_manifest": deploy.digest if deploy else "",
        "code_requirements": deploy.requirements if deploy else "",
        "code_plugins": plugins_digest(manifest) if manifest else "",
        "image": deploy.image_pinned if deploy else "",
        "deploy_number": deploy.number if deploy else None,
    }
    Deployment.objects.filter(pk=claim.deployment.pk, lease_epoch=claim.epoch).update(**values)
    for name, value in values.items():
        setattr(claim.deployment, name, value)  # this very pass applies it


def fail(claim: Claim, deploy: Deploy, key: str, sentence: str, **values: Any) -> float:
    """It does not become active; what runs goes on."""
    text = sentence[:1000]
    if move(claim, deploy, status=DeployStatus.FAILED, sentence=text, finished_at=Now(), **values):
        step(deploy, key, StepState.FAILED, text)
        audit.record(
            claim.deployment, None, "gave up a deploy to", new={"deploy": deploy.number, "reason": text}
        )
        logger.info("deploy_failed", deploy=deploy.number)
    return 0.0
