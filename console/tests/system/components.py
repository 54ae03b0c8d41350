"""What is so of a Deployment of an installation, asked of the data plane: the page may be some seconds behind."""

from console.embedded import postgres
from console.tests.system.installation import Installation
from deployments.dataplane.contract import Ref
from deployments.dataplane.local.health.observe import observe
from deployments.dataplane.local.steps.configuration import redis_socket
from deployments.dataplane.local.supervisor.processes import Processes
from deployments.domain.states import ComponentState


def states(it: Installation, release: str) -> dict[str, ComponentState]:
    """Every component's state, as the processes and Airflow's own database have it."""
    seen = observe(
        it.state,
        Processes(it.state, it.supervisor, release),
        Ref("", release),
        postgres.url(it.state, "postgres"),
        redis_socket(it.state, release),
    )
    return {component.name: component.state for component in seen.components}


def works(it: Installation, release: str) -> bool:
    """Whether all four components of a Deployment with the Local executor do."""
    return list(states(it, release).values()) == [ComponentState.READY] * 4
