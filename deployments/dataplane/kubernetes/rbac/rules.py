"""Everything that Airdeck may do in a Kubernetes cluster, as data: the one list from which the console's ClusterRole,
the checks of a registration and the documentation are made. Whatever the driver or the observer newly does is added
here first.

Who may create pods in every namespace could read every Secret by mounting it: these rights are those of a cluster's
operator in all but name, and a cluster shared with strangers should not be registered. What the list keeps out all
the same is everything that Airdeck has no use for: nodes, webhooks, roles, other people's kinds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from deployments.dataplane.kubernetes import names

CORE, APPS, BATCH, NETWORKING, POLICY = "", "apps", "batch", "networking.k8s.io", "policy"
RBAC, STORAGE, KEDA = "rbac.authorization.k8s.io", "storage.k8s.io", "keda.sh"
METRICS = "metrics.k8s.io"
# What server-side apply, pruning and watching an object take. Applying one that is not there yet is a create.
OWN = ("get", "list", "watch", "create", "patch", "delete")


@dataclass(frozen=True)
class Rule:
    """Verbs on resources of one API group; with `named`, only on objects of these names. `why` is for people.
    `optional` rights are for what a cluster may lack."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    named: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True)
class Right:
    """One question for a SelfSubjectAccessReview. `resource` may name a subresource ("pods/log")."""

    group: str
    resource: str
    verb: str
    name: str = ""
    optional: bool = False


RULES = (
    Rule(CORE, ("namespaces",), OWN, "a namespace of its own for each Deployment"),
    Rule(
        CORE,
        ("configmaps", "secrets", "services", "serviceaccounts", "resourcequotas", "limitranges"),
        OWN,
        "settings, keys, addresses and fences; of Secrets the watch asks for the metadata alone",
    ),
    Rule(
        CORE,
        ("persistentvolumeclaims",),
        OWN,
        "a volume for the logs of tasks, where there is a default StorageClass",
    ),
    Rule(
        CORE,
        ("pods",),
        OWN,
        "health; idle workers first; an end within half a minute; the test of network isolation",
    ),
    Rule(CORE, ("pods/log",), ("get",), "the Logs page"),
    Rule(
        CORE,
        ("services/proxy",),
        ("get",),
        "logs of tasks, which the code server of each Deployment keeps; no other service, and nothing but reading",
        named=(names.LOG_SERVICE,),
    ),
    Rule(CORE, ("events",), ("list",), "why something does not start"),
    Rule(APPS, ("deployments",), OWN, "Airflow's components"),
    Rule(APPS, ("deployments/scale",), ("patch",), "the number of workers"),
    Rule(APPS, ("replicasets",), ("list",), "why a component has no pods"),
    Rule(BATCH, ("jobs", "cronjobs"), OWN, "migrations of the metadata database; removal of pods that ended"),
    Rule(NETWORKING, ("networkpolicies", "ingresses"), OWN, "isolation, and the address of the Airflow UI"),
    Rule(NETWORKING, ("ingressclasses",), ("list",), "the check at registration"),
    Rule(
        STORAGE, ("storageclasses",), ("list",), "whether there is a default one; the check at registration"
    ),
    Rule(METRICS, ("pods",), ("list",), "what the pods use, where metrics-server is", optional=True),
    Rule(POLICY, ("poddisruptionbudgets",), OWN, "a node is drained of one pod at a time"),
    Rule(RBAC, ("rolebindings",), OWN, "lends the roles below to Airflow's components"),
    Rule(
        RBAC,
        ("clusterroles",),
        ("bind", "get"),
        "these may be lent, and no others",
        named=(names.POD_LAUNCHER, names.POD_LOG_READER, names.POD_CLEANER),
    ),
    Rule(
        KEDA, ("scaledobjects", "triggerauthentications"), OWN, "scaling by KEDA where it is", optional=True
    ),
)

# What Airflow's components get in their own namespace, by ClusterRole.
DELEGATED_ROLES: dict[str, tuple[Rule, ...]] = {
    names.POD_LAUNCHER: (
        Rule(CORE, ("pods",), OWN, "task pods, and KubernetesPodOperator"),
        Rule(CORE, ("pods/log",), ("get",), "follows the log of the pod that it started"),
        Rule(CORE, ("pods/exec",), ("create", "get"), "reads the result of KubernetesPodOperator's pod"),
        Rule(CORE, ("events",), ("list", "watch"), "says why a pod does not start"),
    ),
    names.POD_LOG_READER: (
        Rule(CORE, ("pods",), ("get", "list", "watch"), "finds the pod of a task"),
        Rule(CORE, ("pods/log",), ("get",), "shows the log of a task that runs"),
    ),
    names.POD_CLEANER: (Rule(CORE, ("pods",), ("list", "delete"), "removes pods that ended"),),
}


def rights() -> Iterator[Right]:
    """Every single right of the console, in order: one access review each."""
    for rule in RULES:
        for resource in rule.resources:
            for verb in rule.verbs:
                for name in rule.named or ("",):
                    yield Right(rule.group, resource, verb, name, rule.optional)


def allowed(group: str, resource: str, verb: str, name: str = "") -> bool:
    """Whether the list has this right. Tests hold every request of the driver to it."""
    return any(
        rule.group == group
        and resource in rule.resources
        and verb in rule.verbs
        and (not rule.named or name in rule.named)
        for rule in RULES
    )
