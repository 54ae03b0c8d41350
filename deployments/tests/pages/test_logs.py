"""The log page and "Why?": what they show, what they let through, and what they say when nothing answers."""

import asyncio
import re
import threading
import time

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient
from django.urls import reverse

from console.tests.html_rules import complaints, words_in
from deployments.domain.states import ComponentState
from deployments.models import ComponentStatus
from deployments.pages import logs as pages
from deployments.queries import live
from deployments.queries.log_levels import LogFilters
from deployments.reconciler.deploy_rows import ref_of
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.models import Membership

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "</div></template><script>alert(1)</script>",
    "{{7*7}}{% debug %}",
    "<!--",
    "]]>",
    "<style>*{display:none}</style>",
    '<a href="javascript:alert(1)">x</a>',
    "&lt;b&gt;",
    "<div hx-get=/x hx-trigger=load>",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 💥 \u202eevil",
]


@pytest.fixture
def running(deployment):
    """Analytics, Healthy."""
    return settle(deployment)


@pytest.fixture
def url(running):
    def make(name="logs", *args, **query):
        found = reverse(f"deployments:{name}", args=[running.release_name, *args])
        return f"{found}?{'&'.join(f'{k}={v}' for k, v in query.items())}" if query else found

    return make


@pytest.fixture
def write(running, driver):
    def to(*texts, component="scheduler"):
        driver.write_log(ref_of(running), component, *texts)

    return to


def lines_of(html: str) -> list[tuple[str, str]]:
    """Level and text of the lines in a page."""
    pattern = r'data-level="(\w+)">.*?<span class="logline__text">(.*?)</span></div>'
    return re.findall(pattern, html, re.DOTALL)


def page(client, address) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_last_lines_stand_in_the_page_as_text(as_, vera, url, write):
    write(*(f"[info     ] tick {n}" for n in range(600)), "[error    ] Boom", "  trace")
    html = page(as_(vera), url())
    assert complaints(html) == []
    found = lines_of(html)
    assert len(found) == 500
    assert found[-2:] == [("error", "Boom"), ("error", "  trace")]
    assert '<b class="logline__level">ERROR   </b>' in html  # a word, not a colour only
    assert re.search(r'<time datetime="[^"]+\+00:00"><span class="logline__day">\d{4}-', html)


def test_filters_stand_in_the_address_and_in_the_form(as_, vera, url, write):
    write("[info     ] apples", "[warning  ] pears", "[error    ] apples again", "  and a trace")
    client = as_(vera)
    html = page(client, url(level="warning"))
    assert lines_of(html) == [("warning", "pears"), ("error", "apples again"), ("error", "  and a trace")]
    assert '<option value="warning" selected>' in html
    html = page(client, url(q="APPLES", since="1h", component="scheduler"))
    assert [text for _, text in lines_of(html)] == ["apples", "apples again"]
    assert 'value="APPLES"' in html
    assert "of 6 match" in html
    html = page(client, url(q="nothing like it"))
    assert "No matches in the last 6 lines." in html
    assert "Clear filters" in html
    assert complaints(html) == []
    html = page(client, url(component="../../etc/passwd", level="loud", since="ever"))
    assert "Starting" in html  # what is not offered filters nothing


def test_the_component_with_something_to_say_is_shown_first(as_, vera, url, running, write):
    client = as_(vera)
    assert '<option value="scheduler" selected>' in page(client, url())
    ComponentStatus.objects.filter(name="api-server").update(state=ComponentState.FAILING)
    assert '<option value="api-server" selected>' in page(client, url())
    assert "has logged nothing yet" in page(client, url(component="triggerer"))


def test_the_lines_since_a_cursor_come_as_a_fragment(as_, vera, url, write):
    client = as_(vera)
    html = page(client, url())
    cursor = re.search(r'data-cursor="([^"]*)"', html)[1]
    carry = re.search(r'data-carry="([^"]*)"', html)[1]
    write("[error    ] Boom")
    answer = client.get(url("log_lines", after=cursor, carry=carry))
    assert lines_of(answer.content.decode()) == [("error", "Boom")]
    assert "<html" not in answer.content.decode()
    write("  trace of it", "[info     ] quiet")
    query = {"after": answer["X-Log-Cursor"], "carry": answer["X-Log-Carry"], "level": "error"}
    answer = client.get(url("log_lines", **query))
    assert lines_of(answer.content.decode()) == [("error", "  trace of it")]
    nothing = client.get(url("log_lines", after=answer["X-Log-Cursor"]))
    assert lines_of(nothing.content.decode()) == []


@pytest.mark.parametrize("after", ["nonsense", "../../etc/passwd", "a" * 5000, "-1"])
def test_a_cursor_from_a_stranger_reads_the_log_and_nothing_else(as_, vera, url, write, after):
    write("[info     ] here")
    answer = as_(vera).get(url("log_lines", after=after, carry="%0d%0aSet-Cookie: x=y:error"))
    assert answer.status_code == 200
    assert ("info", "here") in lines_of(answer.content.decode())
    assert "x" not in answer.cookies


def test_hostile_lines_are_shown_as_they_are(as_, vera, url, write):
    write(*(f"[error    ] {text}" for text in HOSTILE))
    client = as_(vera)
    for address in (url(), url("component_now", "scheduler"), url("log_lines", after="beginning")):
        html = page(client, address)
        for sign in (
            "<script>alert",
            "<img",
            "<svg onload",
            "<style>",
            '<a href="javascript',
            "<div hx-get=/x",
            "<!--",
        ):
            assert sign not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
        assert "{{7*7}}" in html
        if "<html" in html:
            assert complaints(html) == []


def test_the_download_holds_everything_that_matches(as_, vera, url, write, running):
    write(*(f"[{'error    ' if n % 2 else 'info     '}] line {n}" for n in range(12_000)))
    answer = as_(vera).get(url("log_download", level="error"))
    assert answer.status_code == 200
    assert answer["Content-Disposition"] == f'attachment; filename="{running.release_name}-scheduler.log"'
    assert answer["Content-Type"].startswith("text/plain")
    assert answer["X-Content-Type-Options"] == "nosniff"
    text = asyncio.run(_whole(answer)).decode()
    found = text.splitlines()
    assert len(found) == 6000
    assert found[0].endswith("[error    ] line 1")
    assert found[-1].endswith("[error    ] line 11999")


def test_a_download_works_outside_the_event_loop(as_, vera, url, write, running, monkeypatch):
    """What matches is decided and written on the threads that ask: in the loop it would hold up every other page."""
    write(*(f"[error    ] line {n}" for n in range(10)))
    threads = set()
    match = LogFilters.match
    monkeypatch.setattr(
        LogFilters,
        "match",
        lambda self, line: threads.add(threading.current_thread().name) or match(self, line),
    )
    text = asyncio.run(_whole(as_(vera).get(url("log_download", level="error"))))
    assert len(text.splitlines()) == 10
    assert all(name.startswith("asking-") for name in threads)
    assert threads


async def _whole(answer) -> bytes:
    return b"".join([part async for part in answer.streaming_content])


@pytest.mark.django_db(transaction=True)
def test_a_download_ends_with_the_right_to_read_it(as_, vera, url, write, running, monkeypatch):
    """A person who reads slowly would else read what is written long after."""
    monkeypatch.setattr(pages, "CHECK_SECONDS", 0.0)
    write(*(f"[error    ] line {n}" for n in range(pages.READ_LINES + 1)))

    last = f"line {pages.READ_LINES}".encode()

    def removed() -> None:
        Membership.objects.filter(user=vera).delete()
        connections.close_all()  # of a thread of its own

    async def read(answer, between) -> bytes:
        found = b""
        async for part in answer.streaming_content:
            found += part
            await sync_to_async(between)()
        return found

    assert last in asyncio.run(read(as_(vera).get(url("log_download")), lambda: None))
    cut = asyncio.run(read(as_(vera).get(url("log_download")), removed))
    assert b"line 1000" in cut
    assert last not in cut
    assert cut.endswith(b"(The file ends here: you may not read it any more.)\n")


def test_a_download_that_breaks_off_says_so_in_its_last_line(as_, vera, url, driver):
    driver.silent = "The cluster is silent."
    answer = as_(vera).get(url("log_download"))
    assert asyncio.run(_whole(answer)).decode() == "(The file ends here: The cluster is silent.)\n"


def test_a_silent_cluster_is_a_sentence_with_a_way_to_retry(as_, vera, url, driver):
    driver.silent = "The cluster is silent."
    client = as_(vera)
    html = page(client, url(level="error"))
    assert "The cluster is silent." in html
    assert '?level=error">Retry' in html
    assert "data-log=" not in html  # nothing follows what cannot be read
    assert complaints(html) == []
    answer = client.get(url("log_lines"))
    assert (answer.status_code, answer.content.decode()) == (503, "The cluster is silent.")
    now = page(client, url("component_now", "scheduler"))
    assert now.count("The cluster is silent.") == 2
    assert complaints(now) == []


@pytest.mark.thorough
def test_a_cluster_that_hangs_costs_a_few_seconds_and_no_other_page(as_, vera, url, driver, monkeypatch):
    monkeypatch.setattr(live, "SECONDS", 0.3)
    ends = threading.Event()
    monkeypatch.setattr(driver, "logs", lambda *args, **more: ends.wait(20))
    client = as_(vera)
    try:
        began = time.monotonic()
        for _ in range(live.AT_ONCE + 2):  # more than there are threads
            assert "did not answer within" in page(client, url())
        assert time.monotonic() - began < 10
    finally:
        ends.set()


def test_why_leads_to_the_component_that_explains(as_, vera, url, running):
    client = as_(vera)
    assert client.get(url("why"))["Location"] == running.url  # Healthy meanwhile
    ComponentStatus.objects.filter(name="scheduler").update(state=ComponentState.STARTING)
    ComponentStatus.objects.filter(name="api-server").update(state=ComponentState.FAILING)
    assert client.get(url("why"))["Location"] == url("component", "api-server")


def test_the_page_of_a_component_shows_what_is_recorded_without_asking(as_, vera, url, running, driver):
    ComponentStatus.objects.filter(name="scheduler").update(
        state=ComponentState.FAILING, reason="Scheduler ended (exit status 1).", last_line="KeyError: 'x'"
    )
    driver.calls.clear()
    html = page(as_(vera), url("component", "scheduler"))
    assert driver.calls == []
    assert "Scheduler ended (exit status 1)." in html
    assert "KeyError" in html
    assert f'hx-get="{url("component_now", "scheduler")}"' in html
    assert f'href="{url("component_now", "scheduler")}"' in html  # without scripts
    assert complaints(html) == []
    assert "KeyError" in words_in(
        html, "hx-select", "#recorded"
    )  # asked for again when the Deployment changes


def test_what_a_component_says_now_names_instances_probes_and_telling_lines(as_, vera, url, write):
    write("[info     ] fine", "[error    ] Boom", "  trace", "[info     ] going on")
    client = as_(vera)
    whole = page(client, url("component_now", "scheduler"))
    assert complaints(whole) == []
    answer = client.get(url("component_now", "scheduler"), headers={"HX-Request": "true"})
    html = answer.content.decode()
    assert "<html" not in html
    for text in ("scheduler-1", "4242, running", "Last probe", "Last exit"):
        assert text in html
        assert text in whole
    assert words_in(html, "hx-target", "#now") == "Check again"
    assert re.search(r"Checked at \d\d:\d\d:\d\d UTC", html)  # with its zone, beside times in UTC
    assert lines_of(html) == [("error", "Boom"), ("error", "  trace")]
    assert "component=scheduler&amp;level=error" in html


def test_a_component_that_it_cannot_have_is_not_found(as_, vera, url):
    client = as_(vera)
    for name in ("nonsense", "..%2f..", "worker-nope"):
        for kind in ("component", "component_now"):
            assert client.get(url(kind, "x").replace("/x/", f"/{name}/")).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_the_log_is_read_under_asgi_as_well(workspace, alice, deployment, driver):
    running = settle(deployment)
    driver.write_log(ref_of(running), "scheduler", "[error    ] Boom")

    async def ask():
        try:
            return await read_both()
        finally:  # the thread of synchronous views holds a connection of its own
            await sync_to_async(connections.close_all)()

    async def read_both():
        client = AsyncClient()
        await client.aforce_login(alice)
        shown = await client.get(reverse("deployments:logs", args=[running.release_name]))
        file = await client.get(reverse("deployments:log_download", args=[running.release_name]))
        return shown.content.decode(), await _whole(file)

    shown, file = asyncio.run(ask())
    assert ("error", "Boom") in lines_of(shown)
    assert file.endswith(b"[error    ] Boom\n")
