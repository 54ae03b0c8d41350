"""Which driver speaks to which kind of cluster. Loaded on first use: a process that talks to no data plane (web)
does not pay for the drivers' imports."""

from collections.abc import Callable
from importlib import import_module

from deployments.dataplane.contract import ClusterConfig, Driver

type Factory = Callable[[ClusterConfig], Driver]

DRIVERS: dict[str, str | Factory] = {
    "local": "deployments.dataplane.local.driver:LocalDriver",
    "kubernetes": "deployments.dataplane.kubernetes.driver:KubernetesDriver",
}


def driver_for(config: ClusterConfig) -> Driver:
    """The driver for a cluster's kind. Raises KeyError for a kind that is not registered."""
    factory = DRIVERS[config.kind]
    if isinstance(factory, str):
        module, _, name = factory.partition(":")
        factory = DRIVERS[config.kind] = getattr(import_module(module), name)
    return factory(config)
