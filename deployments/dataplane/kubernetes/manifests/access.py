"""Service accounts, and the few that may speak to the Kubernetes API.

Roles are not made here. Three ClusterRoles come with the console's own (`permissions`), and a RoleBinding lends one
in one namespace: so the console needs only the right to bind those three, not every right that they hold.
"""

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.manifests import sizes
from deployments.dataplane.kubernetes.manifests.inputs import Inputs, Manifest
from deployments.domain.spec import Release
from deployments.domain.states import Executor

RBAC = "rbac.authorization.k8s.io"


def objects(inputs: Inputs) -> tuple[Manifest, ...]:
    """One ServiceAccount per component, and RoleBindings for those that need one."""
    return (*(_account(inputs, name) for name in accounts(inputs.release)), *_bindings(inputs))


def accounts(release: Release) -> tuple[str, ...]:
    """The components of this Release that have pods, each with an account of its own."""
    own = {
        Executor.CELERY: (names.WORKER,),
        Executor.KUBERNETES: (names.TASK, names.CLEANUP),
        Executor.LOCAL: (),
    }
    return (*sizes.replicas(release), *own[release.executor], names.MIGRATION)


def roles(release: Release) -> dict[str, str]:
    """The ClusterRole that a component holds in its namespace. Whatever runs tasks may launch pods, for
    KubernetesPodOperator; the triggerer waits for them; the API server reads the logs of task pods."""
    found = {names.TRIGGERER: names.POD_LAUNCHER}
    match release.executor:
        case Executor.CELERY:
            found[names.WORKER] = names.POD_LAUNCHER
        case Executor.LOCAL:
            found[names.SCHEDULER] = names.POD_LAUNCHER
        case Executor.KUBERNETES:
            found |= dict.fromkeys((names.SCHEDULER, names.TASK), names.POD_LAUNCHER)
            found |= {names.API_SERVER: names.POD_LOG_READER, names.CLEANUP: names.POD_CLEANER}
    return found


def _account(inputs: Inputs, component: str) -> Manifest:
    """Tokens are mounted by the pods that need one, never by the account."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": inputs.meta(component, component),
        "automountServiceAccountToken": False,
    }


def _bindings(inputs: Inputs) -> list[Manifest]:
    return [
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": inputs.meta(component, component),
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": component, "namespace": inputs.namespace}],
        }
        for component, role in roles(inputs.release).items()
    ]
