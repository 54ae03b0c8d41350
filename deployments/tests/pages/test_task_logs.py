"""Logs of tasks on pages: found, read, followed and downloaded like those of components."""

import asyncio
from urllib.parse import urlencode

import pytest
from django.urls import reverse

from console.tests.html_rules import complaints
from deployments.reconciler.deploy_rows import ref_of
from deployments.tests.pages.test_logs import HOSTILE, _whole, lines_of, page
from deployments.tests.reconciler.test_reconcile import settle

PATH = "dag_id=etl/run_id=manual__2026-11-28T10:00:00+00:00/task_id=load/map_index=3/attempt=2.log"
LINE = '{"timestamp":"2026-11-28T10:00:0%d.000000Z","level":"%s","event":"%s"}'


@pytest.fixture
def running(deployment):
    return settle(deployment)


@pytest.fixture
def kept(running, driver):
    return driver.worlds[ref_of(running).release_name].task_logs


@pytest.fixture
def url(running):
    def make(name="task_logs", **query):
        found = reverse(f"deployments:{name}", args=[running.release_name])
        return f"{found}?{urlencode(query)}" if query else found

    return make


def test_the_newest_log_comes_first_and_says_which_task_it_is_of(as_, vera, url, kept):
    kept.write("dag_id=etl/run_id=r1/task_id=extract/attempt=1.log", "x" * 3000)
    kept.write(PATH, "x")
    kept.write("of/a/template/of/theirs.log", "x")
    html = page(as_(vera), url())
    assert complaints(html) == []
    places = [html.index(text) for text in ("theirs.log", "load [3]", "extract")]
    assert places == sorted(places)
    assert "manual__2026-11-28T10:00:00+00:00" in html.replace("<wbr>", "")
    assert "2.9\xa0KB" in html
    assert "Kept for 30 days" not in html  # the scripted data plane says nothing of that
    assert 'aria-current="page">Tasks' in html


def test_words_of_the_path_narrow_the_list_and_stand_in_its_address(as_, vera, url, kept):
    for number in range(205):
        kept.write(f"dag_id=etl/run_id=r{number}/task_id=load/attempt=1.log", "x")
    client = as_(vera)
    assert "The newest 200 are shown." in page(client, url())
    html = page(client, url(q="R7 load"))
    assert html.count('<tr role="row"') == 1 + len([n for n in range(205) if "r7" in f"r{n}"])
    assert 'value="R7 load"' in html
    html = page(client, url(q="nothing like it"))
    assert "No log matches" in html
    assert complaints(html) == []
    rows = client.get(url(q="r204"), headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in rows
    assert "r204" in rows.replace("<wbr>", "")


def test_without_any_log_the_page_says_when_one_comes(as_, vera, url, running):
    html = page(as_(vera), url())
    assert "No logs of tasks yet" in html
    assert complaints(html) == []


def test_the_log_of_a_task_is_read_filtered_and_followed(as_, vera, url, kept):
    kept.write(PATH, LINE % (1, "info", "Task starts"), LINE % (2, "error", "Boom\\nof two lines"), "plain")
    client = as_(vera)
    html = page(client, url("logs", task=PATH))
    assert complaints(html) == []
    assert "load [3] of etl, attempt 2" in html
    assert lines_of(html) == [
        ("info", "Task starts"),
        ("error", "Boom"),
        ("error", "of two lines"),
        ("error", "plain"),
    ]
    assert 'name="component"' not in html
    html = page(client, url("logs", task=PATH, level="error", q="boom"))
    assert lines_of(html) == [("error", "Boom")]
    assert f'name="task" value="{PATH}"' in html  # a filter stays at this log
    start = client.get(url("log_lines", task=PATH))
    kept.write(PATH, LINE % (3, "warning", "again"))
    more = client.get(url("log_lines", task=PATH, after=start["X-Log-Cursor"], carry=start["X-Log-Carry"]))
    assert lines_of(more.content.decode()) == [("warning", "again")]


def test_the_log_of_a_task_is_downloaded_under_a_name_of_letters(as_, vera, url, kept, running):
    path = 'dag_id=ü";x/run_id=r/task_id=../attempt=1.log'.replace("../", "a.b/")
    kept.write(path, *(f"line {n}" for n in range(6000)))
    answer = as_(vera).get(url("log_download", task=path))
    assert answer["Content-Disposition"] == f'attachment; filename="{running.release_name}-x-a.b-1.log"'
    found = asyncio.run(_whole(answer)).decode().splitlines()
    assert found == [f"line {n}" for n in range(6000)]


def test_hostile_text_in_a_path_and_in_a_log_is_shown_as_it_is(as_, vera, url, kept):
    client = as_(vera)
    for number, text in enumerate(HOSTILE):
        path = f"dag_id={text.replace('/', '|')}/run_id=r/task_id=t{number}/attempt=1.log"
        kept.write(path, text)
        html = page(client, url("logs", task=path))
        assert complaints(html) == []
        assert "<script>alert" not in html
    html = page(client, url())
    assert complaints(html) == []
    assert "<script>alert" not in html


@pytest.mark.parametrize("path", ["dag_id=gone/attempt=1.log", "../../etc/passwd", "a" * 3000])
def test_a_log_that_is_not_kept_is_a_sentence(as_, vera, url, running, path):
    html = page(as_(vera), url("logs", task=path))
    assert "This log does not exist or is no longer kept. Choose one from the list." in html
    assert complaints(html) == []
    assert as_(vera).get(url("log_lines", task=path)).status_code == 503


def test_what_keeps_the_logs_being_away_is_a_sentence_with_a_way_to_retry(as_, vera, url, driver, running):
    driver.silent = "The code server does not run."
    html = page(as_(vera), url(q="etl"))
    assert "The code server does not run." in html
    assert '?q=etl">Retry' in html
    assert complaints(html) == []


def test_logs_of_tasks_are_none_of_a_strangers_business(as_, charlie, url, kept):
    kept.write(PATH, "secret")
    assert as_(charlie).get(url()).status_code == 404
    assert as_(charlie).get(url("logs", task=PATH)).status_code == 404


def test_the_list_costs_the_same_queries_however_long_it_is(
    as_, vera, url, kept, django_assert_max_num_queries
):
    client = as_(vera)
    client.get(url())
    for number in range(100):
        kept.write(f"dag_id=etl/run_id=r{number}/task_id=load/attempt=1.log", "x")
    with django_assert_max_num_queries(14):
        client.get(url())
