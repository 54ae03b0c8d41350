"""Django in this process, on the database of the bench's installation."""

import os

import django

from console.embedded import process_table, programs, redis_server
from console.embedded.preflight import StartPlan
from console.tests.system.installation import Installation


def connect(at: Installation) -> None:
    """Before anything imports a model. Once per process: settings are read when they are loaded."""
    redis = redis_server.find_binary()
    assert redis is not None
    environment = programs.environment(StartPlan(at.state, at.port, redis), os.environ)
    del environment[process_table.TAG]  # what we start (a browser) is not the installation's own
    # Clusters of the bench are on this machine, as for the installation itself.
    os.environ.update(environment | {"LOG_LEVEL": "ERROR", "CLUSTER_ADDRESSES": "127.0.0.1"})
    django.setup()
