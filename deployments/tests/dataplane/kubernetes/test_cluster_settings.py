"""What an operator may say about a cluster, and what things are called in it."""

import json

import pytest

from deployments.dataplane.contract import Ref
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.rbac import rules as permissions
from deployments.domain.names import ADJECTIVES, NOUNS
from deployments.tests.dataplane.kubernetes import samples


def test_nothing_said_is_a_cluster_without_a_domain():
    settings = ClusterSettings.of({})
    assert settings == ClusterSettings()
    assert (settings.ingress_domain, settings.keda, settings.worker_grace) == ("", False, 600)


def test_everything_said_is_read():
    settings = ClusterSettings.of(samples.RICH)
    assert settings.keda
    assert settings.egress_cidrs == ("10.20.0.0/16", "10.21.0.0/16")
    assert settings.ingress_annotations == {"nginx.ingress.kubernetes.io/proxy-body-size": "8m"}
    assert settings.pull_secret_document == samples.REGISTRY
    assert settings.pull_secret_name == names.REGISTRY


def bucket(**changes: object) -> str:
    return json.dumps({**json.loads(samples.BUCKET), **changes})


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("ingress_domain", "Airflow.Example", "lower case"),
        ("ingress_domain", "a..b", "domain"),
        ("ingress_domain", "example.com/path", "domain"),
        ("ingress_class", "NGINX", "IngressClass"),
        ("ingress_annotations", "a=b", "JSON"),
        ("ingress_annotations", '{"a": 1}', "JSON"),
        ("namespace_prefix", "1a-", "lower case letters"),
        ("namespace_prefix", "a" * 21, "20 characters"),
        ("image_prefix", "mirror.example/x y", "registry"),
        ("image_pull_secret", '{"no": "auths"}', "dockerconfigjson"),
        ("image_pull_secret", "{not json", "dockerconfigjson"),
        ("image_pull_secret", "Not A Name", "dockerconfigjson"),
        ("log_bucket", "{not json", "JSON object"),
        ("log_bucket", '"x"', "JSON object"),
        ("log_bucket", '{"url": "https://s3.example/b"}', "JSON object"),
        ("log_bucket", bucket(secret_key=3), "JSON object"),
        ("log_bucket", bucket(more="x"), "JSON object"),
        ("log_bucket", bucket(url="s3://b"), "https://HOST/BUCKET"),
        ("log_bucket", bucket(url="https://s3.example/"), "https://HOST/BUCKET"),
        ("log_bucket", bucket(url="https://a:b@s3.example/b"), "https://HOST/BUCKET"),
        ("log_bucket", bucket(url="https://s3.example/b?x=y"), "https://HOST/BUCKET"),
        ("log_bucket", bucket(url="https://s3.example:99999/b"), "https://HOST/BUCKET"),
        ("log_bucket", bucket(secret_key="a\nb"), "printable"),
        ("redis_image", "redis latest", "image"),
        ("worker_grace", "90000", "0 to 86400"),
        ("worker_grace", "-1", "whole number"),
        ("worker_grace", "²", "whole number"),
        ("database_cidrs", "10.0.0.1/8", "networks"),
        ("egress_cidrs", "10.0.0.0/8;1.1.1.1/32", "networks"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(key, value, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        ClusterSettings.of({key: value})
    assert str(caught.value).startswith(f"{key}: ")


def test_a_pull_secret_is_never_repeated_in_what_is_said_about_it():
    with pytest.raises(ValueError, match="auths") as caught:
        ClusterSettings.of({"image_pull_secret": '{"auth": "c2VjcmV0"}'})
    assert "c2VjcmV0" not in str(caught.value)
    assert "bWFya2VkLXJlZ2lzdHJ5" not in repr(ClusterSettings.of(samples.RICH))


def test_the_keys_of_a_bucket_are_never_repeated():
    with pytest.raises(ValueError, match="HOST") as caught:
        ClusterSettings.of({"log_bucket": bucket(url="ftp://x")})
    assert "marked" not in str(caught.value)
    settings = ClusterSettings.of(samples.RICH)
    assert "marked-bucket-key" not in repr((settings, settings.log_bucket))


def test_each_deployment_has_a_place_of_its_own_in_the_bucket():
    found = samples.lasting(samples.inputs())
    (server,) = found["Deployment", names.CODE_SERVER]["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each for each in server["env"]}
    place = environment["AIRDECK_LOG_BUCKET_URL"]["value"]
    assert place == "https://s3.example.com/airdeck/logs/calm-orbit-0012"
    for key in ("access_key", "secret_key"):
        reference = {"secretKeyRef": {"name": names.LOG_BUCKET, "key": key}}
        assert environment[f"AIRDECK_LOG_BUCKET_{key.upper()}"]["valueFrom"] == reference
    others = [key for key, each in found.items() if names.LOG_BUCKET in json.dumps(each)]
    assert others == [
        ("Secret", names.LOG_BUCKET),
        ("Deployment", names.CODE_SERVER),
    ]  # no pod with code of people
    out = found["NetworkPolicy", names.CODE_SERVER]["spec"]["egress"]
    assert {"ports": [{"protocol": "TCP", "port": 443}]} in out
    bare = samples.lasting(samples.inputs(settings={}))
    assert ("Secret", names.LOG_BUCKET) not in bare
    assert "LOG_BUCKET" not in json.dumps(bare["Deployment", names.CODE_SERVER])


@pytest.mark.parametrize(
    ("prefix", "image", "pulled"),
    [
        ("", "apache/airflow:3.3.2", "apache/airflow:3.3.2"),
        ("mirror.example/hub/", "apache/airflow:3.3.2", "mirror.example/hub/apache/airflow:3.3.2"),
        ("mirror.example", "redis:7.2-bookworm", "mirror.example/redis:7.2-bookworm"),
        ("mirror.example", "quay.io/own/airflow:1", "quay.io/own/airflow:1"),
        ("mirror.example", "localhost/own:1", "localhost/own:1"),
        ("mirror.example", "registry:5000/own:1", "registry:5000/own:1"),
    ],
)
def test_a_mirror_stands_before_images_that_name_no_registry(prefix, image, pulled):
    assert ClusterSettings.of({"image_prefix": prefix}).image(image) == pulled


def test_every_release_name_fits_behind_the_longest_prefix_uncut():
    prefix = "p" * names.LONGEST_PREFIX
    longest = f"{max(ADJECTIVES, key=len)}-{max(NOUNS, key=len)}-0000"
    assert names.namespace(prefix, longest) == prefix + longest
    assert len(names.template_namespace(prefix)) <= names.LONGEST_NAMESPACE


@pytest.mark.parametrize("component", ["api-server", "redis", "worker-default", f"worker-{'q' * 63}"])
def test_labels_lead_back_to_the_component(component):
    queue = component.removeprefix("worker-") if component.startswith("worker-") else ""
    labels = names.labels(Ref("id", "calm-orbit-0012"), names.component(component), queue=queue)
    assert names.component_of({"metadata": {"labels": labels}}) == component
    assert (
        names.selector(Ref("id", "calm-orbit-0012"), names.component(component), queue=queue).items()
        <= labels.items()
    )


def test_the_list_of_rights_names_each_once_and_lends_only_what_it_may_bind():
    rights = list(permissions.rights())
    assert len(rights) == len(set(rights)) > 100
    bound = {right.name for right in rights if right.verb == "bind"}
    assert bound == permissions.DELEGATED_ROLES.keys()
    assert not permissions.allowed("", "nodes", "list")
    assert not permissions.allowed("", "pods/exec", "create")
    wildcards = [rule for rule in permissions.RULES if "*" in (*rule.resources, *rule.verbs, rule.group)]
    assert wildcards == []
    assert all(
        rule.why for rules in (permissions.RULES, *permissions.DELEGATED_ROLES.values()) for rule in rules
    )
