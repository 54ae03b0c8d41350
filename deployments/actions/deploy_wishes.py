"""A deploy as it is asked for, and the row that becomes of it. What asks (`actions.deploys`, `actions.images`) says
what it brings; the rest stays as the deploy before had it."""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from django.db import connection
from django.db.models import Max
from django.db.models.functions import Now
from django.utils import timezone

from console.kit.refusals import InvalidInput
from deployments.actions import packages
from deployments.actions.common import changing, enqueue_on_commit, refuse_unless_editable
from deployments.actions.refusals import (
    CodeChanged,
    CodeNotTaken,
    GitChanged,
    KeyReused,
    NothingToDeploy,
    NotNow,
    PackagesInCode,
)
from deployments.dataplane.code import CodeStore
from deployments.domain import git_address, image_reference
from deployments.domain.code_errors import CodeRefused
from deployments.domain.code_manifest import Manifest, version_name
from deployments.domain.code_packages import requirements_digest
from deployments.domain.deploy_states import (
    IMAGE,
    PACKAGES,
    STEPS,
    WAITING,
    DeploySource,
    DeployStatus,
    description_problem,
)
from deployments.domain.states import StepState
from deployments.models import CodeManifest, Deploy, Deployment, DeployStep, GitSource
from deployments.queries.deploys import base_of, desired_deploy, store_of, why_no_code
from workspaces import acting, audit
from workspaces.models import User

AIRDECK = "Airdeck"  # who deploys what no person clicked for


@dataclass(frozen=True)
class DeployWish:
    """A deploy as it is asked for. Without a manifest the code stays that of the desired deploy. `requirements` names
    what was asked for before ("" for nothing); None to read its requirements.txt. `image` is a reference, "" for the
    runtime's own image; None to stay with that of the desired deploy."""

    manifest: Manifest | None
    source: DeploySource
    idempotency_key: UUID
    description: str = ""
    origin: Deploy | None = None
    despite_syntax: bool = False
    git: Mapping[str, object] = field(default_factory=dict)  # facts of the commit that the code is
    git_revision: int | None = None  # of the Git source: asked for only while it is the same
    requirements: str | None = None
    image: str | None = None


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


@contextmanager
def judging_code() -> Iterator[None]:
    """What the rules of code refuse in this block leaves it as CodeNotTaken."""
    try:
        yield
    except CodeRefused as error:
        raise CodeNotTaken(str(error)) from error


def folder_of(store: CodeStore) -> Manifest | None:
    """What the DAGs folder holds. Raises CodeNotTaken when that is more than a version may, and DataPlaneError."""
    with judging_code():
        return store.folder()


def refuse_unless_installed(deployment: Deployment, lines: tuple[str, ...]) -> bool:
    """Whether its cluster installs packages. Raises PackagesInCode where they come with the image and the code asks for
    some, and DataPlaneError."""
    installed = packages.are_installed(deployment)
    if lines and not installed:
        raise PackagesInCode
    return installed


def image_again(deploy: Deploy) -> str:
    """The image of a deploy as a reference that leads to the same one for ever: its tag, which people know, and the
    digest that it led to then."""
    if not deploy.image_pinned or "@" in deploy.image:
        return deploy.image
    return f"{deploy.image}@{deploy.image_pinned.partition('@')[2]}"


def made_before(deployment: Deployment, wish: DeployWish) -> Deploy | None:
    """The deploy that the key of the wish made. None also when that failed: asking again is another try. Raises
    KeyReused when the key asked for something else. The keys of commits are made by Airdeck, of what they ask for: one
    of them is one deploy, however it ended."""
    earlier = Deploy.objects.filter(deployment=deployment, idempotency_key=wish.idempotency_key).first()
    if earlier is None or wish.source is DeploySource.GIT:
        return earlier
    same = (
        earlier.source == wish.source
        and earlier.origin_id == (wish.origin.pk if wish.origin else None)
        and (wish.manifest is None or earlier.digest == wish.manifest.digest)
        and (wish.source is not DeploySource.IMAGE or earlier.image == wish.image)
    )
    if not same:
        raise KeyReused("deploy")
    return None if earlier.status == DeployStatus.FAILED else earlier


def ask(deployment: Deployment, by: User | None, wish: DeployWish, *, seen: str | None = None) -> Deploy:
    """Make a deploy of the wish; the one that its key made before, see `made_before`. Raises InvalidInput, CodeChanged,
    CodeNotTaken, GitChanged, KeyReused, NothingToDeploy, NotNow, RequirementsRefused and DataPlaneError."""
    if problem := description_problem(wish.description):
        raise InvalidInput({"description": problem})
    folder: Manifest | None = None
    lines: tuple[str, ...] = ()
    if wish.manifest is not None:
        store = ready_store(deployment)
        if desired_deploy(deployment) is None:
            folder = folder_of(store)  # I/O, so before the transaction
        if wish.requirements is None:
            lines = packages.lines_of(store, wish.manifest)
            refuse_unless_installed(deployment, lines)
            wish = replace(wish, requirements=requirements_digest(lines))
    with changing(deployment, by=by) as row:
        if (earlier := made_before(row, wish)) is not None:
            return earlier
        _refuse_unless_same_source(row, wish)
        newest = desired_deploy(row)
        if newest is not None and _is_same(newest, wish):
            raise NothingToDeploy(newest.number, what="code" if wish.manifest else "image")
        if seen is not None and base_of(row, folder)[0] != seen:
            raise CodeChanged
        if newest is None and folder is not None:
            _folder_as_first(row, by, folder)
        if lines:
            packages.ask(row, lines)
        return _create(row, by, wish, newest)


def _is_same(newest: Deploy, wish: DeployWish) -> bool:
    """Whether this is what is desired already. A tag may have moved since, so an image is the same by its digest."""
    if wish.manifest is not None and (newest.digest, newest.requirements) != (
        wish.manifest.digest,
        wish.requirements,
    ):
        return False
    if wish.image is None:
        return wish.manifest is not None
    return _same_image(newest, wish.image)


def _same_image(newest: Deploy, image: str) -> bool:
    if not image:
        return not newest.image
    digest = image_reference.read(image).digest
    return bool(digest) and newest.image_pinned == image_reference.read(image).pinned(digest)


def _refuse_unless_same_source(row: Deployment, wish: DeployWish) -> None:
    revision = wish.git_revision
    if revision is not None and not GitSource.objects.filter(deployment=row, revision=revision).exists():
        raise GitChanged


def _folder_as_first(row: Deployment, by: User | None, folder: Manifest) -> None:
    """What the DAGs folder holds becomes version 1, to which one can go back."""
    number = _next_number(row)
    Deploy.objects.create(
        **_values(row, by, DeployWish(folder, DeploySource.FOLDER, uuid4()), number, None),
        description="What the DAGs folder held when code was first deployed.",
        status=DeployStatus.DEPLOYED,
        activated_at=Now(),
        finished_at=Now(),
        packages={},
        watched=True,
    )


def _create(row: Deployment, by: User | None, wish: DeployWish, newest: Deploy | None) -> Deploy:
    """`newest` is what is desired until now."""
    number = _next_number(row)
    Deploy.objects.filter(deployment=row, status__in=[each.value for each in WAITING]).update(
        status=DeployStatus.SUPERSEDED,
        sentence=f"Deploy {number} came before it was active.",
        finished_at=Now(),
    )
    # What the key made before has failed, and leaves it to this one.
    Deploy.objects.filter(deployment=row, idempotency_key=wish.idempotency_key).update(
        idempotency_key=uuid4()
    )
    made = Deploy.objects.create(
        **_values(row, by, wish, number, newest), description=wish.description, origin=wish.origin
    )
    now = timezone.now()
    left_out = {key for key, has in ((PACKAGES, made.requirements), (IMAGE, made.changes_image)) if not has}
    for position, (key, title) in enumerate(step for step in STEPS if step[0] not in left_out):
        done = {"state": StepState.DONE, "started_at": now, "finished_at": now} if not position else {}
        DeployStep.objects.create(deploy=made, position=position, key=key, title=title, **done)
    audit.record(row, by, _verb(wish), new=_details(made, wish))
    Deployment.objects.filter(pk=row.pk).update(due_at=Now())
    enqueue_on_commit(row)
    return made


def _verb(wish: DeployWish) -> str:
    if wish.origin is not None:
        return "rolled back"
    return "deployed code to" if wish.manifest is not None else "deployed an image to"


def _details(made: Deploy, wish: DeployWish) -> dict[str, object]:
    """What the audit event says of a deploy."""
    details: dict[str, object] = {"deploy": made.number, "files": made.files}
    if wish.origin is not None:
        details["code_of_deploy"] = wish.origin.number
    if wish.image is not None and made.changes_image:
        details["image"] = made.image or "that of the runtime"
    if commit := wish.git.get("sha"):
        details["commit"] = commit
    return details


def _values(
    row: Deployment, by: User | None, wish: DeployWish, number: int, newest: Deploy | None
) -> dict[str, object]:
    return {
        "deployment": row,
        "number": number,
        "idempotency_key": wish.idempotency_key,
        "source": wish.source,
        "by": by,
        "actor": acting.named(by.label)[:254] if by else AIRDECK,
        "git": git_address.without_passwords(wish.git),
        **(
            _code_kept(newest, number)
            if wish.manifest is None
            else _code_of(row, wish, wish.manifest, number)
        ),
        **_image_of(wish, newest),
    }


def _code_of(row: Deployment, wish: DeployWish, code: Manifest, number: int) -> dict[str, object]:
    manifest = kept(row, code)
    return {
        "manifest": manifest,
        "digest": manifest.digest,
        "version": version_name(number, manifest.digest),
        "files": manifest.files,
        "python_files": manifest.python_files,
        "size": manifest.size,
        "requirements": wish.requirements or "",
        "despite_syntax": wish.despite_syntax,
    }


def _code_kept(newest: Deploy | None, number: int) -> dict[str, object]:
    """The code that is desired already, under a version of this deploy's own; none when there is none."""
    if newest is None or not newest.digest:
        return {"digest": "", "version": "", "files": 0, "python_files": 0, "size": 0}
    return {
        "manifest": newest.manifest,
        "digest": newest.digest,
        "version": version_name(number, newest.digest),
        "files": newest.files,
        "python_files": newest.python_files,
        "size": newest.size,
        "requirements": newest.requirements,
        # What is active was let through once.
        "despite_syntax": newest.despite_syntax or newest.status == DeployStatus.DEPLOYED,
    }


def _image_of(wish: DeployWish, newest: Deploy | None) -> dict[str, object]:
    """The image that it runs with. One that a deploy before was to bring, and did not yet, is brought by this one."""
    if wish.image is not None and not (newest is not None and _same_image(newest, wish.image)):
        changes = bool(wish.image) or newest is not None  # without a deploy it is the runtime's anyway
        return {"image": wish.image, "changes_image": changes}
    if newest is None:
        return {}
    unfinished = newest.changes_image and newest.status != DeployStatus.DEPLOYED
    if unfinished:
        return {"image": image_again(newest), "changes_image": True}
    return {"image": newest.image, "image_pinned": newest.image_pinned}


def _next_number(row: Deployment) -> int:
    """Under the lock of the Deployment's row."""
    newest = Deploy.objects.filter(deployment=row).aggregate(newest=Max("number"))["newest"]
    return int(newest or 0) + 1


def kept(deployment: Deployment, manifest: Manifest) -> CodeManifest:
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
