"""Every manifest as it is sent, kept in files, and held strictly to the schemas of Kubernetes.

The files of the newest Airflow are whole; those of the others say in which lines they differ from it. After a change
that is meant: `UPDATE_GOLDEN=1 pytest deployments/tests/kubernetes/test_manifests_golden.py`, and read the difference.
"""

import difflib
import functools
import os
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate.utils as schemas
import pytest
import yaml
from referencing import Registry, Resource

from deployments.dataplane.kubernetes import names
from deployments.domain.states import Executor
from deployments.tests.dataplane.kubernetes import samples

GOLDEN = Path(__file__).with_name("golden")
NEWEST = "3.3"
OWN_IMAGE = "registry.example/team/airflow@sha256:" + "ab" * 32
OLDEST_CLUSTER, NEWEST_CLUSTER = "1.31.0", "1.37.0"
WITHOUT_SCHEMA = {"ScaledObject", "TriggerAuthentication"}  # KEDA's own kinds; their form is tested by hand


class Dumper(yaml.CSafeDumper):
    """Texts of several lines as blocks, so that a difference in one line is one line."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _text(dumper: yaml.Dumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


Dumper.add_representer(str, _text)


def _yaml(minor: str, executor: Executor, shape: str) -> str:
    objects = [_short(each) for each in samples.documents(samples.inputs(executor, shape, minor))]
    return yaml.dump_all(objects, Dumper=Dumper, sort_keys=False, width=200)


def _short(found: Any) -> Any:
    """Programs are left out: they are files of their own, and copied as they stand."""
    if (found["kind"], found["metadata"]["name"]) != ("ConfigMap", names.FILES):
        return found
    programs = {name: f"the file {name}" for name in found["data"] if name.endswith(".py")}
    return {**found, "data": {**found["data"], **programs}}


def _difference(newest: str, other: str) -> str:
    """Each changed line once, with how often it changed: where it stands is for the whole file to say."""
    lines = difflib.unified_diff(newest.splitlines(), other.splitlines(), n=0, lineterm="")
    changed = Counter(line for line in lines if not line.startswith(("---", "+++", "@@")))
    return "".join(f"{count:3} {line[0]} {line[1:].strip()}\n" for line, count in sorted(changed.items()))


@pytest.mark.parametrize("shape", samples.SHAPES)
@pytest.mark.parametrize("executor", Executor)
@pytest.mark.parametrize("minor", samples.AIRFLOWS)
def test_the_manifests_are_those_in_the_files(minor, executor, shape):
    newest = _yaml(NEWEST, executor, shape)
    file = GOLDEN / f"{NEWEST}-{executor}-{shape}.yaml"
    if minor != NEWEST:
        newest = _difference(newest, _yaml(minor, executor, shape))
        file = GOLDEN / f"{minor}-{executor}-{shape}.diff"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.parent.mkdir(exist_ok=True)
        file.write_text(newest)
    assert newest == file.read_text()


def _same(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.write_text(text)
    assert text == file.read_text()


def test_the_job_that_looks_at_an_image_is_that_in_the_file():
    job = samples.image_job()
    containers = job["spec"]["template"]["spec"]["containers"]
    containers[0]["command"][2] = "the file image_check.py"
    _same("image-check.yaml", yaml.dump(job, Dumper=Dumper, sort_keys=False, width=200))


def test_an_image_of_its_own_changes_what_the_file_says():
    own = samples.inputs(Executor.CELERY, "smallest", image=OWN_IMAGE)
    found = yaml.dump_all(
        [_short(each) for each in samples.documents(own)], Dumper=Dumper, sort_keys=False, width=200
    )
    _same("own-image.diff", _difference(_yaml(NEWEST, Executor.CELERY, "smallest"), found))


def test_there_is_no_file_that_no_test_reads():
    expected = {
        f"{minor}-{executor}-{shape}.{'yaml' if minor == NEWEST else 'diff'}"
        for minor in samples.AIRFLOWS
        for executor in Executor
        for shape in samples.SHAPES
    }
    expected |= {"image-check.yaml", "own-image.diff"}
    assert {file.name for file in GOLDEN.iterdir()} == expected


@functools.cache
def _validator(cluster: str, kind: str, api_version: str) -> jsonschema.Draft202012Validator:
    group, _, version = api_version.rpartition("/")
    folder = f"kubernetes-json-schema/v{cluster}-local-strict"
    file = f"{folder}/{kind.lower()}-{group.partition('.')[0]}{'-' if group else ''}{version}.json"
    schema = schemas.schema_contents(file, cluster)
    return jsonschema.Draft202012Validator(schema, registry=_definitions(folder, cluster))


@functools.cache
def _definitions(folder: str, cluster: str) -> Registry:
    """Read once: the package itself reads these megabytes for each object."""
    return (
        Resource.from_contents(schemas.schema_contents(f"{folder}/_definitions.json", cluster)) @ Registry()
    )


def _check(cluster: str, document: dict[str, Any]) -> None:
    if document["kind"] not in WITHOUT_SCHEMA:
        _validator(cluster, document["kind"], document["apiVersion"]).validate(document)


@pytest.mark.parametrize("cluster", [OLDEST_CLUSTER, NEWEST_CLUSTER])
def test_every_object_meets_the_schema_of_its_kind_strictly(cluster):
    checked = set()
    for _, asked in samples.every(minors=(NEWEST,)):
        for document in (*samples.documents(asked), *samples.templates(asked)):
            key = repr(document)
            if key not in checked:
                _check(cluster, document)
                checked.add(key)
    _check(cluster, samples.image_job())
    assert len(checked) > 100


def test_the_schemas_refuse_what_is_wrong():
    deployment = samples.lasting(samples.inputs())["Deployment", "scheduler"]
    deployment["spec"]["template"]["spec"]["containers"][0]["argz"] = []
    with pytest.raises(jsonschema.ValidationError, match="argz"):
        _check(NEWEST_CLUSTER, deployment)
