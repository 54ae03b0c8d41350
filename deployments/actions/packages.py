"""Asking for what a requirements.txt comes to. The lines are read here; the reconciler has them resolved."""

from pathlib import Path

from django.db.models.functions import Now

from deployments.actions.common import enqueue_on_commit
from deployments.actions.refusals import RequirementsRefused
from deployments.clusters import connections
from deployments.dataplane.code import CodeStore
from deployments.domain.code_errors import CodeRefused
from deployments.domain.code_manifest import CodeFile, Manifest
from deployments.domain.code_packages import requirements_digest
from deployments.domain.code_requirements import (
    REQUIREMENTS_BYTES,
    REQUIREMENTS_FILE,
    Requirements,
    read,
    refusal,
)
from deployments.domain.deploy_states import PackagesState
from deployments.models import Deployment, PackageSet


def are_installed(deployment: Deployment) -> bool:
    """Whether its cluster installs packages; else they come with the image. Raises DataPlaneError."""
    driver, ref = connections.driver_and_ref(deployment)
    return driver.packages(ref) is not None


def lines_in(scratch: Path, manifest: Manifest) -> tuple[str, ...]:
    """What the requirements.txt among unpacked contents asks for. Raises CodeRefused for what is not taken."""
    file = _file(manifest)
    if file is None:
        return ()
    with (scratch / file.sha256).open("rb") as stream:
        found = read(stream.read(REQUIREMENTS_BYTES + 1))
    if reason := refusal(found):
        raise CodeRefused(reason)
    return found.lines


def lines_of(store: CodeStore, manifest: Manifest) -> tuple[str, ...]:
    """What the requirements.txt of code that was received asks for. Raises RequirementsRefused and DataPlaneError."""
    file = _file(manifest)
    if file is None:
        return ()
    content = store.read(file) if file.size <= REQUIREMENTS_BYTES else b" " * (REQUIREMENTS_BYTES + 1)
    found: Requirements = read(content)
    if reason := refusal(found):
        raise RequirementsRefused(reason)
    return found.lines


def _file(manifest: Manifest) -> CodeFile | None:
    return next((file for file in manifest.files if file.path == REQUIREMENTS_FILE), None)


def ask(deployment: Deployment, lines: tuple[str, ...]) -> None:
    """Have these lines resolved on its runtime, unless that is known. What was refused is asked again:
    the index may have changed."""
    row, made = PackageSet.objects.get_or_create(
        deployment=deployment,
        requirements=requirements_digest(lines),
        runtime=deployment.runtime.version,
        defaults={"lines": list(lines)},
    )
    if not made and row.is_resolved:
        return
    PackageSet.objects.filter(pk=row.pk, state=PackagesState.REFUSED).update(
        state=PackagesState.RESOLVING, sentence=""
    )
    Deployment.objects.filter(pk=deployment.pk).update(due_at=Now())
    enqueue_on_commit(deployment)
