"""A runtime in which Airflow is played by a few lines, so that how programs are started can be tested in a second:
the real supervisord, launcher and warm parent, an interpreter of its own, and an `airflow` that reads settings as the
real one does."""

import os
import sys
from pathlib import Path

from deployments.dataplane.local.state_dir import StateDir

FILES = {
    "airflow/__init__.py": """
import os
from airflow import configuration, settings
if not os.environ.get("_AIRFLOW__AS_LIBRARY"):
    settings.initialize()
""",
    "airflow/_shared/__init__.py": "",
    "airflow/_shared/configuration/__init__.py": "",
    "airflow/_shared/configuration/parser.py": """
import os
class AirflowConfigParser:
    def __init__(self):
        self.made_in = os.getpid()
    def get(self, section, key, fallback=None):
        return os.environ.get(f"AIRFLOW__{section}__{key}".upper(), fallback)
    def has_option(self, section, key):
        return self.get(section, key) is not None
    def get_mandatory_value(self, section, key):
        return self.get(section, key, "nothing")
    def validate(self):
        pass
""",
    "airflow/configuration.py": """
import multiprocessing.process, os, random
from airflow._shared.configuration.parser import AirflowConfigParser
def get_airflow_home():
    return os.environ.get("AIRFLOW_HOME", "nowhere")
def get_airflow_config(home):
    return home + "/airflow.cfg"
def initialize_config():
    return AirflowConfigParser()
def initialize_secrets_backends():
    return []
AIRFLOW_HOME = get_airflow_home()
AIRFLOW_CONFIG = get_airflow_config(AIRFLOW_HOME)
SECRET_KEY = os.urandom(8).hex()
conf = initialize_config()
secrets_backend_list = initialize_secrets_backends()
""",
    "airflow/settings.py": """
from airflow.configuration import AIRFLOW_HOME, conf
DAGS_FOLDER = conf.get_mandatory_value("core", "DAGS_FOLDER")
INITIALIZED = []
def initialize():
    INITIALIZED.append(conf.get("core", "fernet_key"))
""",
    "airflow/utils/__init__.py": "",
    "airflow/utils/cli.py": """
import os
from airflow.configuration import conf
EARLY = conf.get("core", "early", "nothing")
LIMIT = os.environ.get("EARLY_LIMIT")
""",
    "airflow/__main__.py": """
import gc, json, multiprocessing.process, os, random, sys, threading, time
from airflow import configuration, settings
from airflow.utils import cli
what = sys.argv[1]
gc.unfreeze()  # as Airflow's executors do
print("said by", what, flush=True)
if what == "report":
    print(json.dumps({
        "pid": os.getpid(), "parent": os.getppid(), "group": os.getpgrp(), "nice": os.nice(0), "argv": sys.argv,
        "environment": dict(os.environ), "path": sys.path, "executable": sys.executable, "cwd": os.getcwd(),
        "open": sorted(int(name) for name in os.listdir("/proc/self/fd")), "threads": threading.active_count(),
        "home": settings.AIRFLOW_HOME, "dags": settings.DAGS_FOLDER, "initialized": settings.INITIALIZED,
        "early": cli.EARLY, "made_in": configuration.conf.made_in, "secret": configuration.SECRET_KEY,
        "drawn": [multiprocessing.process.current_process().authkey.hex(), random.random()],
        "ours": [name for name in sys.modules if name.startswith("deployments")], "umask": os.umask(0o077),
        "frozen": gc.get_freeze_count(),
    }), flush=True)
    time.sleep(1000)
elif what == "sleep":
    time.sleep(1000)
sys.exit(int(what))
""",
}


def make(state: StateDir, version: str) -> Path:
    """Make the runtime in the state folder; returns its interpreter."""
    environment = state.runtime(version) / "env-played"
    packages = environment / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for name, text in FILES.items():
        file = packages / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (environment / "bin").mkdir()
    real = Path(os.path.realpath(sys.executable))
    (environment / "bin" / "python").symlink_to(real)
    (environment / "pyvenv.cfg").write_text(f"home = {real.parent}\ninclude-system-site-packages = false\n")
    (environment.parent / "current").symlink_to(environment.name)
    return environment.parent / "current" / "bin" / "python"
