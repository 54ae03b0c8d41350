"""What the warm parent imports. Not here: what reads settings of a Deployment while it is imported, and has therefore
to be imported by each component itself (the command line's parser, executors, the Celery application)."""

import gc
import importlib
import os
import sys
import threading

from deployments.dataplane.local.warm.recording import Readings

_COMPONENTS = """
    argcomplete rich.console rich_argparse setproctitle daemon airflow airflow.utils.cli airflow.utils.memray_utils
    airflow.utils.providers_configuration_loader airflow.jobs.scheduler_job_runner
    airflow.jobs.dag_processor_job_runner airflow.jobs.triggerer_job_runner airflow.dag_processing.manager
    airflow.utils.scheduler_health airflow.sdk.execution_time.supervisor
    httpx httpcore h11 wrapt deprecated concurrent.futures.process multiprocessing.queues
"""
_API_SERVER = """
    uvicorn uvicorn.loops.uvloop uvicorn.lifespan.on uvicorn.protocols.http.httptools_impl
    airflow.api_fastapi.core_api.app airflow.api_fastapi.core_api.routes.ui airflow.api_fastapi.core_api.routes.public
    airflow.api_fastapi.execution_api.app airflow.api_fastapi.execution_api.routes
    airflow.api_fastapi.auth.managers.simple.simple_auth_manager airflow.api_fastapi.execution_api.versions
    airflow.api_fastapi.auth.managers.simple.routes.login airflow.api_fastapi.auth.middlewares.refresh_token
"""
_DATABASE_AND_CELERY = """
    psycopg2 asyncpg sqlalchemy.dialects.postgresql.psycopg2 sqlalchemy.dialects.postgresql.asyncpg redis
    celery celery.app.base celery.bin.worker celery.worker celery.worker.components celery.worker.consumer
    celery.concurrency.prefork celery.backends.redis kombu.transport.redis
"""
MODULES = (_COMPONENTS + _API_SERVER + _DATABASE_AND_CELERY).split()
# If one of these is there afterwards, a setting would stay that of the parent.
NEVER = (
    "airflow.cli.cli_config",
    "airflow.executors.base_executor",
    "airflow.providers.celery.executors.default_celery",
)


class Unfit(Exception):
    """Why nothing can be forked from this process."""


def _relate_models() -> None:
    """What SQLAlchemy finds out of Airflow's models at the first query depends on no setting. Found out here, it costs
    no child 0.3 s of CPU and 21 MB. Raises Unfit: a relation that fails once stays so in every child."""
    models, orm = sys.modules.get("airflow.models"), sys.modules.get("sqlalchemy.orm")
    if models is None or orm is None:
        return
    try:
        models.import_all_models()
        orm.configure_mappers()
    except Exception as error:
        raise Unfit(f"its models do not fit together ({type(error).__name__})") from error


def preload() -> Readings:
    """Import everything; returns what was read in the meantime. Raises Unfit when a fork would not be safe.

    A module that this Airflow does not have is left out: the component imports what it needs.
    """
    readings = Readings()
    gc.disable()
    os.environ["_AIRFLOW__AS_LIBRARY"] = "1"  # Airflow is initialized in the child, with its own settings
    try:
        with readings.recording():
            for name in MODULES:
                try:
                    importlib.import_module(name)
                except ModuleNotFoundError as missing:
                    print(f"warm parent: without {name} ({missing})", flush=True)
            _relate_models()
    finally:
        del os.environ["_AIRFLOW__AS_LIBRARY"]
    readings.variables.pop("_AIRFLOW__AS_LIBRARY", None)
    if "airflow" not in sys.modules:
        raise Unfit("this runtime has no Airflow")
    early = [name for name in NEVER if name in sys.modules]
    if early:
        raise Unfit(f"{early[0]} was imported")
    if threading.active_count() != 1 or len(os.listdir("/proc/self/task")) != 1:
        raise Unfit("an imported module has started a thread")
    return readings
