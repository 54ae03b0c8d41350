"""The console's account in a cluster, as a file for `kubectl apply`: rendered from `permissions`, so that what is
documented, checked and used is one list. Pure.

`python -m deployments.dataplane.kubernetes.rbac.manifest > deploy/kubernetes/airdeck-clusterrole.yaml` writes it again,
and with the word `roles`, deploy/helm/airdeck/files/cluster-roles.yaml.
"""

import json
import sys
from collections.abc import Iterable, Iterator

from deployments.dataplane.kubernetes.rbac import rules as permissions
from deployments.dataplane.kubernetes.rbac.rules import Rule

NAMESPACE = NAME = "airdeck"
_HEAD = """\
# What Airdeck may do in a cluster. Made from deployments/dataplane/kubernetes/rbac/rules.py; change it there.
#
#   kubectl apply -f airdeck-clusterrole.yaml
#
# docs/kubernetes.md says how the account's token becomes a kubeconfig.
apiVersion: v1
kind: Namespace
metadata:
  name: {namespace}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {name}
  namespace: {namespace}
"""
_ROLES_HEAD = """\
# What Airdeck may do in the cluster in which it stands. Made from deployments/dataplane/kubernetes/rbac/rules.py by
# `python -m deployments.dataplane.kubernetes.rbac.manifest roles`; change it there.
"""
_BINDING = """\
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {name}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {name}
subjects:
  - kind: ServiceAccount
    name: {name}
    namespace: {namespace}
"""
_KEPT = "  annotations: {helm.sh/resource-policy: keep}\n"


def text() -> str:
    """The whole file: namespace, account, its role and binding, and the roles that it lends to Airflow."""
    return "".join(_documents())


def roles() -> str:
    """The roles alone, for the Helm chart, which has an account and a binding of its own. Those that are lent outlive
    the chart: Airflows go on without the console, and could start no pod without them."""
    return "".join([_ROLES_HEAD, _role(NAME, permissions.RULES), *_delegated(_KEPT)])


def _documents() -> Iterator[str]:
    yield _HEAD.format(name=NAME, namespace=NAMESPACE)
    yield _role(NAME, permissions.RULES)
    yield _BINDING.format(name=NAME, namespace=NAMESPACE)
    yield from _delegated()


def _delegated(more: str = "") -> Iterator[str]:
    comment = "# Lent to Airflow's components by a RoleBinding in their own namespace.\n"
    for name, rules in permissions.DELEGATED_ROLES.items():
        yield _role(name, rules, comment, more)


def _role(name: str, rules: Iterable[Rule], comment: str = "", more: str = "") -> str:
    head = f"---\n{comment}apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: {name}\n"
    return head + more + "rules:\n" + "".join(map(_rule, rules))


def _rule(rule: Rule) -> str:
    lines = [
        f"  # {rule.why}" + (" (optional)" if rule.optional else ""),
        f"  - apiGroups: {json.dumps([rule.group])}",
        f"    resources: {json.dumps(rule.resources)}",
    ]
    if rule.named:
        lines.append(f"    resourceNames: {json.dumps(rule.named)}")
    lines.append(f"    verbs: {json.dumps(rule.verbs)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(roles() if sys.argv[1:] == ["roles"] else text())
