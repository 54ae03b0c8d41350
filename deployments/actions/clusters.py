"""Registering Kubernetes clusters, changing how they are reached, and taking them off again. Atomic, explicit actor
(None: the command line), audit event in the same transaction; raises ActionRefused with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from console.kit.refusals import ActionRefused
from deployments import enqueue
from deployments.clusters import catalogue, checks, connections
from deployments.dataplane.kubernetes.api.credentials import Credentials
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.postgres.server_url import SCHEMES, ServerUrl, UnusableUrl
from deployments.domain import addresses
from deployments.domain.names import clean_name
from deployments.models import Cluster, Deployment
from workspaces import audit
from workspaces.models import User

NAMED = 5  # Deployments that a refusal names
DOCUMENTS = ("image_pull_secret", "log_bucket")  # settings that may be documents with secrets
SETTINGS = tuple(field.name for field in fields(ClusterSettings))


@dataclass(frozen=True, repr=False)
class ClusterConnection:
    """How to reach a cluster and its primary Postgres, and what an operator says about it (`ClusterSettings`). Holds
    secrets: no repr. On replacing, what is None or not in `settings` stays as it is; `same_cluster_new_address` says
    that an address is new, and the cluster or the Postgres behind it is not."""

    credentials: Credentials | None = None
    database_url: str | None = None
    settings: Mapping[str, str] | None = None
    same_cluster_new_address: bool = False


def register(*, name: str, reach: ClusterConnection, by: User | None) -> Cluster:
    """A new cluster with the usual worker types. It is offered to people once it was looked at and misses nothing."""
    name = _name(name)
    if reach.credentials is None or reach.database_url is None:
        raise ActionRefused("A new cluster needs credentials and the URL of its primary Postgres.")
    stored, url = checked_settings(reach.settings or {}), checked_url(reach.database_url)
    _checked_server(reach.credentials)
    try:
        with transaction.atomic():
            cluster = Cluster(name=name, kind=Cluster.Kind.KUBERNETES)
            connections.seal(cluster, database_url=url, settings={**stored, **reach.credentials.settings()})
            cluster.save(force_insert=True)
            catalogue.add_worker_types(cluster, catalogue.KUBERNETES_WORKER_TYPES)
            audit.record(
                cluster, by, "registered", new={"server": reach.credentials.server, **_shown(stored)}
            )
            _request_check(cluster)
    except IntegrityError:
        raise ActionRefused(
            f"A cluster named {name} is registered already. Replace it, or choose another name."
        ) from None
    return cluster


def replace(*, name: str, reach: ClusterConnection, by: User | None) -> Cluster:
    """Other credentials, another URL or other settings for a registered cluster; its id, its Deployments and its worker
    types stay."""
    with transaction.atomic():
        cluster = registered(name, locked=True)
        old = connections.config(cluster)
        credentials = Credentials.of(old.settings) if reach.credentials is None else reach.credentials
        _checked_server(credentials)
        kept = {key: value for key, value in old.settings.items() if key in SETTINGS}
        stored = checked_settings({**kept, **(reach.settings or {})})
        url = old.database_url if reach.database_url is None else checked_url(reach.database_url)
        some = _in_words(_existing(cluster))
        if some and stored.get("namespace_prefix", "") != kept.get("namespace_prefix", ""):
            raise ActionRefused(
                f"The namespace prefix cannot change while Deployments are in its namespaces: {some}."
            )
        before = (Credentials.of(old.settings).server, old.database_url)
        if (
            some
            and not reach.same_cluster_new_address
            and (elsewhere := _elsewhere(before, (credentials.server, url)))
        ):
            raise ActionRefused(
                f"This is another {elsewhere}, and Deployments are on the one from before: {some}. Delete them first, "
                "or say that it is the same one at another address: tick “Moved”, or give --moved."
            )
        connections.seal(cluster, database_url=url, settings={**stored, **credentials.settings()})
        cluster.save(update_fields=["sealed_config"])
        audit.record(
            cluster, by, "changed how to reach", new={"server": credentials.server, **_shown(stored)}
        )
        _request_check(cluster)
    return cluster


@transaction.atomic
def deregister(*, cluster: Cluster, by: User | None) -> str:
    """Forget how to reach it. Nothing in the cluster is touched. ActionRefused while Deployments are on it.

    The row is locked against `create_deployment`, which holds it and then looks whether it is still offered. It stays
    for the history of the Deployments that were deleted from it.
    """
    locked = Cluster.objects.select_for_update().get(pk=cluster.pk)
    if locked.kind != Cluster.Kind.KUBERNETES:
        raise ActionRefused(f"{locked.name} is where Airdeck itself runs. It cannot be deregistered.")
    if locked.deregistered_at is not None:
        return f"{locked.name} was deregistered already."
    if some := _in_words(_existing(locked)):
        raise ActionRefused(f"Deployments are on {locked.name}: {some}. Delete them first.")
    locked.deregistered_at, locked.sealed_config, locked.checks = Now(), b"", []
    locked.checking_since = None
    locked.save(update_fields=["deregistered_at", "sealed_config", "checks", "checking_since"])
    audit.record(locked, by, "deregistered")
    return (
        f"{locked.name} is deregistered. Its account in the cluster and its database role may be removed now."
    )


@transaction.atomic
def check_again(*, cluster: Cluster, by: User) -> str:
    """Have a worker look at it now."""
    if cluster.kind != Cluster.Kind.KUBERNETES or cluster.deregistered_at is not None:
        raise ActionRefused(f"{cluster.name} has nothing to check.")
    audit.record(cluster, by, "checked")
    _request_check(cluster)
    return f"{cluster.name} is being checked. The test of network isolation takes up to two minutes."


def registered(name: str, *, locked: bool = False) -> Cluster:
    """The Kubernetes cluster of that name. Raises ActionRefused when there is none."""
    rows = Cluster.objects.registered().filter(name=name.strip(), kind=Cluster.Kind.KUBERNETES)
    found = (rows.select_for_update() if locked else rows).first()
    if found is None:
        raise ActionRefused(f"No Kubernetes cluster named {name.strip()[:80]} is registered.")
    return found


def shown_settings(cluster: Cluster) -> dict[str, str]:
    """What an operator entered about it, for a page: without credentials, and without what may hold a password."""
    stored = connections.config(cluster).settings
    return _shown({key: value for key, value in stored.items() if key in SETTINGS})


def checked_settings(raw: Mapping[str, str]) -> dict[str, str]:
    """What an operator says about a cluster, without what is empty."""
    if strange := sorted(set(raw) - set(SETTINGS)):
        raise ActionRefused(f"There is no setting {strange[0][:80]}. There are {', '.join(SETTINGS)}.")
    given = {key: value.strip() for key, value in raw.items() if value.strip()}
    try:
        ClusterSettings.of(given)
    except ValueError as error:
        raise ActionRefused(str(error)) from None
    return given


def checked_url(url: str) -> str:
    """The URL of a cluster's primary Postgres. No refusal repeats it: it holds a password."""
    url = url.strip()
    if not url.startswith(SCHEMES):
        raise ActionRefused("The database URL must begin with postgresql://.")
    try:
        found = ServerUrl.of(url)
    except UnusableUrl as error:
        raise ActionRefused(str(error)) from None
    for host in found.host.split(","):
        if why := addresses.refusal(host):
            raise ActionRefused(why)
    return url


def _checked_server(credentials: Credentials) -> None:
    """What the address of the API server says by itself; a name is looked at when it is resolved (`guarded`)."""
    if why := addresses.refusal(urlsplit(credentials.server).hostname or ""):
        raise ActionRefused(why)


def _elsewhere(before: tuple[str, str], after: tuple[str, str]) -> str:
    """What is at another address: "API server", "database server" or ""."""
    if before[0] != after[0]:
        return "API server"
    return "" if _address(before[1]) == _address(after[1]) else "database server"


def _address(url: str) -> tuple[str, int] | str:
    """Of the Postgres behind a URL. One that was stored before a rule became stricter stands for itself."""
    try:
        return ServerUrl.of(url).address
    except UnusableUrl:
        return url


def _name(name: str) -> str:
    try:
        return clean_name(name)
    except ValueError as error:
        raise ActionRefused(str(error)) from None


def _existing(cluster: Cluster) -> QuerySet[Deployment]:
    return Deployment.objects.filter(cluster=cluster, deleted_at__isnull=True).order_by("release_name")


def _in_words(rows: QuerySet[Deployment]) -> str:
    names = [f"{name} ({release})" for name, release in rows.values_list("name", "release_name")[: NAMED + 1]]
    more = " and more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _request_check(cluster: Cluster) -> None:
    checks.ask(cluster)
    transaction.on_commit(partial(enqueue.check_cluster, cluster.pk), robust=True)


def _shown(stored: Mapping[str, str]) -> dict[str, str]:
    """For the audit event and for forms: what may be a document with secrets is left out."""
    return {key: value for key, value in stored.items() if not (key in DOCUMENTS and value[:1] == "{")}
