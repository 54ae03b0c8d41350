"""What is to be known of a cluster before something runs on it, as verdicts over facts. Pure: no I/O.

`examine` asks for the facts, `canary` tries what can only be found out by trying.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.rbac import rules
from deployments.dataplane.kubernetes.rbac.rules import Right
from deployments.dataplane.kubernetes.text import clean

OLDEST = (1, 30)  # Kubernetes; the oldest that Airflow's own chart supports
ROLE_FILE = "deploy/kubernetes/airdeck-clusterrole.yaml"
_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
_DEFAULT_STORAGE = "storageclass.kubernetes.io/is-default-class"
NAMED = 12  # rights that one sentence names


class CheckState(StrEnum):
    """How one check ended."""

    OK = "ok"
    WARNING = "warning"  # works, but a person should know
    MISSING = "missing"  # without it nothing can run there
    UNCHECKED = "unchecked"  # could not be found out


@dataclass(frozen=True)
class Check:
    """One line of the report. `sentence` says what was found and, unless all is well, what to do."""

    key: str
    title: str
    state: CheckState
    sentence: str

    def row(self) -> dict[str, str]:
        """For the database and the page."""
        return {**asdict(self), "state": self.state.value}


def failed(key: str, title: str, error: Exception, state: CheckState = CheckState.MISSING) -> Check:
    """A check that could not be made, in the error's own sentence."""
    return Check(key, title, state, clean(str(error), 600))


def version(found: Mapping[str, Any]) -> Check:
    """Judge what /version answered: MISSING for a version older than OLDEST."""
    title, message = "API server", clean(found.get("gitVersion"), 40) or "of an unknown version"
    numbers = tuple(_digits(found.get(part)) for part in ("major", "minor"))
    if numbers < OLDEST:
        return Check(
            "api",
            title,
            CheckState.MISSING,
            f"Kubernetes {message} answers. Airdeck needs 1.30 or newer: upgrade the cluster.",
        )
    return Check("api", title, CheckState.OK, f"Kubernetes {message} answers.")


def _digits(text: object) -> int:
    digits = "".join(c for c in str(text or "") if c.isdecimal())  # "30+" on some clouds
    return int(digits or 0)


def access(missing: Iterable[Right], asked: int) -> Check:
    """From the access reviews: which rights are not there."""
    title, lacking = "Rights", list(missing)
    needed = [right for right in lacking if not right.optional]
    if not needed:
        note = f" {len(lacking)} more are for what this cluster lacks." if lacking else ""
        return Check(
            "rights",
            title,
            CheckState.OK,
            f"All {asked - len(lacking)} rights that Airdeck uses are granted.{note}",
        )
    texts = _grouped(needed)
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return Check(
        "rights",
        title,
        CheckState.MISSING,
        f"{len(needed)} of {asked} rights are missing: {'; '.join(texts[:NAMED])}{more}. "
        f"Apply {ROLE_FILE} and bind its ClusterRole to Airdeck's account.",
    )


def _grouped(rights: Sequence[Right]) -> list[str]:
    """ "create, patch on apps/deployments", in the order of the list."""
    verbs: dict[str, list[str]] = {}
    for right in rights:
        name = f" {right.name}" if right.name else ""
        target = f"{right.group}/{right.resource}" if right.group else right.resource
        verbs.setdefault(target + name, []).append(right.verb)
    return [f"{', '.join(found)} on {target}" for target, found in verbs.items()]


def delegated_roles(there: Collection[str]) -> Check:
    """From the ClusterRoles that Airflow's components are lent."""
    title = "Roles for Airflow"
    lacking = [name for name in rules.DELEGATED_ROLES if name not in there]
    if lacking:
        return Check(
            "roles",
            title,
            CheckState.MISSING,
            f"ClusterRole {', '.join(lacking)} is not there, so Airflow could neither start task pods nor read their "
            f"logs. Apply {ROLE_FILE}.",
        )
    return Check(
        "roles", title, CheckState.OK, "The ClusterRoles that Airflow's components are lent are there."
    )


def ingress(classes: Sequence[Mapping[str, Any]], settings: ClusterSettings) -> tuple[Check, ...]:
    """From the IngressClasses, and the domain that an operator gave."""
    return (_ingress_class(classes, settings), _domain(settings))


def _ingress_class(classes: Sequence[Mapping[str, Any]], settings: ClusterSettings) -> Check:
    title, there = "IngressClass", [_name(each) for each in classes]
    default = next((_name(each) for each in classes if _annotation(each, _DEFAULT_CLASS) == "true"), "")
    desired = settings.ingress_class
    listed = (
        f"The cluster has {', '.join(there[:10])}" if there else "The cluster has none: install a controller"
    )
    if desired:
        if desired in there:
            return Check("ingress_class", title, CheckState.OK, f"{desired} is there.")
        return Check("ingress_class", title, CheckState.WARNING, f"{desired} is not there. {listed}.")
    if default:
        return Check("ingress_class", title, CheckState.OK, f"{default} is the cluster's default.")
    sentence = f"There is no default, and none was chosen. {listed}. Open Airflow needs one."
    return Check("ingress_class", title, CheckState.WARNING, sentence)


def _domain(settings: ClusterSettings) -> Check:
    title, domain = "Ingress domain", settings.ingress_domain
    if domain:
        return Check("domain", title, CheckState.OK, f"Airflow answers at https://<release name>.{domain}.")
    return Check(
        "domain",
        title,
        CheckState.WARNING,
        "No domain was given, so Airflow gets no address and Open Airflow leads nowhere. Give one.",
    )


def storage(classes: Sequence[Mapping[str, Any]]) -> Check:
    """From the StorageClasses. A volume for the logs of tasks is all that we ask for."""
    if default := default_class(classes):
        message = f"{default} is the default. Each Deployment keeps the logs of its tasks on a volume of it."
        return Check("storage", "StorageClass", CheckState.OK, message)
    return Check(
        "storage",
        "StorageClass",
        CheckState.WARNING,
        "There is no default, so the logs of tasks are lost when a code server moves. Mark one as the default.",
    )


def default_class(classes: Sequence[Mapping[str, Any]]) -> str:
    """The StorageClass of a volume that names none; "" when there is none."""
    return next((_name(each) for each in classes if _annotation(each, _DEFAULT_STORAGE) == "true"), "")


def keda(there: bool, settings: ClusterSettings) -> Check:
    """Whether ScaledObjects exist as a kind, and whether they are desired."""
    match (there, settings.keda):
        case (True, True):
            state, sentence = CheckState.OK, "KEDA scales the workers."
        case (False, True):
            state, sentence = (
                CheckState.WARNING,
                "KEDA was chosen and is not there. Airdeck scales the workers itself.",
            )
        case (True, False):
            state, sentence = (
                CheckState.OK,
                "KEDA is there and not chosen. Airdeck scales the workers itself.",
            )
        case _:
            state, sentence = CheckState.OK, "KEDA is not there. Airdeck scales the workers itself."
    return Check("keda", "Scaling", state, sentence)


def pod_security(enforced: bool) -> Check:
    """Whether a privileged pod was refused where the restricted standard is enforced."""
    if enforced:
        return Check("pod_security", "Pod Security", CheckState.OK, "Pod Security admission is at work.")
    return Check(
        "pod_security",
        "Pod Security",
        CheckState.WARNING,
        "Pod Security admission is off: people's pods may be privileged. Switch the PodSecurity plugin on.",
    )


def isolation(allowed: bool | None, denied: bool | None) -> Check:
    """From two pods that tried to reach a third: one that a NetworkPolicy lets in, and one that it does not. None: it
    did not say within the time."""
    title = "Network isolation"
    if allowed is None or denied is None:
        return Check(
            "isolation",
            title,
            CheckState.UNCHECKED,
            "Not checked: the test pods started but did not end in time. Check again.",
        )
    if not allowed:
        return Check(
            "isolation",
            title,
            CheckState.UNCHECKED,
            "Not checked: a pod could not even reach one that lets it in. Look at the cluster's network plugin.",
        )
    if denied:
        return Check(
            "isolation",
            title,
            CheckState.WARNING,
            "Isolation is not enforced: a pod reached one that a NetworkPolicy closes. Deployments can reach each "
            "other's pods. Install a network plugin that enforces NetworkPolicies.",
        )
    return Check("isolation", title, CheckState.OK, "Isolation enforced: a NetworkPolicy kept a pod out.")


def not_isolated(why: str) -> Check:
    """The test could not be made."""
    return Check("isolation", "Network isolation", CheckState.UNCHECKED, f"Not checked: {clean(why, 400)}")


def _name(found: Mapping[str, Any]) -> str:
    return clean((found.get("metadata") or {}).get("name"), 80)


def _annotation(found: Mapping[str, Any], key: str) -> str:
    return str(((found.get("metadata") or {}).get("annotations") or {}).get(key, ""))
