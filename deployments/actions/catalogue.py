"""What operators do to the catalogue: runtimes that Kubernetes clusters run, and the sizes of worker that a cluster
offers. Atomic, explicit actor, audit event in the same transaction; raises ActionRefused with the sentence."""

import re
from dataclasses import asdict, dataclass
from datetime import date

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from console.kit.refusals import ActionRefused
from deployments.clusters.options import version_key
from deployments.models import Cluster, Deployment, RuntimeRelease, WorkerQueue, WorkerType
from workspaces import audit
from workspaces.audited import Subject
from workspaces.models import User

# The minor releases that the manifests are held to.
AIRFLOW = ((3, 1), (3, 2), (3, 3))
_VERSION = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}-[0-9]{1,3}")
_AIRFLOW_VERSION = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,3}")
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_REGISTRY = r"(?:localhost|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+|[a-zA-Z0-9-]+(?=:))(?::[0-9]{1,5})?/"
_IMAGE = re.compile(
    rf"(?:{_REGISTRY})?{_PART}(?:/{_PART})*(?::[\w][\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?", re.ASCII
)
_TYPE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")
CPU_MILLIS = (100, 128_000)
MEMORY_MIB = (512, 1024 * 1024)


@dataclass(frozen=True)
class Runtime:
    """A release of Airflow for the catalogue, as an operator writes it down."""

    version: str
    airflow_version: str
    image: str
    channel: str
    released_on: date
    maintained_until: date


@dataclass(frozen=True)
class Type:
    """A size of Celery worker, as an operator writes it down."""

    name: str
    cpu_millis: int
    memory_mib: int
    position: int = 0
    is_default: bool = False


def runtime_errors(runtime: Runtime) -> dict[str, str]:
    """What is wrong, by field; empty when nothing is."""
    found = {}
    if not _VERSION.fullmatch(runtime.version):
        found["version"] = "Write it as minor release and number of ours: 3.3-2."
    if not _AIRFLOW_VERSION.fullmatch(runtime.airflow_version):
        found["airflow_version"] = "Write it in full: 3.3.2."
    if not found:
        minor = version_key(runtime.airflow_version)[:2]
        if minor not in AIRFLOW:
            known = ", ".join(f"{major}.{patch}" for major, patch in AIRFLOW)
            found["airflow_version"] = f"Airdeck runs Airflow {known}."
        elif minor != version_key(runtime.version)[:2]:
            found["version"] = f"Begin with the minor release of Airflow: {minor[0]}.{minor[1]}-1."
    if error := image_error(runtime.image):
        found["image"] = error
    if runtime.maintained_until < runtime.released_on:
        found["maintained_until"] = "Choose a day after the release."
    return found


def image_error(image: str) -> str:
    """What is wrong with an image's name, or nothing."""
    if len(image) <= 255 and _IMAGE.fullmatch(image):
        return ""
    return "Give an image with its tag: apache/airflow:3.3.2, or registry.example.org/airflow:3.3.2-ours."


@transaction.atomic
def add_runtime(*, runtime: Runtime, by: User) -> RuntimeRelease:
    """Put it into the catalogue: every Kubernetes cluster offers it from now on, as long as it is maintained."""
    if errors := runtime_errors(runtime):
        raise ActionRefused(next(iter(errors.values())))
    try:
        with transaction.atomic():
            row = RuntimeRelease.objects.create(**asdict(runtime))
    except IntegrityError:
        raise ActionRefused(f"Runtime {runtime.version} is in the catalogue already.") from None
    audit.record(row, by, "added", new={"image": row.image})
    return row


@transaction.atomic
def set_image(*, runtime: RuntimeRelease, by: User, image: str) -> None:
    """Run it from another image. Refused while Deployments have it, or would go back to it when their upgrade fails:
    they would all restart at once. One that never became Healthy on it has nothing to lose: its image may be what is
    wrong. Saying the same again writes nothing."""
    locked = RuntimeRelease.objects.select_for_update().get(pk=runtime.pk)
    if locked.image == image:
        return
    if error := image_error(image):
        raise ActionRefused(error)
    if is_in_use(locked):
        raise ActionRefused(in_use(locked))
    old, locked.image = locked.image, image
    locked.save(update_fields=["image"])
    Deployment.objects.filter(runtime=locked, deleted_at__isnull=True).update(due_at=Now(), failures=0)
    audit.record(locked, by, "changed the image of", old={"image": old}, new={"image": image})


def is_in_use(runtime: RuntimeRelease) -> bool:
    """Whether a Deployment would be restarted by another image, or goes back to this one when its upgrade fails."""
    desired = Q(runtime=runtime, first_healthy_at__isnull=False) | Q(upgrade_from=runtime)
    return Deployment.objects.filter(desired, deleted_at__isnull=True).exists()


def in_use(runtime: RuntimeRelease) -> str:
    """Why the image cannot change."""
    return (
        f"Deployments have runtime {runtime.version}, and another image would restart them all at once. Add a runtime "
        "with the other image instead; they can be upgraded to it one by one."
    )


def type_errors(desired: Type) -> dict[str, str]:
    """What is wrong, by field; empty when nothing is."""
    found = {}
    if not _TYPE_NAME.fullmatch(desired.name):
        found["name"] = (
            "Use letters, digits, blanks and . _ - (at most 40), beginning with a letter or digit."
        )
    if not CPU_MILLIS[0] <= desired.cpu_millis <= CPU_MILLIS[1]:
        found["cpu_millis"] = f"Enter thousandths of a core, from {CPU_MILLIS[0]} to {CPU_MILLIS[1]}."
    if not MEMORY_MIB[0] <= desired.memory_mib <= MEMORY_MIB[1]:
        found["memory_mib"] = f"Enter MiB, from {MEMORY_MIB[0]} to {MEMORY_MIB[1]}."
    return found


@transaction.atomic
def add_type(*, cluster: Cluster, desired: Type, by: User) -> WorkerType:
    """A further size of worker on this cluster."""
    _hold(cluster)
    if errors := type_errors(desired):
        raise ActionRefused(next(iter(errors.values())))
    first = not cluster.worker_types.exists()
    if desired.is_default:
        cluster.worker_types.update(is_default=False)
    try:
        with transaction.atomic():
            row = WorkerType.objects.create(
                cluster=cluster, **{**asdict(desired), "is_default": desired.is_default or first}
            )
    except IntegrityError:
        raise ActionRefused(f"{cluster.name} has a worker type {desired.name} already.") from None
    audit.record(_subject(row), by, "added")
    return row


@transaction.atomic
def change_type(*, worker_type: WorkerType, desired: Type, by: User) -> None:
    """Another size, place or name. Size and name only while no worker queue has it: what runs would restart."""
    _hold(worker_type.cluster)
    row = WorkerType.objects.get(pk=worker_type.pk)
    if errors := type_errors(desired):
        raise ActionRefused(next(iter(errors.values())))
    old, new = _values(row), asdict(desired)
    if old == new:
        return
    if any(old[key] != new[key] for key in ("name", "cpu_millis", "memory_mib")):
        _refuse_used(row)
    if old["is_default"] and not desired.is_default:
        raise ActionRefused("One type is preselected. Make another one the default instead.")
    if desired.is_default:
        WorkerType.objects.filter(cluster=row.cluster).exclude(pk=row.pk).update(is_default=False)
    try:
        with transaction.atomic():
            WorkerType.objects.filter(pk=row.pk).update(**new)
    except IntegrityError:
        raise ActionRefused(f"{row.cluster.name} has a worker type {desired.name} already.") from None
    audit.record(
        Subject("worker type", row.pk, f"{desired.name} of {row.cluster}"), by, "changed", old=old, new=new
    )


@transaction.atomic
def remove_type(*, worker_type: WorkerType, by: User) -> str:
    """Offer it no more. Refused while worker queues have it, and for the default."""
    _hold(worker_type.cluster)
    row = WorkerType.objects.filter(pk=worker_type.pk).first()
    if row is None:
        return "It was removed already."
    _refuse_used(row)
    if row.is_default:
        raise ActionRefused(
            f"{row.name} is the default of {row.cluster}. Make another one the default first."
        )
    WorkerQueue.objects.filter(worker_type=row, deployment__deleted_at__isnull=False).delete()
    subject = _subject(row)
    audit.record(subject, by, "removed", old=_values(row))
    row.delete()
    return f"{subject.label} is removed."


def _values(row: WorkerType) -> dict[str, object]:
    desired = Type(row.name, row.cpu_millis, row.memory_mib, row.position, row.is_default)
    return asdict(desired)


def _refuse_used(row: WorkerType) -> None:
    used = WorkerQueue.objects.filter(worker_type=row, deployment__deleted_at__isnull=True)
    names = sorted(used.values_list("deployment__name", flat=True).distinct()[:5])
    if names:
        raise ActionRefused(
            f"Worker queues of {', '.join(names)} have the worker type {row.name}. Add another type instead."
        )


def _hold(cluster: Cluster) -> None:
    """No one creates a Deployment there, or edits the worker queues of one, until this transaction ends
    (`clusters.hold`)."""
    Cluster.objects.select_for_update().get(pk=cluster.pk)


def _subject(row: WorkerType) -> Subject:
    return Subject("worker type", row.pk, f"{row} of {row.cluster}")
