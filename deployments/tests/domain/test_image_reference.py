"""Names of images: what is taken, what is refused and with which words."""

import pytest

from deployments.domain import image_reference
from deployments.domain.image_reference import ImageReference

DIGEST = "sha256:" + "a1" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("apache/airflow:3.3.2", ImageReference("", "apache/airflow", "3.3.2", "")),
        ("airflow:x", ImageReference("", "airflow", "x", "")),
        ("localhost/airflow:x", ImageReference("localhost", "airflow", "x", "")),
        (
            "registry:5000/a/b__c/d-e.f:T_1.0-x",
            ImageReference("registry:5000", "a/b__c/d-e.f", "T_1.0-x", ""),
        ),
        (f"ghcr.io/a/b@{DIGEST}", ImageReference("ghcr.io", "a/b", "", DIGEST)),
        (f"ghcr.io/a/b:1@{DIGEST}", ImageReference("ghcr.io", "a/b", "1", DIGEST)),
    ],
)
def test_a_name_has_a_registry_a_repository_a_tag_and_a_digest(text, expected):
    assert image_reference.read(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Enter the name"),
        ("apache/airflow", "a tag or a digest"),
        ("https://ghcr.io/a:1", "without https"),
        ("Apache/Airflow:1", "lowercase"),
        ("a//b:1", "lowercase"),
        ("a b:1", "lowercase"),
        ("a/b:1\n", "tag"),
        ("a/b:-1", "tag"),
        ("a/b:" + "x" * 129, "tag"),
        ("-x.example/a:1", "not a registry"),
        ("x.example:123456/a:1", "not a registry"),
        ("a/b@sha256:abc", "digest"),
        ("a/b@sha512:" + "a" * 128, "digest"),
        ("a" * 501, "500"),
        ("$(touch x)/a:1", "lowercase"),
    ],
)
def test_anything_else_is_refused_by_what_is_wrong(text, words):
    with pytest.raises(ValueError, match=words):
        image_reference.read(text)


def test_the_digest_is_read_as_each_container_runtime_writes_it():
    read = image_reference.digest_of
    assert read(f"docker.io/a/b@{DIGEST}") == DIGEST
    assert read(f"docker-pullable://a/b@{DIGEST}") == DIGEST
    assert read(DIGEST) == ""  # of its configuration: it was loaded into the node by hand
    assert read("") == read("a/b@latest") == ""


def test_patches_are_of_one_minor_release():
    assert image_reference.same_minor("3.3.1", "3.3.2")
    assert not image_reference.same_minor("3.2.2", "3.3.2")
    assert not image_reference.same_minor("", "3.3.2")
    assert not image_reference.same_minor("3.30.2", "3.3.2")
