"""Asks a cluster and its Postgres what `checks` judges. Reads only, and ends within the time it is given."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from deployments.dataplane.contract import ClusterConfig, DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.kubernetes.api.client import Api
from deployments.dataplane.kubernetes.api.credentials import Credentials
from deployments.dataplane.kubernetes.api.transport import Json, connection_to
from deployments.dataplane.kubernetes.checks import postgres_verdicts, verdicts
from deployments.dataplane.kubernetes.checks.postgres_verdicts import Server
from deployments.dataplane.kubernetes.checks.verdicts import Check, CheckState
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.rbac import rules
from deployments.dataplane.kubernetes.rbac.rules import Right
from deployments.dataplane.postgres import databases

AT_ONCE = 8  # access reviews under way; as many as the connection's pool holds
BUDGET_SECONDS = 25.0
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_CAPABILITIES = (
    "SELECT current_setting('server_version_num')::int, rolsuper, rolcreaterole, rolcreatedb, "
    "current_setting('max_connections')::int, current_setting('superuser_reserved_connections')::int, "
    "(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int "
    "FROM pg_roles WHERE rolname = current_user"
)


def api_to(config: ClusterConfig, budget: float = BUDGET_SECONDS) -> Api:
    """The cluster's API, for so many seconds. Raises DataPlaneError when the credentials cannot be used."""
    return Api(connection_to(Credentials.of(config.settings)), budget)


def examine(config: ClusterConfig) -> tuple[Check, ...]:
    """Every check that only reads, in the order of the page. Never raises for what a cluster answers or does not."""
    settings = ClusterSettings.of(config.settings)
    return (*_cluster(config, settings), *_postgres(config.database_url))


def _cluster(config: ClusterConfig, settings: ClusterSettings) -> list[Check]:
    try:
        api = api_to(config)
        found = [verdicts.version(api.get("/version", "the version") or {})]
    except DataPlaneError as error:
        return [verdicts.failed("api", "API server", error)]
    found += _tried("rights", "Rights", lambda: [_access(api)])
    found += _tried("roles", "Roles for Airflow", lambda: [_lent(api)], CheckState.UNCHECKED)
    found += _tried(
        "ingress_class",
        "IngressClass",
        lambda: verdicts.ingress(_ingress(api), settings),
        CheckState.UNCHECKED,
    )
    found += _tried(
        "storage", "StorageClass", lambda: [verdicts.storage(_storage(api))], CheckState.UNCHECKED
    )
    found += _tried("keda", "Scaling", lambda: [verdicts.keda(has_keda(api), settings)], CheckState.UNCHECKED)
    return found


def _tried(
    key: str, title: str, check: Callable[[], Iterable[Check]], state: CheckState = CheckState.MISSING
) -> list[Check]:
    try:
        return list(check())
    except DataPlaneUnreachable as error:
        return [verdicts.failed(key, title, error)]
    except DataPlaneError as error:
        return [verdicts.failed(key, title, error, state)]


def _access(api: Api) -> Check:
    rights = list(rules.rights())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        granted = list(pool.map(lambda right: may(api, right), rights))
    missing = [right for right, yes in zip(rights, granted, strict=True) if not yes]
    return verdicts.access(missing, len(rights))


def may(api: Api, right: Right) -> bool:
    """Whether we have a right in every namespace, by the cluster's own word."""
    resource, _, sub = right.resource.partition("/")
    asked = {
        "group": right.group,
        "resource": resource,
        "subresource": sub,
        "verb": right.verb,
        "name": right.name,
    }
    body: Json = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in asked.items() if value}},
    }
    answer = api.create(REVIEWS, body, "a question for our rights")
    return (answer.get("status") or {}).get("allowed") is True


def _lent(api: Api) -> Check:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/"
    return verdicts.delegated_roles(
        [name for name in rules.DELEGATED_ROLES if api.get(path + name, f"ClusterRole {name}")]
    )


def _ingress(api: Api) -> list[Json]:
    return api.items("/apis/networking.k8s.io/v1/ingressclasses", "the IngressClasses")


def _storage(api: Api) -> list[Json]:
    return api.items("/apis/storage.k8s.io/v1/storageclasses", "the StorageClasses")


def has_keda(api: Api) -> bool:
    """Whether ScaledObject is a kind here. Discovery needs no right of its own."""
    found = api.get("/apis/keda.sh/v1alpha1", "the kinds of keda.sh") or {}
    return any(
        each.get("kind") == "ScaledObject" for each in found.get("resources") or () if isinstance(each, dict)
    )


def _postgres(url: str) -> list[Check]:
    try:
        with databases.connect(url) as connection:
            row: tuple[Any, ...] | None = connection.execute(_CAPABILITIES).fetchone()
            pooled = _drops_settings(connection)
    except DataPlaneError as error:
        return [verdicts.failed("postgres", "Postgres", error), *postgres_verdicts.database_address(url)]
    assert row is not None  # noqa: S101 - current_user is a role
    return [
        *postgres_verdicts.database(replace(Server(*row), pooled=pooled)),
        *postgres_verdicts.database_address(url),
    ]


def _drops_settings(connection: databases.Connection) -> bool:
    """Whether something between us and the server swallowed the settings of our connection: a pooler that is set to
    ignore them, which may well give every transaction to another connection of the server."""
    row = connection.execute("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'").fetchone()
    return row is None or row[0] != str(databases.STATEMENT_MS)
