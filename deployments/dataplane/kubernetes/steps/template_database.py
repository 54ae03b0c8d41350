"""The template database of a runtime, migrated once per cluster by a Job in Airdeck's own namespace there."""

import secrets as random

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes.api.client import CLUSTER_KINDS, path_of
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.manifests import template_objects
from deployments.dataplane.kubernetes.steps import jobs
from deployments.dataplane.kubernetes.target import Target
from deployments.dataplane.postgres import databases
from deployments.domain.spec import RuntimeSpec

PASSWORD_BYTES = 24


def ensure(target: Target, runtime: RuntimeSpec) -> str:
    """See that the runtime's template database is there. What is waited for; "" once it is. Raises DataPlaneError when
    its migration failed: the next call tries anew."""
    template = databases.template_name(runtime.version)
    if databases.template_exists(target.admin_url, template):
        return ""
    # Two workers must not begin it at once: the second would take the draft from under the first one's Job.
    with databases.connect(target.admin_url) as admin, databases.locked(admin, f"{template} job"):
        if databases.template_exists(target.admin_url, template):
            return ""
        return _advance(target, runtime, template)


def _advance(target: Target, runtime: RuntimeSpec, template: str) -> str:
    *_, job = template_objects(
        runtime, target.settings, target.admin_url
    )  # the URL is not in the Job, nor in its name
    standing = jobs.look(target.api, job)
    message = f"Preparing Airflow {runtime.airflow_version} for this cluster, once."
    if standing.done:
        try:
            databases.finish_template(target.admin_url, template)
        except DataPlaneError:
            jobs.forget(target.api, job, standing)  # of a draft that somebody dropped since: begin anew
            raise
        _remove(target, runtime, standing)
        return ""
    if standing.ending:
        return f"{message} Waiting for an earlier Job to end."
    if standing.failed:
        jobs.forget(target.api, job, standing)
        raise DataPlaneError(
            f"Preparing a database for Airflow {runtime.airflow_version} failed: {standing.sentence}"
        )
    if standing.uid:
        return f"{message} {standing.sentence}"
    url = databases.begin_template(target.admin_url, template, random.token_urlsafe(PASSWORD_BYTES))
    for manifest in template_objects(runtime, target.settings, url):
        target.api.apply(_path(manifest), manifest)
    return message


def _remove(target: Target, runtime: RuntimeSpec, standing: jobs.Standing) -> None:
    """The Job and its Secret have done their work."""
    for manifest in template_objects(runtime, target.settings, target.admin_url):
        if manifest["kind"] == "Job":
            jobs.forget(target.api, manifest, standing)
        elif manifest["kind"] == "Secret" and manifest["type"] == "Opaque":
            target.api.delete(_path(manifest), "the template's Secret")


def _path(manifest: Json) -> str:
    kind, meta = str(manifest["kind"]), manifest["metadata"]
    namespace = "" if kind in CLUSTER_KINDS else str(meta["namespace"])
    return path_of(str(manifest["apiVersion"]), kind, namespace, str(meta["name"]))
