"""Finds out by trying: does the cluster enforce Pod Security, and does it enforce NetworkPolicies?

In a namespace that lives for the test: a pod that listens, a policy that lets one pod in, and two pods that try. The
one that the policy keeps out must fail, and the other one succeed, or nothing was learnt. The pods end by themselves
(`activeDeadlineSeconds`), and the next test removes what one that was killed left behind.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deployments.dataplane.contract import ClusterConfig, DataPlaneError
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.kubernetes.api.errors import ApiRefused
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.checks import verdicts
from deployments.dataplane.kubernetes.checks.examine import api_to
from deployments.dataplane.kubernetes.checks.verdicts import Check
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.manifests import configuration, pods
from deployments.dataplane.kubernetes.manifests.namespace import pod_security
from deployments.dataplane.kubernetes.text import moment

LABEL = "airdeck.io/canary"
PORT, UID = 6379, 999  # of the Redis image: it has both ends of a connection, and needs no rights
LISTENS, LET_IN, KEPT_OUT = "listens", "let-in", "kept-out"
LIFE_SECONDS = 300
# The last attempt counts: a network plugin may take seconds to learn of a policy.
_TRY = 'for i in 1 2 3 4 5; do timeout 3 redis-cli -h "$1" ping && reached=0 || reached=1; sleep 2; done; exit $reached'


@dataclass(frozen=True)
class Patience:
    """For how many seconds the test waits for what. Pods that do not start at all end it early."""

    account: float = 10.0
    start: float = 60.0
    end: float = 60.0
    between: float = 1.0

    @property
    def budget(self) -> float:
        """The whole test at most."""
        return self.account + self.start + self.end + 30.0


@dataclass(frozen=True, repr=False)
class _Site:
    """Where the test takes place."""

    api: Api
    settings: ClusterSettings
    namespace: str
    patience: Patience

    def path(self, kind: str, name: str, api_version: str = "v1") -> str:
        return path_of(api_version, kind, self.namespace, name)

    def wait[T](self, seconds: float, look: Callable[[], T | None]) -> T | None:
        """What `look` finds, within so many seconds."""
        deadline = time.monotonic() + seconds
        while (found := look()) is None and time.monotonic() < deadline:
            time.sleep(self.patience.between)
        return found


def canary(config: ClusterConfig, patience: Patience | None = None) -> tuple[Check, ...]:
    """The checks of Pod Security and of network isolation. Never raises for what a cluster answers or does not."""
    patience = patience or Patience()
    settings = ClusterSettings.of(config.settings)
    try:
        api = api_to(config, patience.budget)
        _sweep(api)
        name = f"{settings.namespace_prefix}airdeck-canary-{secrets.token_hex(3)}"
        site = _Site(api, settings, name, patience)
        api.apply(path_of("v1", "Namespace", "", name), _namespace(name))
        try:
            return _try(site)
        finally:
            api.delete(path_of("v1", "Namespace", "", name), f"namespace {name}")
    except DataPlaneError as error:
        return (verdicts.not_isolated(str(error)),)


def _sweep(api: Api) -> None:
    """Remove the namespaces of tests that were killed."""
    old = datetime.now(UTC) - timedelta(seconds=2 * LIFE_SECONDS)
    for found in api.items("/api/v1/namespaces", "the namespaces", labelSelector=LABEL):
        meta = found.get("metadata") or {}
        made = moment(meta.get("creationTimestamp"))
        if made and made < old and not meta.get("deletionTimestamp"):
            api.delete(
                path_of("v1", "Namespace", "", str(meta["name"])),
                "an old test namespace",
                uid=str(meta["uid"]),
            )


def _try(site: _Site) -> tuple[Check, ...]:
    account = site.wait(
        site.patience.account,
        lambda: site.api.get(site.path("ServiceAccount", "default"), "the default service account"),
    )
    if account is None:
        sentence = "the cluster's controllers do not work: a new namespace got no service account."
        return (verdicts.not_isolated(sentence),)
    security = verdicts.pod_security(_refuses_privileged(site))
    return (security, _isolation(site))


def _refuses_privileged(site: _Site) -> bool:
    pod = _pod(site, "privileged", ["true"])
    pod["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    try:
        site.api.create(site.path("Pod", ""), pod, "a privileged pod", dryRun="All")
    except ApiRefused as error:
        if error.status == 403:
            return True
        raise
    return False


def _isolation(site: _Site) -> Check:
    if site.settings.pull_secret_document:
        secret = configuration.pull_secret({"name": site.settings.pull_secret_name}, site.settings)
        site.api.apply(site.path("Secret", site.settings.pull_secret_name), secret)
    policy = _policy()
    site.api.apply(site.path("NetworkPolicy", LISTENS, policy["apiVersion"]), policy)
    server = ["redis-server", "--save", "", "--protected-mode", "no", "--port", str(PORT)]
    site.api.apply(site.path("Pod", LISTENS), _pod(site, LISTENS, server))
    address = site.wait(site.patience.start, lambda: _address(_read(site, LISTENS)))
    if address is None:
        return verdicts.not_isolated(_why(site))
    for name in (LET_IN, KEPT_OUT):
        site.api.apply(site.path("Pod", name), _pod(site, name, ["sh", "-c", _TRY, "try", address]))
    ended = site.wait(site.patience.end, lambda: _outcome(site))
    return verdicts.isolation(*(ended or (None, None)))


def _outcome(site: _Site) -> tuple[bool, bool] | None:
    """Whether each of the two reached the third, once both ended."""
    phases = [(_read(site, name).get("status") or {}).get("phase") for name in (LET_IN, KEPT_OUT)]
    if not all(phase in ("Succeeded", "Failed") for phase in phases):
        return None
    return phases[0] == "Succeeded", phases[1] == "Succeeded"


def _read(site: _Site, name: str) -> Json:
    return site.api.get(site.path("Pod", name), f"pod {name}") or {}


def _address(pod: Json) -> str | None:
    status = pod.get("status") or {}
    return str(status["podIP"]) if status.get("phase") == "Running" and status.get("podIP") else None


def _why(site: _Site) -> str:
    """Why the first pod did not start, as far as its status shows."""
    seconds, status = int(site.patience.start), _read(site, LISTENS).get("status") or {}
    message = [c.get("message") for c in status.get("conditions") or () if c.get("status") == "False"]
    waiting = [((c.get("state") or {}).get("waiting") or {}) for c in status.get("containerStatuses") or ()]
    message += [each.get("message") or each.get("reason") for each in waiting]
    reason = next((text for text in message if text), "is there a node?")
    return f"no pod started within {seconds} s ({reason})."


def _namespace(name: str) -> Json:
    labels = {names.LABEL_MANAGED_BY: names.MANAGER, LABEL: "true", **pod_security("restricted")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _policy() -> Json:
    """Closes the pod that listens to all but one."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": LISTENS},
        "spec": {
            "podSelector": {"matchLabels": {LABEL: LISTENS}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {LABEL: LET_IN}}}]}],
        },
    }


def _pod(site: _Site, name: str, command: list[str]) -> Json:
    size = {"cpu": "20m", "memory": "32Mi"}
    container = {
        "name": "canary",
        "image": site.settings.image(site.settings.redis_image),
        "command": command,
        "resources": {"requests": size, "limits": {"memory": "64Mi"}},
        "securityContext": {**pods.locked_down(), "readOnlyRootFilesystem": True},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {LABEL: name}},
        "spec": {
            **pods.base_spec(site.settings, "default", uid=UID, gid=UID),
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFE_SECONDS,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }
