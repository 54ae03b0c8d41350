"""Looks at Git repositories: one look at a time per Deployment, few at a time over all, each in a task of its own, so
that a server that hangs takes no worker from the passes.

A look is one conversation (`git.ask`): where the branch stands, and the files of its newest commit if they are to be
deployed. What was found is written in one conditional UPDATE, on the revision that was looked at and under the lease.
"""

import random
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.functions import Now

from console.kit import crypto
from console.kit.failpoints import failpoint
from console.kit.refusals import ActionRefused
from console.kit.text import one_line
from deployments.actions import deploy_wishes, deploys
from deployments.actions.refusals import GitChanged, NothingToDeploy, PackagesInCode, RequirementsRefused
from deployments.dataplane.contract import DataPlaneError
from deployments.domain.deploy_states import DESIRED, DeploySource
from deployments.domain.public_hosts import REPOSITORIES
from deployments.models import Deploy, GitSource
from deployments.outgoing.git import ask
from deployments.outgoing.git.wish import GitRefused, GitWish, RefusalKind
from deployments.reconciler import recording
from deployments.secrets import vault

logger = structlog.get_logger(__name__)

LEASE = timedelta(seconds=210)  # longer than the task's time limit: the worker that held it is dead
BATCH = 50  # of one sweep
RETRY_FIRST, RETRY_LAST = 60.0, 3600.0  # seconds after the first failure, and at most
_LOCK = 0x41444B47  # of claims, so that their number is right
_NAMES = UUID("6f0d1a57-2c0e-4f5e-9d0c-7a3d2b1e9c44")  # under which the keys of deploys are made


@dataclass(frozen=True)
class GitLook:
    """The right to look at one source until the lease ends."""

    source: GitSource
    epoch: int
    due_at: datetime | None

    @property
    def deploys(self) -> bool:
        """Whether a newer commit is to be fetched and deployed."""
        return self.source.automatic or self.source.asked_at is not None

    @property
    def known(self) -> str:
        """The commit that is not to be deployed again: none when a person asked for it."""
        return "" if self.source.asked_at is not None else self.source.handled


@dataclass(frozen=True)
class Found:
    """What a look came to. `head` is "" where it did not get so far; `handled` means that nothing more is to be done
    about that commit; `retry`, that it is looked at again before long although no one asked; `same_code`, that the
    Deployment has its code already."""

    head: str = ""
    problem: str = ""
    handled: bool = False
    retry: bool = False
    host_key: str = ""
    same_code: bool = False


def due() -> QuerySet[GitSource]:
    """Sources that wait for a look and have none under way, longest waiting first: of Deployments that can be changed,
    in Workspaces that are not suspended."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    return GitSource.objects.filter(
        free,
        due_at__lte=Now(),
        deployment__deleted_at__isnull=True,
        deployment__delete_requested_at__isnull=True,
        deployment__first_healthy_at__isnull=False,
        deployment__workspace__suspended_at__isnull=True,
    ).order_by("due_at")


def due_keys() -> list[UUID]:
    """Of Deployments whose source is due, as many as a sweep hints."""
    return list(due().values_list("pk", flat=True)[:BATCH])


def check(pk: UUID) -> bool:
    """Look at the repository of this Deployment, if it is due, no look is under way, and few others are. Whether we
    did. Takes up to two and a half minutes."""
    look = _claim(pk)
    if look is None:
        return False
    with structlog.contextvars.bound_contextvars(deployment=str(pk)):
        try:
            found = _find(look)
        except GitChanged:
            found = Found()  # the desired commit is another by now, and due again
        except (DataPlaneError, ActionRefused) as error:
            found = Found(problem=str(error), retry=True)
        except Exception:
            _record(look, Found(problem="The look broke off. The log of the worker says why.", retry=True))
            raise
        _record(look, found)
    return True


def _claim(pk: UUID) -> GitLook | None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        if GitSource.objects.filter(lease_until__gte=Now()).count() >= settings.GIT_CHECKS_AT_ONCE:
            return None
        values = {"lease_until": Now() + LEASE, "lease_epoch": F("lease_epoch") + 1, "tried_at": Now()}
        if not due().filter(pk=pk).order_by().update(**values):
            return None
        source = GitSource.objects.select_related(
            "deployment__cluster", "deployment__workspace", "deployment__runtime", "asked_by"
        ).get(pk=pk)
    return GitLook(source, source.lease_epoch, source.due_at)


def _find(look: GitLook) -> Found:
    source = look.source
    try:
        secrets = vault.open_git(source.deployment)
    except crypto.DecryptionError:
        return Found(
            problem="Its stored credentials cannot be read. Enter the token again, or connect again."
        )
    store = deploy_wishes.ready_store(source.deployment)
    with ExitStack() as folders:
        repository, scratch = (str(folders.enter_context(store.scratch())) for _ in range(2))
        before = _deployed_before(source)
        wish = GitWish(
            address=source.address,
            branch=source.branch,
            subfolder=source.subfolder,
            known=look.known,
            look_only=not look.deploys,
            repository=repository,
            scratch=scratch,
            listed=REPOSITORIES.listed.entries,
            token_user=source.token_user,
            token=secrets[vault.GIT_TOKEN],
            private_key=secrets[vault.GIT_KEY],
            host_key=source.host_key,
            after=before,
        )
        try:
            answer = ask.read(wish)
        except GitRefused as error:
            return _refused(error)
        if answer.unpacked is None or answer.commit is None:
            return Found(head=answer.head)
        store.receive(Path(scratch), answer.unpacked.manifest)
        failpoint("git.after_receive")
        return _deploy(look, answer, before)


def _deployed_before(source: GitSource) -> str:
    """The commit of this branch that was deployed last; "" for none."""
    deploys_of = Deploy.objects.filter(
        deployment=source.pk,
        source=DeploySource.GIT,
        git__remote=source.address,
        git__branch=source.branch,
        status__in=[each.value for each in DESIRED],
    )
    newest = deploys_of.order_by("-number").first()
    return str(newest.git.get("sha", "")) if newest is not None else ""


def _refused(error: GitRefused) -> Found:
    head = error.head if isinstance(error, ask.GitStopped) else ""
    match error.kind:
        case RefusalKind.LASTING:
            return Found(head=head, problem=str(error), handled=bool(head), retry=not head)
        case RefusalKind.HOST_KEY:
            return Found(problem=str(error), host_key=error.host_key)
        case _:
            return Found(head=head, problem=str(error), retry=True)


def _deploy(look: GitLook, answer: ask.GitAnswer, before: str) -> Found:
    """Ask for what was fetched to become active; `before` is the commit with which it was compared."""
    source, commit = look.source, answer.commit
    assert commit is not None and answer.unpacked is not None  # noqa: S101, PT018 - asked by the caller
    address = source.parsed
    facts = {
        "remote": source.address,
        "branch": source.branch,
        "subfolder": source.subfolder,
        "sha": commit.sha,
        "author": one_line(commit.author)[:200],
        "subject": one_line(commit.subject)[:200],
        "link": address.commit_url(commit.sha),
    }
    if answer.rewritten:
        facts["rewritten"] = before
    # The same look repeated after a crash is the same deploy; the same commit at another time is another one.
    occasion = source.asked_at or source.handled_at
    key = uuid5(_NAMES, f"{source.pk}:{source.revision}:{commit.sha}:{occasion}")
    try:
        deploy = deploys.deploy_commit(
            deployment=source.deployment,
            by=source.asked_by if source.asked_at else None,
            unpacked=answer.unpacked,
            git=facts,
            revision=source.revision,
            idempotency_key=key,
        )
    except (PackagesInCode, RequirementsRefused) as error:  # of this commit, until there is another
        return Found(head=commit.sha, handled=True, problem=str(error))
    except NothingToDeploy as error:
        return Found(
            head=commit.sha, handled=True, problem=str(error) if source.asked_at else "", same_code=True
        )
    logger.info("commit_deployed", deploy=deploy.number, sha=commit.sha)
    failpoint("git.after_deploy")
    return Found(head=commit.sha, handled=True)


def _record(look: GitLook, found: Found) -> None:
    """Write what was found and give the lease back; nothing of what was found, when something else is desired now."""
    source = look.source
    mine = GitSource.objects.filter(pk=source.pk, lease_epoch=look.epoch)
    failures = source.failures + 1 if found.problem and found.retry else 0
    values: dict[str, Any] = {
        "problem": "" if found.handled else found.problem[:1000],
        "failures": min(failures, 1000),
        "offered_host_key": found.host_key,
        "due_at": _next(look, found, failures),
        "lease_until": None,
    }
    if found.head:
        values |= {"head": found.head, "checked_at": Now()}
    if found.handled:
        values |= {"handled": found.head, "handled_at": Now(), "handled_note": found.problem[:1000]}
        values["same_code"] = found.same_code
    if source.asked_at is not None and (found.handled or not found.retry):
        same_wish = When(asked_at=source.asked_at, then=Value(None))
        values["asked_at"] = Case(same_wish, default=F("asked_at"))
    if not mine.filter(revision=source.revision).update(**values):
        mine.update(lease_until=None)
    if found.problem:
        logger.info("git_problem", problem=found.problem, failures=failures)
    transaction.on_commit(lambda: recording.publish(source.deployment_id), robust=True)


def _next(look: GitLook, found: Found, failures: int) -> Case | None:
    """When it is due again, unless a person made it due during the look. Never of itself when only a person helps."""
    every = look.source.every_minutes
    seconds = every * 60.0 if every else None
    if failures:
        # Also of a source that is looked at once a day: what a push began is not to wait for that long.
        seconds = min(RETRY_LAST, RETRY_FIRST * 2.0 ** min(failures - 1, 10)) * random.uniform(0.8, 1.2)  # noqa: S311
    if found.host_key:
        seconds = None
    rested = Value(None) if seconds is None else Now() + timedelta(seconds=seconds)
    return Case(When(due_at=Value(look.due_at), then=rested), default=F("due_at"))
