"""The options are the drivers' own: nothing is offered that a driver does not do."""

from deployments.clusters.options import OFFERED
from deployments.dataplane.local.driver import LocalDriver
from deployments.models import Cluster


def test_the_executors_offered_on_this_machine_are_the_drivers():
    assert OFFERED[Cluster.Kind.LOCAL] == LocalDriver.executors
