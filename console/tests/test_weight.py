"""What a page weighs, cold: how many requests and bytes. And which answers are compressed at all (docs/adr/0023)."""

import gzip
import re
from datetime import timedelta
from pathlib import Path

import brotli
import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse
from django.utils import timezone
from servestatic.compress import Compressor

from console.kit.static_files import PagesCompressor
from deployments.domain.states import Status
from deployments.models import Deployment, EnvironmentVariable, HourlyFigures, LatestReading
from workspaces.actions import invitations
from workspaces.permissions import Role

# What a browser received beyond the bodies, as Chromium counts it: headers of a page, of a file, of the stream.
PADDING = 50  # bytes of it in the mean: what is random must not decide whether a page is light
PAGE_HEAD, FILE_HEAD, STREAM_HEAD = 900, 440, 600
MOST_REQUESTS = 8  # the page, what it refers to, and its stream
ASKS = {"HTTP_ACCEPT_ENCODING": "gzip"}
REFERRED = re.compile(r'<(?:link|script)[^>]*(?:href|src)="/static/([^"]+)"')


def test_what_pages_load_is_there_in_brotli_and_the_rest_in_gzip_alone(tmp_path, settings) -> None:
    settings.STATIC_ROOT = tmp_path
    names = ("console.css", "css/charts.css", "js/logs.js", "django_htmx/htmx-2.min.js", "admin/js/core.js")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a { color: red; }\n" * 99)
        PagesCompressor(quiet=True).compress(tmp_path / name)
    assert [name for name in names if not (tmp_path / f"{name}.gz").is_file()] == []
    assert [name for name in names if not (tmp_path / f"{name}.br").is_file()] == ["admin/js/core.js"]


@pytest.fixture
def healthy(deployment) -> Deployment:
    now = timezone.now()
    Deployment.objects.filter(pk=deployment.pk).update(
        status=Status.HEALTHY, first_healthy_at=now, airflow_url="http://a.localhost", status_reason=""
    )
    rows = [
        EnvironmentVariable(deployment=deployment, key=f"KEY_{n:03}", value=f"value {n}") for n in range(201)
    ]
    EnvironmentVariable.objects.bulk_create(rows)
    hours = [now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=back) for back in range(24)]
    counts = [(hour, index * 7 % 23, index * 5 % 4) for index, hour in enumerate(hours)]
    HourlyFigures.objects.bulk_create(
        HourlyFigures(
            deployment=deployment,
            hour=hour,
            runs_succeeded=ok,
            runs_failed=bad,
            queued=bad,
            running=ok,
            readings=60,
        )
        for hour, ok, bad in counts
    )
    LatestReading.objects.create(
        deployment=deployment, at=now, day=[[hour.isoformat(), ok, bad] for hour, ok, bad in reversed(counts)]
    )
    return deployment


def weight(client, url: str) -> tuple[int, int]:
    """Requests, the stream's among them, and bytes as they go over the wire."""
    page = client.get(url, HTTP_ACCEPT_ENCODING="gzip, deflate, br")
    assert page.headers["Content-Encoding"] == "br", url
    names = REFERRED.findall(brotli.decompress(page.content).decode())
    files = [Path(finders.find(name) or "") for name in names]
    assert all(each.is_file() for each in files), names
    sizes = [len(Compressor.compress_brotli(each.read_bytes())) for each in files]  # at https and localhost
    heads = PAGE_HEAD + PADDING + FILE_HEAD * len(files) + STREAM_HEAD
    return len(files) + 2, len(page.content) + sum(sizes) + heads


@pytest.mark.parametrize(
    ("name", "most"),
    [("list", 35_000), ("detail", 40_000), ("variables", 60_000), ("logs", 40_000), ("new", 36_000)],
)
def test_a_page_is_light(as_, alice, healthy, name, most) -> None:
    on_workspace = name in {"list", "new"}
    argument = healthy.workspace_id if on_workspace else healthy.release_name
    requests, size = weight(as_(alice), reverse(f"deployments:{name}", args=[argument]))
    assert requests <= MOST_REQUESTS
    assert size <= most


def test_what_may_hold_a_secret_or_a_stranger_s_words_is_not_compressed(
    as_, alice, healthy, workspace, settings
) -> None:
    settings.AIRFLOW_PASSWORD = True
    client = as_(alice)
    members = reverse("members", args=[workspace.pk])
    made = invitations.invite(
        workspace=workspace, by=alice, emails=["ida@example.org"], role=Role.EDITOR
    ).made
    revealed = client.post(healthy.url + "credential/", **ASKS)
    links = client.post(members + "invite/", {"addresses": "a@example.org", "role": "member"}, **ASKS)
    assert b"data-copy" in revealed.content
    assert b"/join/" in links.content
    whole = [
        revealed,
        links,
        client.get(workspace.url + "?q=guess", **ASKS),
        client.get(reverse("invitation", args=[made[0].token]), **ASKS),
        client.get("/accounts/2fa/", **ASKS),
    ]
    assert [answer.headers.get("Content-Encoding") for answer in whole] == [None] * len(whole)
    assert client.get(members, **ASKS).headers["Content-Encoding"] == "gzip"
    both = {"HTTP_ACCEPT_ENCODING": "gzip, br"}
    assert client.get(members, **both).headers["Content-Encoding"] == "br"
    assert client.get("/accounts/2fa/", **both).headers.get("Content-Encoding") is None
    assert len({client.get(members, **both).headers["X-Padding"] for _ in range(4)}) > 1


def test_the_token_of_a_compressed_page_is_another_one_each_time(as_, alice, workspace) -> None:
    client = as_(alice)
    pages = [gzip.decompress(client.get(workspace.url, **ASKS).content).decode() for _ in range(2)]
    first, second = (re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[0] for page in pages)
    assert first != second
