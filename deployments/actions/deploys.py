"""Deploying code: receiving it, asking for it to become active, and going back. Contents are kept first, outside of any
transaction; then a row says that they are desired, and the reconciler does the rest."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO
from uuid import UUID, uuid4

from django.db import connection
from django.db.models import Max
from django.db.models.functions import Now
from django.utils import timezone

from console.kit.text import one_line
from deployments.actions import packages
from deployments.actions.common import changing, enqueue_on_commit, refuse_unless_editable
from deployments.actions.refusals import (
    CodeChanged,
    CodeNotKept,
    GitChanged,
    HasCode,
    NothingToDeploy,
    NotNow,
    PackagesInCode,
)
from deployments.audit import record_deployment
from deployments.dataplane.code import CodeStore
from deployments.domain.code_archive import Unpacked, unpack
from deployments.domain.code_errors import shown
from deployments.domain.code_ignore import IGNORE_FILE
from deployments.domain.code_manifest import Manifest, version_name
from deployments.domain.code_packages import requirements_digest
from deployments.domain.code_project import is_project
from deployments.domain.deploy_states import PACKAGES, STEPS, WAITING, DeploySource, DeployStatus
from deployments.domain.example_dag import EXAMPLE
from deployments.domain.states import StepState
from deployments.models import (
    UPLOAD_LIFE,
    CodeManifest,
    CodeUpload,
    Deploy,
    Deployment,
    DeployStep,
    GitSource,
)
from deployments.queries.deploys import base_of, desired_deploy, store_of, why_no_code
from workspaces import acting
from workspaces.models import User

AIRDECK = "Airdeck"  # who deploys what nobody clicked for


@dataclass(frozen=True)
class Wish:
    """A deploy as it is asked for. `requirements` names what was asked for before ("" for nothing); None to read its
    requirements.txt."""

    manifest: Manifest
    source: DeploySource
    idempotency_key: UUID
    description: str = ""
    origin: Deploy | None = None
    despite_syntax: bool = False
    git: Mapping[str, object] = field(default_factory=dict)  # facts of the commit that the code is
    git_revision: int | None = None  # of the Git source: asked for only while it is the same
    requirements: str | None = None


def receive_upload(
    *, deployment: Deployment, by: User, stream: BinaryIO, name: str, size: int, key: UUID | None = None
) -> CodeUpload:
    """Take an archive apart and keep its contents, so that its difference can be shown. Nothing is deployed by it.
    `key` is what makes one deploy of it however often it comes; one that came before is received again. Raises NotNow,
    PackagesInCode, CodeRefused and DataPlaneError; nothing is kept then."""
    store = ready_store(deployment)
    with store.scratch() as scratch:
        unpacked = unpack(stream, scratch)
        lines = packages.lines_in(scratch, unpacked.manifest)
        has_packages = _refuse_unless_installed(deployment, lines)
        store.receive(scratch, unpacked.manifest)
    base = _base(deployment, store)
    old = CodeUpload.objects.filter(deployment=deployment, created_at__lt=timezone.now() - UPLOAD_LIFE)
    old.delete()
    if key is not None:
        CodeUpload.objects.filter(deployment=deployment, pk=key).delete()
    if lines and has_packages:
        packages.ask(deployment, lines)
    return CodeUpload.objects.create(
        pk=key or uuid4(),
        deployment=deployment,
        requirements=requirements_digest(lines) if has_packages else "",
        by=by,
        manifest=_kept(deployment, unpacked.manifest),
        base=base,
        name=one_line(name)[:200],
        packed_size=size,
        left_out=unpacked.left_out,
        notes=_notes(unpacked),
    )


def compare_again(*, deployment: Deployment, upload: CodeUpload) -> CodeUpload:
    """Compare an upload with what there is now. Raises NotNow and DataPlaneError."""
    upload.base = _base(deployment, ready_store(deployment))
    upload.save(update_fields=["base"])
    return upload


def _base(deployment: Deployment, store: CodeStore) -> str:
    """The digest of what new code is compared with, whose manifest is kept for the page that shows the difference."""
    folder = store.folder()
    if folder is not None:
        _kept(deployment, folder)
    return base_of(deployment, folder)[0]


def _notes(unpacked: Unpacked) -> list[str]:
    """What the person who deploys this should know."""
    sentences = []
    if unpacked.left_out:
        files = "1 file was" if unpacked.left_out == 1 else f"{unpacked.left_out:,} files were"
        sentences.append(f"{files} left out: caches, environments, .env files, or what {IGNORE_FILE} says.")
    manifest = unpacked.manifest
    if is_project(manifest):
        sentences.append("It is a project: its DAGs are in dags/, and include/ and plugins/ go with them.")
    elif manifest.only_folder:
        folder = manifest.only_folder
        sentences.append(
            f"Everything is inside the folder {shown(folder)}, so its modules are imported as {shown(folder)}.… . If "
            "that is not meant, pack the content of the folder."
        )
    if not manifest.python_files:
        sentences.append("There is no Python file in it, so Airflow will find no DAG.")
    return sentences


def _refuse_unless_installed(deployment: Deployment, lines: tuple[str, ...]) -> bool:
    """Whether its cluster installs packages. Raises PackagesInCode where they come with the image and the code asks for
    some, and DataPlaneError."""
    installed = packages.are_installed(deployment)
    if lines and not installed:
        raise PackagesInCode
    return installed


def ready_store(deployment: Deployment) -> CodeStore:
    """The store, for a Deployment that code can be deployed to now. The request's database connection goes back to the
    pool: reading an archive takes a while. Raises NotNow and DataPlaneError."""
    refuse_unless_editable(deployment)
    if why := why_no_code(deployment):
        raise NotNow(why)
    store = store_of(deployment)
    if store is None:
        raise NotNow("Code comes with the image of the runtime on this cluster.")
    if not connection.in_atomic_block:
        connection.close()
    return store


def deploy_upload(
    *,
    deployment: Deployment,
    by: User,
    upload: CodeUpload,
    seen: str | None,
    description: str,
    despite_syntax: bool,
    git: Mapping[str, object] | None = None,
) -> Deploy:
    """Ask for an upload to become active. `seen` is the digest of what its difference was shown to, None when nothing
    was shown. Idempotent. Raises CodeChanged, NothingToDeploy, RequirementsRefused, NotNow and DataPlaneError."""
    wish = Wish(
        upload.manifest.opened(),
        DeploySource.UPLOAD,
        upload.pk,
        description,
        despite_syntax=despite_syntax,
        git=git or {},
    )
    return _ask(deployment, by, wish, seen=seen)


def deploy_example(*, deployment: Deployment, by: User) -> Deploy:
    """Deploy the example, to a Deployment that has no code. Raises NothingToDeploy, HasCode, NotNow and
    DataPlaneError."""
    store = ready_store(deployment)
    with store.scratch() as scratch:
        for sha256, content in EXAMPLE.contents.items():
            (scratch / sha256).write_bytes(content)
        store.receive(scratch, EXAMPLE.manifest)
    # A key of its own: of two clicks at once the second finds that there is nothing to do.
    wish = Wish(EXAMPLE.manifest, DeploySource.EXAMPLE, uuid4(), "The example DAG.")
    try:
        return _ask(deployment, by, wish, seen="")
    except CodeChanged:
        raise HasCode from None


def roll_back(
    *, deployment: Deployment, by: User, to: Deploy, idempotency_key: UUID, description: str
) -> Deploy:
    """Ask for the code of an earlier deploy again, as a new deploy. The same `idempotency_key` twice is one deploy.
    Raises CodeNotKept, NothingToDeploy, NotNow and DataPlaneError."""
    if to.manifest is None:
        raise CodeNotKept(to.number)
    wish = Wish(
        to.manifest.opened(),
        DeploySource.ROLLBACK,
        idempotency_key,
        description,
        to,
        despite_syntax=True,
        git=to.git,
        requirements=to.requirements,
    )
    return _ask(deployment, by, wish)


def deploy_anyway(*, deployment: Deployment, by: User, failed: Deploy) -> Deploy:
    """Deploy what was refused because files do not compile. Raises as `roll_back`."""
    if failed.manifest is None:
        raise CodeNotKept(failed.number)
    key = UUID(int=failed.idempotency_key.int ^ 1)  # derived: two clicks are one deploy
    source = DeploySource(failed.source)
    wish = Wish(
        failed.manifest.opened(),
        source,
        key,
        failed.description,
        failed.origin,
        despite_syntax=True,
        git=failed.git,
        requirements=failed.requirements,
    )
    return _ask(deployment, by, wish)


def deploy_commit(
    *,
    deployment: Deployment,
    by: User | None,
    unpacked: Unpacked,
    git: Mapping[str, object],
    revision: int,
    idempotency_key: UUID,
) -> Deploy:
    """Ask for the code of a Git commit, whose contents the store has received, for the person who asked for it, or for
    Airdeck itself. `git` has its facts as `Deploy.git` keeps them; `revision` is that of the Git source that it came
    from. Raises GitChanged when that is another by now, and NothingToDeploy, NotNow and DataPlaneError."""
    wish = Wish(
        unpacked.manifest,
        DeploySource.GIT,
        idempotency_key,
        one_line(str(git["subject"]))[:500],
        git={**git, "notes": _notes(unpacked)},
        git_revision=revision,
    )
    return _ask(deployment, by, wish)


def _ask(deployment: Deployment, by: User | None, wish: Wish, *, seen: str | None = None) -> Deploy:
    store = ready_store(deployment)
    folder = store.folder() if desired_deploy(deployment) is None else None  # I/O, so before the transaction
    lines: tuple[str, ...] = ()
    if wish.requirements is None:
        lines = packages.lines_of(store, wish.manifest)
        _refuse_unless_installed(deployment, lines)
        wish = replace(wish, requirements=requirements_digest(lines))
    with changing(deployment, by=by) as row:
        earlier = Deploy.objects.filter(deployment=row, idempotency_key=wish.idempotency_key).first()
        if earlier is not None:
            return earlier
        _refuse_unless_same_source(row, wish)
        newest = desired_deploy(row)
        asked = (wish.manifest.digest, wish.requirements)
        if newest is not None and (newest.digest, newest.requirements) == asked:
            raise NothingToDeploy(newest.number)
        if seen is not None and base_of(row, folder)[0] != seen:
            raise CodeChanged
        if newest is None and folder is not None:
            _folder_as_first(row, by, folder)
        if lines:
            packages.ask(row, lines)
        return _create(row, by, wish)


def _refuse_unless_same_source(row: Deployment, wish: Wish) -> None:
    revision = wish.git_revision
    if revision is not None and not GitSource.objects.filter(deployment=row, revision=revision).exists():
        raise GitChanged


def _folder_as_first(row: Deployment, by: User | None, folder: Manifest) -> None:
    """What the DAGs folder holds becomes version 1, to which one can go back."""
    number = _next_number(row)
    Deploy.objects.create(
        **_values(row, by, Wish(folder, DeploySource.FOLDER, uuid4()), number),
        description="What the DAGs folder held when code was first deployed.",
        status=DeployStatus.DEPLOYED,
        activated_at=Now(),
        finished_at=Now(),
        packages={},
        watched=True,
    )


def _create(row: Deployment, by: User | None, wish: Wish) -> Deploy:
    number = _next_number(row)
    Deploy.objects.filter(deployment=row, status__in=[each.value for each in WAITING]).update(
        status=DeployStatus.SUPERSEDED,
        sentence=f"Deploy {number} came before it was active.",
        finished_at=Now(),
    )
    made = Deploy.objects.create(
        **_values(row, by, wish, number),
        description=wish.description,
        origin=wish.origin,
        despite_syntax=wish.despite_syntax,
    )
    now = timezone.now()
    steps = [step for step in STEPS if step[0] != PACKAGES or made.requirements]
    for position, (key, title) in enumerate(steps):
        done = {"state": StepState.DONE, "started_at": now, "finished_at": now} if not position else {}
        DeployStep.objects.create(deploy=made, position=position, key=key, title=title, **done)
    details: dict[str, object] = {"deploy": number, "files": made.files}
    if wish.origin is not None:
        details["code_of_deploy"] = wish.origin.number
    if commit := wish.git.get("sha"):
        details["commit"] = commit
    record_deployment(row, by, "rolled back" if wish.origin else "deployed code to", new=details)
    Deployment.objects.filter(pk=row.pk).update(due_at=Now())
    enqueue_on_commit(row)
    return made


def _values(row: Deployment, by: User | None, wish: Wish, number: int) -> dict[str, object]:
    manifest = _kept(row, wish.manifest)
    return {
        "deployment": row,
        "number": number,
        "idempotency_key": wish.idempotency_key,
        "source": wish.source,
        "by": by,
        "actor": acting.named(by.label)[:254] if by else AIRDECK,
        "manifest": manifest,
        "digest": manifest.digest,
        "version": version_name(number, manifest.digest),
        "files": manifest.files,
        "python_files": manifest.python_files,
        "size": manifest.size,
        "git": dict(wish.git),
        "requirements": wish.requirements or "",
    }


def _next_number(row: Deployment) -> int:
    """Under the lock of the Deployment's row."""
    newest = Deploy.objects.filter(deployment=row).aggregate(newest=Max("number"))["newest"]
    return int(newest or 0) + 1


def _kept(deployment: Deployment, manifest: Manifest) -> CodeManifest:
    """The row of this manifest, made when there is none."""
    row, _ = CodeManifest.objects.get_or_create(
        deployment=deployment,
        digest=manifest.digest,
        defaults={
            "packed": zlib.compress(manifest.document.encode()),
            "files": len(manifest.files),
            "python_files": manifest.python_files,
            "size": manifest.size,
        },
    )
    return row
