"""Packages that are refused, and what the pages show of them."""

import io
import re
from dataclasses import replace
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from deployments.actions import deploys as deploying
from deployments.actions.refusals import CodeNotTaken, RequirementsRefused
from deployments.dataplane.contract import DataPlaneError
from deployments.domain.deploy_states import DeploySource
from deployments.domain.states import Status
from deployments.models import CodeUpload, PackageSet
from deployments.queries.releases import release_of
from deployments.tests.archives import DAG, tar_gz
from deployments.tests.reconciler.test_deploys import again, deployed, healthy, run, uploaded  # noqa: F401 - fixtures
from deployments.tests.reconciler.test_packages import CLASH, PANDAS, POLARS, _ref, send, store, text, url  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"pandas\n-r other.txt\n", "requirements.txt, line 2: Options such as -r are not taken here."),
        (b"git+https://example.org/x\n", "requirements.txt, line 1: Addresses and paths are not taken here."),
        (b"\xff\xfe", "requirements.txt is not UTF-8 text."),
        (b"a\n" * 201, "requirements.txt may have at most 200 lines."),
        (b"#" * 65_537, "requirements.txt may have at most 64 KiB."),
        (b"--index-url http://x\n-e .\n./y\n", "2 more lines are not taken either."),
    ],
)
def test_lines_that_make_an_installer_read_or_ask_elsewhere_are_refused(
    healthy,  # noqa: F811
    bob,
    store,  # noqa: F811
    content,
    sentence,
):
    with pytest.raises(CodeNotTaken, match=re.escape(sentence)):
        uploaded(healthy, bob, {"one.py": DAG, "requirements.txt": content})
    assert not PackageSet.objects.exists()
    store_ = deploying.ready_store(healthy)
    with store_.scratch() as scratch:
        unpacked = deploying.unpack(io.BytesIO(tar_gz({"requirements.txt": content})), scratch)
        store_.receive(scratch, unpacked.manifest)
    wish = deploying.DeployWish(unpacked.manifest, DeploySource.UPLOAD, uuid4())
    with pytest.raises(RequirementsRefused, match=re.escape(sentence)):  # from whatever source it comes
        deploying.ask(healthy, bob, wish)


def test_the_review_shows_the_difference_and_says_first_that_it_restarts(healthy, as_, bob, store):  # noqa: F811
    client = as_(bob)
    deployed(healthy, bob, PANDAS)
    run(healthy)
    store.index["pandas"] = "2.0"
    store.slow_resolve = 1
    page = send(client, healthy, POLARS)
    again(healthy)
    first = client.get(page)
    assert "Resolving the packages." in text(first)
    assert 'hx-trigger="every 2s"' in first.content.decode()
    assert "The packages that it needs are being resolved." in text(first)
    run(healthy)
    shown = client.get(page)
    assert "1 package added, 1 changed." in text(shown)
    assert "pandas 1.0 → 2.0" in text(shown)
    assert "polars 1.0" in text(shown)
    assert "Restarts the API server, the scheduler, the DAG processor and the triggerer." in text(shown)
    assert "The old code stays active until everything is ready." in text(shown)
    assert "every 2s" not in shown.content.decode()
    sent = client.post(page, {"seen": CodeUpload.objects.order_by("-created_at").first().base})
    run(healthy)
    detail = text(client.get(sent["Location"]))
    assert "1 package added, 1 changed." in detail
    assert "All 2 beyond those of the runtime" in detail
    back = text(client.get(url(healthy, "deploy_back", 1)))
    assert "pandas 2.0 → 1.0" in back
    assert "Restarts the API server" in back


def test_the_review_of_code_alone_says_that_nothing_restarts(healthy, as_, bob, store):  # noqa: F811
    client = as_(bob)
    deployed(healthy, bob, PANDAS)
    run(healthy)
    shown = text(client.get(send(client, healthy, {**PANDAS, "two.py": DAG})))
    assert "No package differs." in shown
    assert "Nothing restarts." in shown


def test_the_review_shows_a_clash(healthy, as_, bob, store):  # noqa: F811
    store.refuse[""] = CLASH
    client = as_(bob)
    page = send(client, healthy, PANDAS)
    run(healthy)
    assert CLASH in text(client.get(page))


def test_where_packages_come_with_the_image_a_file_that_asks_for_some_is_refused_beside_its_field(
    healthy,  # noqa: F811
    as_,
    bob,
    driver,
):
    driver.takes_packages = False
    client = as_(bob)
    file = SimpleUploadedFile("code.tar.gz", tar_gz(PANDAS))
    refused = client.post(url(healthy, "deploy_new"), {"archive": file})
    assert refused.status_code == 422
    assert list(refused.context["form"].errors) == ["archive"]
    assert "requirements.txt names packages, and on Kubernetes packages come with the image." in text(refused)
    assert (CodeUpload.objects.count(), PackageSet.objects.count()) == (0, 0)
    driver.takes_packages = True  # the same file, where packages are installed
    assert send(client, healthy, PANDAS) == url(healthy, "deploy_upload", CodeUpload.objects.get().pk)


def test_an_upload_that_nobody_deploys_installs_nothing(healthy, bob, store):  # noqa: F811
    uploaded(healthy, bob, PANDAS)
    run(healthy)
    assert store.resolved == [("3.3-1", ("pandas>=2",))]
    assert not store.installed
    store.fail = "Away."
    uploaded(healthy, bob, POLARS)
    run(healthy)
    assert healthy.status == Status.HEALTHY
    assert PackageSet.objects.get(sentence="Away.")


def test_packages_that_were_not_installed_start_nothing(healthy, bob, driver, store):  # noqa: F811
    release = replace(release_of(healthy, list(healthy.queues.all())), packages="0" * 64)
    with pytest.raises(DataPlaneError):
        driver.apply(_ref(healthy), release, None, {})
