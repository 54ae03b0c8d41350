"""In the forked child: Airflow as it would be had it been imported with this program's own settings.

First `check`: did anything that the parent imported read a setting or a variable that is another one here? A module
that cannot be given again what it read (`_RULES`) is a reason to start cold: rather slow than wrong. Then `take`:
Airflow's configuration is made again, in the very objects that other modules hold, and Airflow is initialized as its
`__init__` would have done it.
"""

import os
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import all_suffixes
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from deployments.dataplane.local.warm.recording import Readings

# The interpreter or a library's C code reads these when it starts; no reading of them can be seen.
EARLY = (
    "PYTHON",
    "LD_",
    "MALLOC_",
    "GLIBC_",
    "OPENSSL",
    "GRPC_",
    "FSSPEC_",
    "LC_",
    "LANG",
    "TZ",
    "RUST_",
    "_AIRFLOW",
    "SPT_",
)
PATH_VARIABLE = "PYTHONPATH"
# Airflow's own modules read these again in `take`.
TAKEN = frozenset({"AIRFLOW_HOME", "AIRFLOW_CONFIG"})
# Folders that modules keep in variables of theirs; the parent has some of its own, so these can be set.
FOLDERS = ("HOME", "TMPDIR")
CONFIGURATION, SETTINGS, SDK_CONFIGURATION = (
    "airflow.configuration",
    "airflow.settings",
    "airflow.sdk.configuration",
)
LOCAL_SETTINGS = "airflow_local_settings"


class Cold(Exception):
    """Why this program must start cold, as a part of a sentence. Names of settings, never values."""


def check_environment(readings: Readings, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raises Cold when a variable that was read too early to be handed over differs."""
    for name in {*before, *now}:
        if name.startswith(EARLY) and name != PATH_VARIABLE and before.get(name) != now.get(name):
            raise Cold(f"{name} is set otherwise")
    for name, given in readings.variables.items():
        if name.startswith(("AIRFLOW__", "AIRDECK_")) or name in TAKEN:
            continue  # Airflow reads these through its configuration, which is looked at; nothing reads ours
        if name in FOLDERS and given and now.get(name):
            continue  # `move_folders`
        if now.get(name) != given and not name.startswith(EARLY):
            raise Cold(f"{name} is set otherwise")


def move_folders(readings: Readings) -> None:
    """With this program's environment in place: modules that keep a folder below the parent's HOME or TMPDIR keep the
    one below ours. Raises Cold when there is something to read that is only read at import."""
    moved = {name: given for name in FOLDERS if (given := readings.variables.get(name))}
    if "HOME" in moved and os.path.isdir(os.path.expanduser("~/.config/fsspec")):
        raise Cold("there is a configuration of fsspec")
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None) or {}
        for key, value in list(names.items()):
            if not isinstance(value, str | Path):
                continue
            for name, before in moved.items():
                if str(value) == before or str(value).startswith(f"{before}/"):
                    names[key] = type(value)(os.environ[name] + str(value).removeprefix(before))


def search_path(
    argv: Sequence[str], cwd: str, environment: Mapping[str, str], plain: Sequence[str]
) -> list[str]:
    """What `sys.path` is in a cold start of `argv`; `plain` is what site makes of no PYTHONPATH, without its first
    entry.

    Raises Cold when something there would be found before a module that is loaded already.
    """
    first = cwd if argv[1] == "-m" else os.path.dirname(os.path.realpath(argv[1]))
    added = (
        [part or cwd for part in environment.get(PATH_VARIABLE, "").split(os.pathsep)]
        if environment.get(PATH_VARIABLE)
        else []
    )
    loaded = {name.partition(".")[0] for name in sys.modules} | {
        "sitecustomize",
        "usercustomize",
        LOCAL_SETTINGS,
    }
    for folder in [first, *added]:
        for name in _importable(folder):
            # A script's own folder is taken out of the path again before anything is imported (airflow_component.py).
            if name in loaded and not (folder == first and argv[1] != "-m"):
                raise Cold(f"{folder} holds a module {name}")
            if name.endswith((".dist-info", ".egg-info")) or name == "airflow":
                raise Cold(f"{folder} holds packages")
    return [first, *added, *plain]


def _importable(folder: str) -> set[str]:
    """Names that an import could find in a folder, and the folders of packages' metadata."""
    try:
        entries = os.listdir(folder)
    except OSError:
        return set()
    suffixes = tuple(all_suffixes())
    found = {entry for entry in entries if entry.endswith((".dist-info", ".egg-info"))}
    for entry in entries:
        suffix = next((suffix for suffix in suffixes if entry.endswith(suffix)), None)
        if suffix is not None:
            found.add(entry.removesuffix(suffix))
        elif entry.isidentifier() and Path(folder, entry).is_dir():
            found.add(entry)
    return found


def check_settings(readings: Readings) -> None:
    """With this program's environment in place: make the configuration again, hand over what was read, and raise Cold
    for what cannot be handed over."""
    configuration = sys.modules[CONFIGURATION]
    _renew(configuration)
    sdk = sys.modules.get(SDK_CONFIGURATION)
    if sdk is not None and "conf" in vars(sdk):
        vars(sdk)["conf"].__dict__ = sdk.initialize_config().__dict__
    for reading in readings.settings:
        if reading.module == CONFIGURATION and reading.setting != "core.unit_test_mode":
            continue  # that module does all of it again
        holder = sdk if reading.sdk else configuration
        now = reading.read_again(vars(holder)["conf"]) if holder is not None else None
        if now == reading.given:
            continue
        rule = _RULES.get((reading.module, reading.setting))
        if rule is None or not rule(reading.given, now):
            raise Cold(f"{reading.setting} is set otherwise")
    if configuration.conf.get("logging", "logging_config_class", fallback=""):
        # It may silence every logger that there is by then, and there are more than in a cold start.
        raise Cold("logging.logging_config_class is set")
    if _has_local_settings(configuration):
        raise Cold(f"there is a module {LOCAL_SETTINGS}")


def _renew(configuration: ModuleType) -> None:
    """What `airflow.configuration` does when it is imported, up to its secrets backends. Other modules hold its
    `conf` and its AIRFLOW_HOME, so the former stays the same object and the latter is replaced wherever it is."""
    before = configuration.AIRFLOW_HOME
    home = configuration.get_airflow_home()
    own = vars(configuration)
    own["AIRFLOW_CONFIG"] = configuration.get_airflow_config(home)
    own["SECRET_KEY"] = b64encode(os.urandom(16)).decode()
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if (
            names
            and names.get("AIRFLOW_HOME") == before
            and str(names.get("__name__", "")).startswith("airflow")
        ):
            names["AIRFLOW_HOME"] = home
    for name in ("TEST_DAGS_FOLDER", "TEST_PLUGINS_FOLDER"):
        value = str(own.get(name, ""))
        if value.startswith(before):
            own[name] = home + value.removeprefix(before)
    configuration.conf.__dict__ = configuration.initialize_config().__dict__


def _everywhere(name: str, before: str, now: str) -> None:
    """Modules of Airflow that imported the name hold its value each."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if (
            names
            and names.get(name) == before
            and str(names.get("__name__", "")).partition(".")[0] == "airflow"
        ):
            names[name] = now


def _has_local_settings(configuration: ModuleType) -> bool:
    """Whether a module of the Deployment would change Airflow before most of it is imported."""
    conf, home = configuration.conf, configuration.AIRFLOW_HOME
    plugins = conf.get("core", "plugins_folder", fallback=os.path.join(home, "plugins"))
    late = [os.path.join(home, "config"), plugins]
    found = find_spec(LOCAL_SETTINGS) if LOCAL_SETTINGS not in sys.modules else True
    return bool(found) or any(LOCAL_SETTINGS in _importable(folder) for folder in late)


def begin() -> None:
    """The rest of what `import airflow` does, from the Deployment's secrets backends on. Runs what people wrote, so
    what it raises is theirs, as in a cold start."""
    configuration, settings = sys.modules[CONFIGURATION], sys.modules[SETTINGS]
    vars(configuration)["secrets_backend_list"] = configuration.initialize_secrets_backends()
    configuration.conf.validate()
    folder = configuration.conf.get_mandatory_value("core", "DAGS_FOLDER")
    _everywhere("DAGS_FOLDER", settings.DAGS_FOLDER, os.path.expanduser(folder))
    settings.initialize()


def _same_dialect(given: Any, now: Any) -> bool:
    return str(given).partition(":")[0] == str(now).partition(":")[0]


def _asset_connection(_given: Any, now: Any) -> bool:
    sys.modules["airflow.sdk.definitions.asset"].__dict__["SQL_ALCHEMY_CONN"] = now
    return True


def _base_url(_given: Any, now: Any) -> bool:
    """Routes hold its path: they stay right for an address without one."""
    if urlsplit(str(now)).path not in ("", "/"):
        return False
    sys.modules["airflow.api_fastapi.app"].__dict__["API_BASE_URL"] = str(now).removesuffix("/") + "/"
    return True


def _bundle_storage(_given: Any, _now: Any) -> bool:
    """One folder is made of it when the module is imported; everything else asks each time."""
    bundles = sys.modules["airflow.dag_processing.bundles.base"]
    name = "STALE_BUNDLE_TRACKING_FOLDER"
    before, now = vars(bundles)[name], bundles.get_bundle_storage_root_path() / "_tracking"
    for module in list(sys.modules.values()):
        if (names := getattr(module, "__dict__", None)) and names.get(name) == before:
            names[name] = now
    return True


# What may differ from what the parent has read: whether it is handed over now.
_RULES: Mapping[tuple[str, str], Callable[[Any, Any], bool]] = {
    (SETTINGS, "core.dags_folder"): lambda _given, _now: True,  # `begin`
    ("airflow.models.base", "database.sql_alchemy_conn"): _same_dialect,  # it looks whether it is MySQL's
    ("airflow.sdk.definitions.asset", "database.sql_alchemy_conn"): _asset_connection,
    ("airflow.api_fastapi.app", "api.base_url"): _base_url,
    ("airflow.dag_processing.bundles.base", "dag_processor.dag_bundle_storage_path"): _bundle_storage,
}
