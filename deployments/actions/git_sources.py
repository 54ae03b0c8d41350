"""Connecting a Deployment to a branch of a Git repository. What is asked for stands in the row; a worker looks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from console.kit import crypto
from console.kit.refusals import InvalidInput
from deployments import enqueue
from deployments.actions.common import changing, is_answered_again, secret_until
from deployments.actions.refusals import GitChanged, GitConnected, GitNotConnected
from deployments.domain import git_rules
from deployments.domain.git_address import SSH, GitAddress, parse
from deployments.models import Deployment, GitSource
from deployments.outgoing.git import keys
from deployments.secrets import vault
from workspaces import audit
from workspaces.models import User

# The columns that a change writes.
CHANGED_COLUMNS = (
    "address branch subfolder every_minutes automatic token_user has_token public_key host_key revision updated_by "
    "updated_at due_at head handled handled_note same_code problem failures offered_host_key"
).split()
HOOK_SECONDS = 10.0  # however many events come, one look in so many seconds


@dataclass(frozen=True)
class GitSourceWish:
    """A Git source as it is asked for. A `token` of None keeps the one there is, "" is none. `every_minutes` of None is
    never."""

    address: str
    branch: str = "main"
    subfolder: str = ""
    every_minutes: int | None = git_rules.EVERY_DEFAULT
    automatic: bool = True
    token: str | None = None
    token_user: str = git_rules.TOKEN_USER


def connect(*, deployment: Deployment, by: User, wish: GitSourceWish) -> GitSource:
    """Follow a branch from now on. For an ssh address a key is made. Raises InvalidInput, GitConnected and NotNow."""
    address, values = _judged(wish)
    with changing(deployment, by=by) as row:
        if GitSource.objects.filter(deployment=row).exists():
            raise GitConnected
        source = GitSource(deployment=row, updated_by=by, due_at=timezone.now(), **values)
        _give_secrets(source, address, wish)
        source.save(force_insert=True)
        audit.record(row, by, "connected a Git repository to", new=_audited(source))
        _look(row)
    return source


def change(*, deployment: Deployment, by: User, wish: GitSourceWish, seen: int) -> GitSource:
    """Follow something else from now on; `seen` is the revision that the form was shown for. A token serves only the
    repository for which it was entered: who may change the address may not be one who may read all that it opens.
    Raises InvalidInput, GitChanged, GitNotConnected and NotNow."""
    address, values = _judged(wish)
    with _changing(deployment, by) as source:
        if source.revision != seen:
            raise GitChanged
        old = _audited(source)
        moved = source.parsed.place != address.place
        _keep_token_to_its_repository(source, address, wish)
        other = (source.address, source.branch, source.subfolder) != (
            values["address"],
            values["branch"],
            values["subfolder"],
        )
        for name, value in values.items():
            setattr(source, name, value)
        if moved:
            source.host_key = source.offered_host_key = ""
        if other:
            source.forget_findings()
        same_token = wish.token is None or wish.token == _stored_token(source.deployment)
        _give_secrets(source, address, wish)
        audited = _audited(source)
        if audited == old and same_token:  # nothing to write, but the repository may let us in by now
            GitSource.objects.filter(pk=source.pk).update(due_at=Now())
            _look(source.deployment)
            return source
        _save(source, by, problem="", failures=0)
        changed = {name for name in audited if audited[name] != old[name]}
        new = {name: audited[name] for name in changed}
        if not same_token and old["token"] and audited["token"]:
            new["token"] = "changed"  # noqa: S105 - a word for the audit
        audit.record(
            source.deployment,
            by,
            "changed the Git source of",
            old={name: old[name] for name in changed},
            new=new,
        )
    return source


def _keep_token_to_its_repository(source: GitSource, address: GitAddress, wish: GitSourceWish) -> None:
    """Raises InvalidInput when the stored token would be used for another repository than the one it was for."""
    another = source.parsed.repository != address.repository
    if another and wish.token is None and source.has_token and address.scheme != SSH:
        was = source.address
        raise InvalidInput({"token": f"Enter the token again, or remove it: the one there is was for {was}."})


def disconnect(*, deployment: Deployment, by: User) -> None:
    """Follow nothing; the code that was deployed stays. Idempotent. Raises NotNow."""
    with changing(deployment, by=by) as row:
        source = GitSource.objects.filter(deployment=row).first()
        if source is None:
            return
        audited = _audited(source)
        source.delete()
        vault.forget_git(row, vault.GIT_TOKEN, vault.GIT_KEY, vault.GIT_HOOK)
        audit.record(row, by, "disconnected the Git repository of", old=audited)


def confirm_host_key(*, deployment: Deployment, by: User, fingerprint: str) -> GitSource:
    """Trust the key that the server shows, if it still is the one with this fingerprint. Raises GitChanged,
    GitNotConnected and NotNow."""
    with _changing(deployment, by) as source:
        if (
            source.host_key
            and fingerprint == keys.fingerprint(source.host_key)
            and not source.offered_host_key
        ):
            return source  # twice is once
        if not source.offered_host_key or keys.fingerprint(source.offered_host_key) != fingerprint:
            raise GitChanged
        old = keys.fingerprint(source.host_key)
        source.host_key, source.offered_host_key = source.offered_host_key, ""
        _save(source, by, problem="", failures=0)
        audit.record(
            source.deployment,
            by,
            "confirmed the Git host key of",
            old={"host_key": old} if old else {},
            new={"host_key": fingerprint},
        )
    return source


def check_now(*, deployment: Deployment, by: User) -> None:
    """Have a worker look now. Raises GitNotConnected and NotNow."""
    with _changing(deployment, by) as source:
        GitSource.objects.filter(pk=source.pk).update(due_at=Now())
        _look(source.deployment)


def deploy_newest(*, deployment: Deployment, by: User) -> None:
    """Have the newest commit of the branch deployed, whether it was deployed before or not. Raises GitNotConnected and
    NotNow."""
    with _changing(deployment, by) as source:
        GitSource.objects.filter(pk=source.pk).update(asked_at=Now(), asked_by=by, due_at=Now())
        _look(source.deployment)


def new_hook_secret(*, deployment: Deployment, by: User, key: UUID | None = None) -> str:
    """Make the webhook's secret, in place of the one before. It is shown this once; the same `key` again within
    SECRET_AGAIN gives the one that it made. Raises GitNotConnected and NotNow."""
    secret = crypto.random_token(24)
    with _changing(deployment, by) as source:
        if key is not None and source.hook_key == key and is_answered_again(source.hook_key_until):
            return vault.one(source.deployment, vault.GIT_HOOK)
        vault.keep_git(source.deployment, vault.GIT_HOOK, secret)
        GitSource.objects.filter(pk=source.pk).update(
            has_hook=True, hook_key=key, hook_key_until=secret_until()
        )
        audit.record(source.deployment, by, "made a new webhook secret for")
    return secret


def notice_push(*, source: GitSource) -> None:
    """A Git host reported a push: look soon, and not more often than every HOOK_SECONDS."""
    soon = Greatest(Now(), F("tried_at") + timedelta(seconds=HOOK_SECONDS))
    GitSource.objects.filter(pk=source.pk).update(due_at=soon)
    if source.tried_at is None or timezone.now() - source.tried_at > timedelta(seconds=HOOK_SECONDS):
        _look(source.deployment)


@contextmanager
def _changing(deployment: Deployment, by: User) -> Iterator[GitSource]:
    with changing(deployment, by=by) as row:
        source = GitSource.objects.select_for_update().filter(deployment=row).first()
        if source is None:
            raise GitNotConnected
        source.deployment = row
        yield source


def _judged(wish: GitSourceWish) -> tuple[GitAddress, dict[str, object]]:
    """The columns of what is asked for. Raises InvalidInput with every sentence at once."""
    problems = {
        "address": git_rules.address_problem(wish.address),
        "branch": git_rules.branch_problem(wish.branch),
        "every_minutes": git_rules.every_problem(wish.every_minutes),
    }
    subfolder = ""
    try:
        subfolder = git_rules.clean_subfolder(wish.subfolder)
    except ValueError as error:
        problems["subfolder"] = str(error)
    if not problems["address"]:
        problems |= git_rules.token_problems(parse(wish.address), wish.token_user, wish.token or None)
    found = {name: sentence for name, sentence in problems.items() if sentence}
    if found:
        raise InvalidInput(found)
    address = parse(wish.address)
    return address, {
        "address": address.text,
        "branch": wish.branch,
        "subfolder": subfolder,
        "every_minutes": wish.every_minutes,
        "automatic": wish.automatic,
        "token_user": wish.token_user,
    }


def _give_secrets(source: GitSource, address: GitAddress, wish: GitSourceWish) -> None:
    """A key for ssh, made once; the token that was entered. What the address has no use for goes."""
    row = source.deployment
    if address.scheme == SSH:
        vault.forget_git(row, vault.GIT_TOKEN)
        source.has_token = False
        if not source.public_key:
            private, source.public_key = keys.make(f"airdeck {row.release_name}")
            vault.keep_git(row, vault.GIT_KEY, private)
        return
    vault.forget_git(row, vault.GIT_KEY)
    source.public_key = source.host_key = source.offered_host_key = ""
    if wish.token:
        vault.keep_git(row, vault.GIT_TOKEN, wish.token)
        source.has_token = True
    elif wish.token is not None:
        vault.forget_git(row, vault.GIT_TOKEN)
        source.has_token = False


def _stored_token(row: Deployment) -> str | None:
    """The token there is, "" for none; None when it cannot be read."""
    try:
        return vault.open_git(row)[vault.GIT_TOKEN]
    except crypto.DecryptionError:
        return None


def _save(source: GitSource, by: User, **values: object) -> None:
    """Write a change; a look that is under way writes nothing any more."""
    for name, value in values.items():
        setattr(source, name, value)
    source.revision += 1
    source.updated_by, source.updated_at = by, timezone.now()
    source.due_at = timezone.now()
    source.save(update_fields=CHANGED_COLUMNS)
    _look(source.deployment)


def _audited(source: GitSource) -> dict[str, object]:
    """What the audit says of it."""
    return {
        "address": source.address,
        "branch": source.branch,
        "subfolder": source.subfolder,
        "every_minutes": source.every_minutes,
        "deploys_by_itself": source.automatic,
        "token": source.has_token,
        "token_user": source.token_user,
    }


def _look(row: Deployment) -> None:
    transaction.on_commit(partial(enqueue.check_git, row.pk), robust=True)
