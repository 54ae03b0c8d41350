"""Deploying code: receiving it, asking for it to become active, and going back. Contents are kept first, outside of any
transaction; then a row says that they are desired, and the reconciler does the rest."""

from collections.abc import Mapping
from typing import BinaryIO
from uuid import UUID, uuid4

from django.utils import timezone

from console.kit.text import one_line
from deployments.actions import packages
from deployments.actions.deploy_wishes import (
    DeployWish,
    ask,
    folder_of,
    image_again,
    judging_code,
    kept,
    ready_store,
    refuse_unless_installed,
)
from deployments.actions.refusals import (
    CodeChanged,
    CodeNotKept,
    HasCode,
)
from deployments.dataplane.code import CodeStore
from deployments.domain.code_archive import Unpacked, unpack
from deployments.domain.code_errors import shown
from deployments.domain.code_ignore import IGNORE_FILE
from deployments.domain.code_packages import requirements_digest
from deployments.domain.code_project import is_project
from deployments.domain.deploy_states import DeploySource
from deployments.domain.example_dag import EXAMPLE
from deployments.models import (
    UPLOAD_LIFE,
    CodeUpload,
    Deploy,
    Deployment,
)
from deployments.queries.deploys import base_of
from workspaces.models import User


def receive_upload(
    *, deployment: Deployment, by: User, stream: BinaryIO, name: str, size: int, key: UUID | None = None
) -> CodeUpload:
    """Take an archive apart and keep its contents, so that its difference can be shown. Nothing is deployed by it.
    `key` is what makes one deploy of it however often it comes; one that came before is received again. Raises NotNow,
    PackagesInCode, CodeNotTaken and DataPlaneError; nothing is kept then."""
    store = ready_store(deployment)
    with store.scratch() as scratch:
        with judging_code():
            unpacked = unpack(stream, scratch)
            lines = packages.lines_in(scratch, unpacked.manifest)
        has_packages = refuse_unless_installed(deployment, lines)
        store.receive(scratch, unpacked.manifest)
    base = _base(deployment, store)
    old = CodeUpload.objects.filter(deployment=deployment, created_at__lt=timezone.now() - UPLOAD_LIFE)
    old.delete()
    if lines and has_packages:
        packages.ask(deployment, lines)
    facts = {
        "requirements": requirements_digest(lines) if has_packages else "",
        "by": by,
        "manifest": kept(deployment, unpacked.manifest),
        "base": base,
        "name": one_line(name)[:200],
        "packed_size": size,
        "left_out": unpacked.left_out,
        "notes": _notes(unpacked),
        "created_at": timezone.now(),
    }
    # Two tries with one key may be received at the same moment.
    upload, _ = CodeUpload.objects.update_or_create(pk=key or uuid4(), deployment=deployment, defaults=facts)
    return upload


def compare_again(*, deployment: Deployment, upload: CodeUpload) -> CodeUpload:
    """Compare an upload with what there is now. Raises CodeNotTaken, NotNow and DataPlaneError."""
    upload.base = _base(deployment, ready_store(deployment))
    upload.save(update_fields=["base"])
    return upload


def _base(deployment: Deployment, store: CodeStore) -> str:
    """The digest of what new code is compared with, whose manifest is kept for the page that shows the difference."""
    folder = folder_of(store)
    if folder is not None:
        kept(deployment, folder)
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


def _rewritten(git: Mapping[str, object]) -> list[str]:
    before = str(git.get("rewritten", ""))[:8]
    if not before:
        return []
    return [
        f"The history of {git['branch']} was rewritten: this commit does not descend from {before}, which was deployed "
        "before. It is deployed anyway, as the branch stands."
    ]


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
    was shown. The same upload twice is one deploy, unless that failed. Raises CodeChanged, KeyReused, NothingToDeploy,
    RequirementsRefused, NotNow and DataPlaneError."""
    wish = DeployWish(
        upload.manifest.opened(),
        DeploySource.UPLOAD,
        upload.pk,
        description,
        despite_syntax=despite_syntax,
        git=git or {},
    )
    return ask(deployment, by, wish, seen=seen)


def deploy_example(*, deployment: Deployment, by: User) -> Deploy:
    """Deploy the example, to a Deployment that has no code. Raises NothingToDeploy, HasCode, NotNow and
    DataPlaneError."""
    store = ready_store(deployment)
    with store.scratch() as scratch:
        for sha256, content in EXAMPLE.contents.items():
            (scratch / sha256).write_bytes(content)
        store.receive(scratch, EXAMPLE.manifest)
    # A key of its own: of two clicks at once the second finds that there is nothing to do.
    wish = DeployWish(EXAMPLE.manifest, DeploySource.EXAMPLE, uuid4(), "The example DAG.")
    try:
        return ask(deployment, by, wish, seen="")
    except CodeChanged:
        raise HasCode from None


def roll_back(
    *, deployment: Deployment, by: User, to: Deploy, idempotency_key: UUID, description: str
) -> Deploy:
    """Ask for the code and the image of an earlier deploy again, as a new deploy. Code stays as it is where that
    one had none. The same `idempotency_key` twice is one deploy, unless that failed. Raises CodeNotKept, KeyReused,
    NothingToDeploy, NotNow and DataPlaneError."""
    if not to.is_kept:
        raise CodeNotKept(to.number)
    wish = DeployWish(
        to.manifest.opened() if to.manifest else None,
        DeploySource.ROLLBACK,
        idempotency_key,
        description,
        to,
        despite_syntax=True,
        git=to.git,
        requirements=to.requirements,
        image=image_again(to),
    )
    return ask(deployment, by, wish)


def deploy_anyway(*, deployment: Deployment, by: User, failed: Deploy) -> Deploy:
    """Deploy what was refused because files do not compile. Raises as `roll_back`."""
    if failed.manifest is None or not failed.is_kept:
        raise CodeNotKept(failed.number)
    key = UUID(int=failed.idempotency_key.int ^ 1)  # derived: two clicks are one deploy
    source = DeploySource(failed.source)
    wish = DeployWish(
        failed.manifest.opened(),
        source,
        key,
        failed.description,
        failed.origin,
        despite_syntax=True,
        git=failed.git,
        requirements=failed.requirements,
    )
    return ask(deployment, by, wish)


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
    wish = DeployWish(
        unpacked.manifest,
        DeploySource.GIT,
        idempotency_key,
        one_line(str(git["subject"]))[:500],
        git={**git, "notes": [*_rewritten(git), *_notes(unpacked)]},
        git_revision=revision,
    )
    return ask(deployment, by, wish)
