"""Looking at an image of a Deployment's own by a Job: what its pod's status comes to, in words, and what is left."""

import base64
import json
from dataclasses import replace

import pytest

from deployments.dataplane.images import ImageLook, ImageRefused, ImageWish
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.dataplane.kubernetes.manifests import image_check
from deployments.dataplane.kubernetes.steps import image_check as steps
from deployments.dataplane.postgres import airflow_metadata
from deployments.domain.spec import RuntimeSpec
from deployments.tests.dataplane.contract import CANARIES, converge
from deployments.tests.dataplane.kubernetes import samples
from deployments.tests.dataplane.kubernetes.kubelet import DIGEST, looked_at
from deployments.tests.dataplane.kubernetes.pod_security import findings
from deployments.tests.dataplane.kubernetes.words import api, changed, get, objects

IMAGE = "registry.example/team/airflow:1"
PINNED = f"registry.example/team/airflow@{DIGEST}"
LOGIN = '{"auths": {"registry.example": {"auth": "Y2FuYXJ5"}}}'


def wish(key: str, reference: str = IMAGE, **secrets: str) -> ImageWish:
    return ImageWish(key, reference, RuntimeSpec("3.3-1", "3.3.2"), replace(CANARIES, **secrets))


def shows(harness, *status: dict, image: str = IMAGE) -> None:
    """What the kubelet says from now on of a pod that looks at this image; nothing for one that fits."""
    harness.kubelet.images = {image: status[0]} if status else {}
    harness.kubelet._done = (0.0, None)  # nothing in the cluster changed


@pytest.fixture(autouse=True)
def _fits(harness):
    """Every image fits until a test says otherwise."""
    shows(harness)


def looked(harness, case, asked: ImageWish, tries: int = 8) -> ImageLook:
    """Until it is known."""
    for _ in range(tries):
        found = harness.new_driver().images(case.ref).look(asked)
        if found.pinned:
            return found
        assert found.waiting.endswith(".")
    raise AssertionError(found)


def refused(harness, case, key: str, status: dict, monkeypatch, *, reference: str = IMAGE) -> str:
    """Why an image whose pod gets this status is refused."""
    shows(harness, status, image=reference)
    monkeypatch.setattr(steps, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(ImageRefused) as caught:
        looked(harness, case, wish(key, reference))
    return str(caught.value)


def waits(reason: str, message: str, *, init: bool = False) -> dict:
    status = {"name": "version" if init else "imports", "image": IMAGE, "restartCount": 0, "ready": False}
    status["state"] = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "initContainerStatuses" if init else "containerStatuses": [status]}


def ends(code: int, message: str, *, reason: str = "Error", init: bool = True) -> dict:
    status = {"name": "version" if init else "imports", "image": IMAGE, "restartCount": 0, "ready": False}
    status["state"] = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    return {"phase": "Failed", "initContainerStatuses" if init else "containerStatuses": [status]}


def test_a_tag_becomes_a_digest_once_and_nothing_that_runs_changes(harness, case):
    before = harness.new_driver().observe(case.ref)
    assert looked(harness, case, wish("a")) == ImageLook(PINNED, "3.3.2", "3.12.7")
    shows(harness, looked_at("3.1.8"))  # the tag moved: this wish was answered
    assert looked(harness, case, wish("a")).pinned == PINNED
    after = harness.new_driver().observe(case.ref)
    assert (after.digest, after.components, after.drifted) == (before.digest, before.components, False)
    harness.new_driver().images(case.ref).forget()
    harness.new_driver()
    left = objects(harness, case)
    assert not [one for one in left if one[0] in ("jobs", "pods") and one[1].startswith("image-check")]
    harness.new_driver().images(case.ref).forget()  # already gone


def test_a_name_with_a_digest_is_that_image_whatever_a_node_says(harness, case):
    other = "sha256:" + "cd" * 32
    found = looked(harness, case, wish("digest", f"{IMAGE}@{other}"))
    assert found.pinned == f"registry.example/team/airflow@{other}"


def test_another_wish_ends_the_look_before(harness, case):
    shows(harness, {"phase": "Pending"})
    harness.new_driver().images(case.ref).look(wish("one"))
    other = "registry.example/team/other:1"
    looked(harness, case, wish("two", other))
    jobs = [each for each in objects(harness, case) if each[0] == "jobs" and "image-check" in each[1]]
    assert jobs == [("jobs", names.image_check("two"))]


def test_it_is_pulled_with_the_login_of_its_registry_and_nothing_else_is_in_its_pod(harness, case):
    looked(harness, case, wish("login", registry_login=LOGIN))
    secret = get(harness, case, ("v1", "Secret", names.OWN_REGISTRY))
    assert base64.b64decode(secret["data"][".dockerconfigjson"]).decode() == LOGIN
    job = get(harness, case, ("batch/v1", "Job", names.image_check("login")))
    text = json.dumps(job)
    assert not [
        value for value in vars(CANARIES).values() if isinstance(value, str) and value and value in text
    ]
    pod = job["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"][-1] == {"name": names.OWN_REGISTRY}
    assert pod["automountServiceAccountToken"] is False
    assert "secret" not in json.dumps(pod["volumes"])


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            waits("ErrImagePull", f"{IMAGE}: not found"),
            "the registry has no such image. Check the image and the tag.",
        ),
        (
            waits("ImagePullBackOff", "pull access denied", init=True),
            "the registry denies access. Enter a login for this registry on the page Image",
        ),
        (waits("InvalidImageName", "no", init=True), "that is not a valid name of an image."),
        (
            waits("CreateContainerError", "exec: airflow: not found", init=True),
            "cannot be started as user 50000: exec: airflow: not found. Build it on apache/airflow:3.3.2",
        ),
        (
            ends(126, "line one\nPermission denied: '/opt/app/x.py'"),
            "As user 50000 “airflow version” does not run in this image: Permission denied: '/opt/app/x.py'.",
        ),
        (ends(1, "", init=False), "“Python” does not run in this image: exit 1."),
        (ends(137, "", reason="OOMKilled"), "takes more than 0.75 GiB."),
        (looked_at("3.2.2"), "This image has Airflow 3.2.2, and runtime 3.3-1 is Airflow 3.3.2."),
        (looked_at("2.11.0"), "or upgrade the runtime first."),
        (
            looked_at(problem="airdeck_logging.py of Airdeck cannot be imported: ImportError: x"),
            "cannot be imported: ImportError: x. Build the image on apache/airflow:3.3.2.",
        ),
        (looked_at(image_id="sha256:" + "a" * 64), "Push it to a registry."),
        ({**looked_at(), "containerStatuses": []}, "does not say what was found"),
    ],
)
def test_an_image_that_does_not_fit_is_refused_in_words(harness, case, monkeypatch, status, words):
    key = str(abs(hash(words)))
    assert words in refused(harness, case, key, status, monkeypatch)
    harness.new_driver().images(case.ref).forget()


def test_a_patch_release_with_other_tables_is_refused_and_one_with_the_same_is_taken(
    harness, case, monkeypatch
):
    monkeypatch.setattr(airflow_metadata, "revision", lambda url, name: "aaa111")
    shows(harness, looked_at("3.3.1", head="aaa111"))
    assert looked(harness, case, wish("same tables")).airflow == "3.3.1"
    words = refused(harness, case, "other tables", looked_at("3.3.1", head="bbb222"), monkeypatch)
    assert "other tables than that of 3.3.2. Build the image on apache/airflow:3.3.2." in words


def test_a_registry_that_does_not_answer_at_first_is_waited_for(harness, case):
    shows(harness, waits("ErrImagePull", "dial tcp: i/o timeout"))
    for _ in range(3):
        assert (
            harness.new_driver()
            .images(case.ref)
            .look(wish("slow"))
            .waiting.startswith("Pulling registry.example")
        )
    shows(harness)
    assert looked(harness, case, wish("slow")).pinned == PINNED


def test_a_look_that_does_not_end_is_given_up_with_what_to_do(harness, case):
    shows(harness, {"phase": "Pending"})
    harness.new_driver().images(case.ref).look(wish("long"))
    path = path_of("batch/v1", "Job", harness.namespace(case), names.image_check("long"))
    failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too long"}
    api(harness).merge(
        path + "/status", {"status": {"conditions": [failed]}}, "it", "kube-controller-manager"
    )
    with pytest.raises(ImageRefused, match="did not end within 10 min"):
        harness.bare_driver().images(case.ref).look(wish("long"))
    harness.new_driver().images(case.ref).forget()


def test_components_run_the_image_by_its_digest_and_the_code_server_never_does(harness, case):
    own = changed(case, image=PINNED)
    own = replace(own, secrets=replace(own.secrets, registry_login=LOGIN))
    try:
        converge(harness, own)
        for name in ("api-server", "scheduler", "dag-processor", "triggerer", "worker-default"):
            spec = get(harness, case, ("apps/v1", "Deployment", name))["spec"]["template"]["spec"]
            assert spec["containers"][0]["image"] == PINNED
            assert {"name": names.OWN_REGISTRY} in spec["imagePullSecrets"]
        server = get(harness, case, ("apps/v1", "Deployment", "code-server"))["spec"]["template"]["spec"]
        assert server["containers"][0]["image"] == "apache/airflow:3.3.2"
        assert "imagePullSecrets" not in server
        again = replace(own, secrets=replace(own.secrets, registry_login=""))
        before = get(harness, case, ("apps/v1", "Deployment", "scheduler"))["metadata"]["generation"]
        converge(harness, replace(again, release=replace(again.release, registry_mark="x")))
        after = get(harness, case, ("apps/v1", "Deployment", "scheduler"))["metadata"]["generation"]
        assert before == after  # another login restarts nothing
    finally:
        converge(harness, case)
    assert ("secrets", names.OWN_REGISTRY) not in objects(harness, case)


def test_the_pod_that_looks_meets_the_restricted_standard_and_no_policy_lets_it_anywhere():
    asked = samples.inputs(image=PINNED)
    meta = {"name": "x", "namespace": "y", "labels": names.labels(asked.ref, names.IMAGE_CHECK)}
    spec = image_check.job(meta, asked.settings, IMAGE)["spec"]["template"]["spec"]
    assert findings(spec) == []
    chosen = [
        each["metadata"]["name"]
        for each in samples.documents(asked)
        if each["kind"] == "NetworkPolicy"
        and each["spec"]["podSelector"].get("matchLabels", {}).items() <= meta["labels"].items()
    ]
    assert sorted(chosen) == ["default-deny", "dns"]
