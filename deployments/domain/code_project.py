"""A whole project in place of the content of a DAGs folder: dags/, and beside it include/, plugins/ and
requirements.txt. Pure."""

from dataclasses import replace

from deployments.domain.code_manifest import Manifest

DAGS, PLUGINS = "dags/", "plugins/"
BESIDE = (
    "plugins",
    "include",
    "requirements.txt",
)  # what is packed beside dags/, as by `airdeck`


def is_project(manifest: Manifest) -> bool:
    """Whether its DAGs are in a folder dags: there is one, and no Python file beside it. `airflow_bundle` looks at the
    folders in the same way."""
    loose = any("/" not in file.path and file.is_python for file in manifest.files)
    return not loose and any(file.path.startswith(DAGS) for file in manifest.files)


def plugins_of(manifest: Manifest) -> Manifest:
    """The plugins of a project, by their paths in the plugins folder; empty for anything else."""
    if not is_project(manifest):
        return Manifest(())
    mine = [file for file in manifest.files if file.path.startswith(PLUGINS)]
    return Manifest.of(replace(file, path=file.path.removeprefix(PLUGINS)) for file in mine)


def plugins_digest(manifest: Manifest) -> str:
    """The digest of its plugins; "" when it has none. Where it differs, every component of Airflow restarts: plugins
    have no versions."""
    plugins = plugins_of(manifest)
    return plugins.digest if plugins.files else ""
