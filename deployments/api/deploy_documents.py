"""Deploys as the documents that endpoints answer."""

from datetime import datetime
from typing import Any

from django.conf import settings
from ninja import Schema

from deployments.api.operations import step_documents
from deployments.api.schemas import OperationOut, OperationStep
from deployments.domain import git_address
from deployments.domain.code_manifest import CodeDifference
from deployments.models import CodeUpload, Deploy, Deployment
from deployments.presenters.deploys import consequences
from deployments.queries import packages

PATHS = 1000  # of each list of a plan


class FileProblem(Schema):
    """What is wrong with a file."""

    path: str
    line: int | None
    error: str


class DeployOut(Schema):
    """One deploy. `image` is one of the Deployment's own, `image_pinned` that by its digest; both "" for the runtime's.
    `steps` and problems are in the answer about one deploy; lists leave them empty."""

    number: int
    status: str
    sentence: str
    source: str
    description: str
    actor: str
    current: bool
    kept: bool
    rolled_back_to: int | None
    digest: str
    version: str
    files: int
    python_files: int
    size_bytes: int
    image: str
    image_pinned: str
    git: dict[str, Any]
    created_at: datetime
    activated_at: datetime | None
    finished_at: datetime | None
    steps: list[OperationStep]
    syntax_problems: list[FileProblem]
    import_problems: list[FileProblem]
    url: str


class DeployPage(Schema):
    """A page of a list."""

    items: list[DeployOut]
    next: str | None


class Plan(Schema):
    """What a deploy changes of the files, at most 1,000 paths of a kind, and what there is to know."""

    added: list[str]
    changed: list[str]
    removed: list[str]
    added_count: int
    changed_count: int
    removed_count: int
    files: int
    size_bytes: int
    left_out: int
    sentence: str
    notes: list[str]
    consequences: list[str]


class DeployAnswer(Schema):
    """`changed` is false when the Deployment has this code already. `deploy` is null when nothing was deployed."""

    changed: bool
    deploy: DeployOut | None
    operation: OperationOut | None
    plan: Plan | None


def _problems(found: list[dict[str, Any]]) -> list[FileProblem]:
    return [
        FileProblem(
            path=str(each.get("path", "")),
            line=each.get("line") if isinstance(each.get("line"), int) else None,
            error=str(each.get("error") or each.get("line", "")),
        )
        for each in found
    ]


def row(found: Deploy, deployment: Deployment, *, detailed: bool = False) -> DeployOut:
    """One deploy with its origin loaded. One query more when it is detailed."""
    found.deployment = deployment
    return DeployOut(
        number=found.number,
        status=found.status,
        sentence=found.sentence or found.problem_sentence,
        source=found.source,
        description=found.description,
        actor=found.actor,
        current=found.number == deployment.deploy_number,
        kept=found.is_kept,
        rolled_back_to=found.origin.number if found.origin else None,
        digest=found.digest,
        version=found.version,
        files=found.files,
        python_files=found.python_files,
        size_bytes=found.size,
        image=found.image,
        image_pinned=found.image_pinned,
        git=git_address.without_passwords(found.git),  # those of long ago are kept as they came
        created_at=found.created_at,
        activated_at=found.activated_at,
        finished_at=found.finished_at,
        steps=step_documents(found.steps.all()) if detailed else [],
        syntax_problems=_problems(found.syntax_problems) if detailed else [],
        import_problems=_problems(found.problems) if detailed else [],
        url=f"{settings.BASE_URL}{found.url}",
    )


def plan(deployment: Deployment, upload: CodeUpload, change: CodeDifference) -> Plan:
    """What deploying this upload changes."""
    return Plan(
        added=list(change.added[:PATHS]),
        changed=list(change.changed[:PATHS]),
        removed=list(change.removed[:PATHS]),
        added_count=len(change.added),
        changed_count=len(change.changed),
        removed_count=len(change.removed),
        files=upload.manifest.files,
        size_bytes=upload.manifest.size,
        left_out=upload.left_out,
        sentence=change.sentence,
        notes=[str(each) for each in upload.notes],
        consequences=consequences(deployment, upload, packages.upcoming(deployment, upload.requirements)),
    )


def plan_answer(deployment: Deployment, upload: CodeUpload, change: CodeDifference) -> DeployAnswer:
    """Nothing was deployed: this is what would be."""
    return DeployAnswer(
        changed=bool(change.count), deploy=None, operation=None, plan=plan(deployment, upload, change)
    )


def unchanged(found: Deploy, deployment: Deployment) -> DeployAnswer:
    """The Deployment has this code already."""
    return DeployAnswer(changed=False, deploy=row(found, deployment), operation=None, plan=None)
