"""The options are the drivers' own: nothing is offered that a driver does not do."""

from deployments.dataplane.local.driver import LocalDataPlane
from deployments.models import Cluster
from deployments.options import OFFERED


def test_the_executors_offered_on_this_machine_are_the_drivers():
    assert OFFERED[Cluster.Kind.LOCAL] == LocalDataPlane.executors
