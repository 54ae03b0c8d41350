"""The template database of a runtime, migrated once per cluster by a Job in Airdeck's own namespace there."""

import secrets as random

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes.api.client import CLUSTER_KINDS, path_of
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.manifests import template_objects
from deployments.dataplane.kubernetes.steps import jobs
from deployments.dataplane.kubernetes.target import Place
from deployments.dataplane.postgres import databases
from deployments.domain.spec import RuntimeSpec

PASSWORD_BYTES = 24


def ensure(place: Place, runtime: RuntimeSpec) -> str:
    """See that the runtime's template database is there. What is waited for; "" once it is. Raises DataPlaneError when
    its migration failed: the next call tries anew."""
    template = databases.template_name(runtime.version)
    if databases.template_exists(place.admin_url, template):
        return ""
    # Two workers must not begin it at once: the second would take the draft from under the first one's Job.
    with databases.connect(place.admin_url) as admin, databases.locked(admin, f"{template} job"):
        if databases.template_exists(place.admin_url, template):
            return ""
        return _advance(place, runtime, template)


def _advance(place: Place, runtime: RuntimeSpec, template: str) -> str:
    *_, job = template_objects(
        runtime, place.settings, place.admin_url
    )  # the URL is not in the Job, nor in its name
    standing = jobs.look(place.api, job)
    said = f"Preparing Airflow {runtime.airflow_version} for this cluster, once."
    if standing.done:
        try:
            databases.finish_template(place.admin_url, template)
        except DataPlaneError:
            jobs.forget(place.api, job, standing)  # of a draft that somebody dropped since: begin anew
            raise
        _remove(place, runtime, standing)
        return ""
    if standing.ending:
        return f"{said} Waiting for an earlier Job to end."
    if standing.failed:
        jobs.forget(place.api, job, standing)
        raise DataPlaneError(
            f"Preparing a database for Airflow {runtime.airflow_version} failed: {standing.sentence}"
        )
    if standing.uid:
        return f"{said} {standing.sentence}"
    url = databases.begin_template(place.admin_url, template, random.token_urlsafe(PASSWORD_BYTES))
    for manifest in template_objects(runtime, place.settings, url):
        place.api.apply(_path(manifest), manifest)
    return said


def _remove(place: Place, runtime: RuntimeSpec, standing: jobs.Standing) -> None:
    """The Job and its Secret have done their work."""
    for manifest in template_objects(runtime, place.settings, place.admin_url):
        if manifest["kind"] == "Job":
            jobs.forget(place.api, manifest, standing)
        elif manifest["kind"] == "Secret" and manifest["type"] == "Opaque":
            place.api.delete(_path(manifest), "the template's Secret")


def _path(manifest: Json) -> str:
    kind, meta = str(manifest["kind"]), manifest["metadata"]
    namespace = "" if kind in CLUSTER_KINDS else str(meta["namespace"])
    return path_of(str(manifest["apiVersion"]), kind, namespace, str(meta["name"]))
