"""What a Deployment is in a Kubernetes cluster, as plain documents. Pure: no I/O, no clock, no randomness.

Until the first deploy of code DAG files come with the image, the runtime's or the Deployment's own, in
/opt/airflow/dags. Nothing is mounted there, because nothing would fill it.
"""

from dataclasses import dataclass
from enum import StrEnum

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.manifests import (
    access,
    address,
    autoscaling,
    components,
    configuration,
    image_check,
    migration,
    namespace,
    network,
    programs,
    upkeep,
)
from deployments.dataplane.kubernetes.manifests.inputs import Inputs, Manifest
from deployments.domain.states import Executor

__all__ = ["Inputs", "Manifest", "Phase", "Rendered", "render", "template_objects"]

template_objects = migration.template_objects


class Phase(StrEnum):
    """In which order objects are applied. MIGRATION is only for a database that its runtime does not fit."""

    NAMESPACE = "namespace"
    CONFIGURATION = "configuration"
    MIGRATION = "migration"
    COMPONENTS = "components"
    ADDRESS = "address"
    AUTOSCALING = "autoscaling"


@dataclass(frozen=True, repr=False)
class Rendered:
    """All objects of one Release, by phase. No repr: Secrets are among them."""

    phases: tuple[tuple[Phase, tuple[Manifest, ...]], ...]

    def of(self, phase: Phase) -> tuple[Manifest, ...]:
        """The objects of one phase, in apply order."""
        return dict(self.phases)[phase]

    @property
    def lasting(self) -> tuple[Manifest, ...]:
        """Every object that belongs to the Deployment as long as it lasts: all but the migration Job."""
        return tuple(
            each for phase, objects in self.phases if phase is not Phase.MIGRATION for each in objects
        )


def render(inputs: Inputs) -> Rendered:
    """The Release as Kubernetes objects, in apply order. Equal inputs give equal documents. What reads a Secret or
    ConfigMap comes after it, so that pods start once."""
    kubernetes = inputs.release.executor is Executor.KUBERNETES
    template = programs.task_pod(inputs) if kubernetes else None
    fence = (*namespace.objects(inputs), *access.objects(inputs), *network.objects(inputs))
    running = (
        *address.services(inputs),
        *components.objects(inputs),
        *upkeep.budgets(inputs),
        *upkeep.cleanup(inputs),
    )
    registry = (
        (image_check.registry(inputs.meta(names.OWN_REGISTRY), inputs.secrets.registry_login),)
        if inputs.release.image
        else ()
    )
    return Rendered(
        (
            (Phase.NAMESPACE, fence),
            (Phase.CONFIGURATION, (*configuration.objects(inputs, template), *registry)),
            (Phase.MIGRATION, (migration.job(inputs),)),
            (Phase.COMPONENTS, running),
            (Phase.ADDRESS, address.ingress(inputs)),
            (Phase.AUTOSCALING, autoscaling.objects(inputs)),
        )
    )
