"""Runs in Airflow's own environment, as the scheduler's program does: `component_report.py scheduler ...` is `airflow
scheduler ...` that also writes down, once nothing changes in it any more, all that a setting could have changed."""

import importlib
import json
import logging
import os
import re
import signal
import sys
import threading
import time
import types

SIMPLE = (str, int, float, bool, type(None))
STEADY_SECONDS = 3.0


def main() -> None:
    del sys.path[0]
    sys.argv[0] = "airflow"
    command_line = importlib.import_module("airflow.__main__")
    threading.Thread(target=report_once_steady, daemon=True, name="report").start()
    command_line.main()


def report_once_steady() -> None:
    shape, since = None, time.monotonic()
    while time.monotonic() - since < STEADY_SECONDS:
        now = (
            *(len(sys.modules), len(children()), len(os.listdir("/proc/self/fd")), threading.active_count()),
            int(busy_seconds()),
        )
        if now != shape:
            shape, since = now, time.monotonic()
        time.sleep(0.1)
    document = {name: call() for name, call in PARTS.items()}
    draft = os.environ["REPORT"] + ".draft"
    with open(draft, "w") as file:
        json.dump(document, file, default=repr)
    os.replace(draft, os.environ["REPORT"])


def busy_seconds() -> float:
    """What the main thread ran, and waited for a core: on a busy machine one that imports stands still for seconds."""
    with open("/proc/self/schedstat") as file:
        ran, waited, _ = file.read().split()
    return (int(ran) + int(waited)) / 1e9


def children() -> list[str]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return file.read().split()


def configuration() -> dict:
    from airflow.configuration import conf

    return {section: dict(values) for section, values in conf.as_dict(display_sensitive=True).items()}


def sdk_configuration() -> dict:
    from airflow.sdk.configuration import conf

    return {section: dict(values) for section, values in conf.as_dict(display_sensitive=True).items()}


def logs() -> dict:
    root = logging.getLogger()
    return {
        "level": root.level,
        "handlers": [f"{type(h).__name__} {type(h.formatter).__name__} {h.level}" for h in root.handlers],
        "levels": {
            n: x.level
            for n, x in root.manager.loggerDict.items()
            if isinstance(x, logging.Logger) and x.level
        },
        "disabled": sorted(
            n for n, x in root.manager.loggerDict.items() if isinstance(x, logging.Logger) and x.disabled
        ),
    }


def database() -> dict:
    from airflow import settings

    pool = settings.engine.pool
    return {
        "url": settings.engine.url.render_as_string(False),
        "size": pool.size(),
        "overflow": pool._max_overflow,
    }


def plugins() -> list[str]:
    from airflow import plugins_manager

    found = plugins_manager._get_plugins()[0] if hasattr(plugins_manager, "_get_plugins") else []
    return sorted(str(getattr(plugin, "name", plugin)) for plugin in found)


def secrets_backends() -> list[str]:
    from airflow import configuration as module

    return [type(backend).__name__ for backend in module.ensure_secrets_loaded()]


def arguments() -> dict:
    from airflow.cli import cli_config

    found = {name: arg for name, arg in vars(cli_config).items() if isinstance(arg, cli_config.Arg)}
    return {name: repr(arg.kwargs.get("default")) for name, arg in found.items()}


def open_files() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        # Shared memory of multiprocessing is named after the process and at random.
        found.append(re.sub(r"/pym-.*", "/pym", target.partition(":[")[0]))
    return sorted(found)


def constants() -> dict:
    """Every plain value that a module of Airflow holds: its own, its classes', and the defaults of its functions."""
    found = {}
    for name, module in sorted(sys.modules.items()):
        if module is None or name.partition(".")[0] != "airflow":
            continue
        for key, value in sorted(vars(module).items()):
            if key.startswith("__") or key == "SECRET_KEY":
                continue
            if isinstance(value, SIMPLE):
                found[f"{name}:{key}"] = repr(value)
            elif isinstance(value, type) and value.__module__ == name:
                found |= {f"{name}:{key}.{k}": repr(v) for k, v in vars(value).items() if plain(k, v)}
                for k, v in vars(value).items():
                    if isinstance(v, types.FunctionType):
                        found[f"{name}:{key}.{k}()"] = defaults(v)
            elif isinstance(value, types.FunctionType) and value.__module__ == name:
                found[f"{name}:{key}()"] = defaults(value)
    return found


def plain(key: str, value: object) -> bool:
    return isinstance(value, SIMPLE) and not key.startswith("__") and key != "_abc_impl"


def defaults(function: types.FunctionType) -> str:
    values = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return repr([value for value in values if isinstance(value, SIMPLE)])


def memory_holds(text: str) -> int:
    return sum(text in value for value in constants().values())


PARTS = {
    "configuration": configuration,
    "sdk configuration": sdk_configuration,
    "environment": lambda: dict(os.environ),
    "search path": lambda: sys.path,
    "argv": lambda: [sys.argv, sys.orig_argv, sys.executable],
    "logs": logs,
    "database": database,
    "plugins": plugins,
    "secrets backends": secrets_backends,
    "arguments": arguments,
    "open files": open_files,
    "threads": lambda: sorted(t.name.split("-")[0] for t in threading.enumerate()),
    "children": lambda: len(children()),
    "signals": lambda: {
        s.name: getattr(signal.getsignal(s), "__name__", str(signal.getsignal(s))) for s in signal.Signals
    },
    "process": lambda: [
        os.nice(0),
        os.getcwd(),
        os.umask(0o077),
        os.getpgrp() == os.getpid(),
        sys.flags.isolated,
    ],
    "constants": constants,
}

if __name__ == "__main__":
    main()
