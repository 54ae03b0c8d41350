"""Variables by which code would run, or a file be read, before or beside Airflow. Pure.

The person who may set a variable may not choose what the processes of a Deployment load: on a console's own machine
that would run code as the console's user, without a DAG and without a trace of one.
"""

import json
import re

_PYTHON = (
    "Python reads it before Airflow starts. Modules beside DAGs and in the plugins folder are found anyway."
)
_LOADER = "The system's loader reads it before Airflow starts. Install libraries with the runtime instead."
_SHELL = "A shell reads it before it does what it was started for. Set what a task needs in the task itself."
_TLS = "OpenSSL loads libraries, or writes keys, by it. Use an Airflow connection with its own TLS settings."
_SERVER = "It would change how Airflow's servers are loaded. There is nothing to set."
_LIBPQ = "It would send Airflow's own connection to another database. Use an Airflow connection in DAGs."

# Sentence -> names. Python: "Environment variables" of its command line documentation, those that name files or modules
# (PYTHONWARNINGS imports the module of a category). The loader: ld.so(8), and what glibc opens by name.
_NAMES: tuple[tuple[str, str], ...] = (
    (
        _PYTHON,
        "PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE PYTHONPLATLIBDIR PYTHONEXECUTABLE PYTHONINSPECT "
        "PYTHONBREAKPOINT PYTHONWARNINGS PYTHONPYCACHEPREFIX PYTHONCASEOK PYTHONSAFEPATH PYTHONNOUSERSITE "
        "PYTHON_PRESITE PYTHONDUMPREFSFILE PYTHONPERFSUPPORT PYTHON_PERF_JIT_SUPPORT __PYVENV_LAUNCHER__",
    ),
    (
        _LOADER,
        "GCONV_PATH LOCPATH NLSPATH GETCONF_DIR GLIBC_TUNABLES MALLOC_TRACE HOSTALIASES RESOLV_HOST_CONF LOCALDOMAIN",
    ),
    (_SHELL, "BASH_ENV BASHOPTS SHELLOPTS PROMPT_COMMAND PS4 IFS"),
    (_TLS, "OPENSSL_CONF OPENSSL_CONF_INCLUDE OPENSSL_ENGINES OPENSSL_MODULES SSLKEYLOGFILE"),
    (_SERVER, "GUNICORN_CMD_ARGS AIRFLOW__API__LOG_CONFIG CELERY_LOADER CELERY_CONFIG_MODULE"),
    (_LIBPQ, "PGHOSTADDR PGSERVICE PGSERVICEFILE PGSYSCONFDIR PGPASSFILE PGSSLKEY PGOPTIONS"),
)
_WHY = {name: why for why, names in _NAMES for name in names.split()}
# Airflow reads an option also from these. Its own documentation: "Setting Configuration Options".
_INDIRECT = re.compile(r"AIRFLOW__\w+?__\w*?(_CMD|_SECRET)")
_INDIRECTLY = {
    "_CMD": "Airflow would run its value as a program. Set the option itself, as a secret variable.",
    "_SECRET": "Airflow would ask a secrets backend for the option. Set the option itself, as a secret variable.",
}
# Options that name a class which Airflow calls with arguments out of a variable. One that runs a program
# would do, so only what is made for the purpose is taken.
_BACKEND = re.compile(r"airflow\.(providers\.[a-z0-9_.]+\.)?secrets\.[a-z0-9_]+\.[A-Z]\w*")
_BUNDLE = re.compile(r"airflow\.(dag_processing|providers\.[a-z0-9_.]+)\.bundles\.[a-z0-9_]+\.[A-Z]\w*")
_BACKEND_NAMES = ("AIRFLOW__SECRETS__BACKEND", "AIRFLOW__WORKERS__SECRETS_BACKEND")
_BUNDLES_NAME = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"


def why_no_name(key: str) -> str:
    """Why no one may set a variable of this name, as a sentence; "" when it loads nothing."""
    if key.startswith("LD_"):
        return _LOADER
    if found := _INDIRECT.fullmatch(key):
        return _INDIRECTLY[found[1]]
    return _WHY.get(key, "")


def why_no_value(key: str, value: str) -> str:
    """Why this option may not name that class, as a sentence; "" for all other variables."""
    if key in _BACKEND_NAMES and value.strip() and not _BACKEND.fullmatch(value.strip()):
        return f"{key} must name a secrets backend of Airflow or of a provider, such as airflow.providers.….secrets.…."
    if key == _BUNDLES_NAME and not _all_bundles(value):
        return (
            f"{key} must be a JSON list whose every classpath is a DAG bundle of Airflow or of a provider, "
            "without any $."
        )
    return ""


def _all_bundles(value: str) -> bool:
    """Without "$", because Airflow replaces variables in the text before it reads it."""
    try:
        bundles = json.loads(value or "[]")
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(bundles, list)
        and "$" not in value
        and all(
            isinstance(each, dict) and _BUNDLE.fullmatch(str(each.get("classpath", ""))) for each in bundles
        )
    )
