"""The reverse proxy for Airflow UIs, against a real upstream server on a real socket."""

import asyncio
import contextlib
import gzip
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn

from deployments.dataplane.local.proxy import AirflowProxy

RELEASE = "calm-orbit-1234"


class Upstream:
    """Plays Airflow: remembers what it was asked, and answers by path."""

    def __init__(self) -> None:
        self.scopes = []
        self.bodies = []
        self.disconnected = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        self.scopes.append(scope)
        await getattr(self, scope["path"].strip("/").split("/")[0] or "home")(receive, send)

    def header(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.scopes[-1]["headers"] if key == name]

    async def home(self, receive, send):
        await _answer(send, 200, b"airflow", (b"connection", b"x-secret-hop"), (b"x-secret-hop", b"1"))

    async def cookie(self, receive, send):
        await _answer(send, 200, b"", (b"set-cookie", b"token=alice; Path=/"))

    async def zipped(self, receive, send):
        await _answer(send, 200, gzip.compress(b"x" * 1000), (b"content-encoding", b"gzip"))

    async def away(self, receive, send):
        await _answer(send, 307, b"", (b"location", b"/elsewhere"))

    async def upload(self, receive, send):
        while True:
            message = await receive()
            self.bodies.append(message["body"])
            self.go_on.set()
            if not message["more_body"]:
                break
        await _answer(send, 201, str(sum(map(len, self.bodies))).encode())

    async def lines(self, receive, send):
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/x-ndjson")],
            }
        )
        await send({"type": "http.response.body", "body": b'{"line": 1}\n', "more_body": True})
        await self.go_on.wait()
        await send({"type": "http.response.body", "body": b'{"line": 2}\n'})

    async def endless(self, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.disconnected.set()

    async def broken(self, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})


async def _answer(send, status, body, *headers):
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def console(scope, receive, send):
    """Stands for Django; tells which cookies it got."""
    cookies = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
    await _answer(send, 200, b"console", (b"x-cookies", cookies))


@contextlib.asynccontextmanager
async def served(app) -> AsyncIterator[int]:
    """The port on which uvicorn serves `app`."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="critical", proxy_headers=False, timeout_graceful_shutdown=1)
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    async with asyncio.timeout(10):
        while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listener.close()


@pytest.fixture
def upstream():
    return Upstream()


@pytest.fixture
async def visitor(upstream):
    """A client that speaks to the proxy as a browser on the release's host name would."""
    async with served(upstream) as airflow_port:
        ports = {RELEASE: airflow_port}
        proxy = AirflowProxy(console, upstream=ports.get, console_url="http://127.0.0.1:8000")
        async with (
            served(proxy) as port,
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Host": f"{RELEASE}.localhost:{port}"},
                timeout=10,
            ) as client,
        ):
            client.ports = ports
            yield client


async def test_a_release_host_reaches_its_airflow_and_any_other_host_the_console(visitor):
    assert (await visitor.get("/")).text == "airflow"
    for host in (
        "127.0.0.1:8000",
        "localhost",
        "x.localhost",
        f"{RELEASE}.localhost.evil.example",
        f"a.{RELEASE}.localhost",
    ):
        assert (await visitor.get("/", headers={"Host": host})).text == "console"


async def test_path_query_host_and_forwarded_headers_are_what_the_browser_used(visitor, upstream):
    await visitor.get(
        "/home/a%2Fb%20c?x=1&y=%2F", headers={"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6"}
    )
    scope = upstream.scopes[-1]
    assert scope["raw_path"] == b"/home/a%2Fb%20c"
    assert scope["query_string"] == b"x=1&y=%2F"
    assert upstream.header(b"host") == [visitor.headers["Host"].encode()]
    assert upstream.header(b"x-forwarded-for") == [b"127.0.0.1"]
    assert upstream.header(b"x-forwarded-proto") == [b"http"]
    assert upstream.header(b"forwarded") == []


async def test_headers_of_one_hop_are_dropped_both_ways(visitor, upstream):
    response = await visitor.get("/", headers={"Connection": "x-mine", "X-Mine": "1", "TE": "trailers"})
    assert "x-secret-hop" not in response.headers
    assert upstream.header(b"x-mine") == []
    assert upstream.header(b"te") == []


async def test_the_consoles_cookies_stay_behind_and_airflows_pass(visitor, upstream):
    await visitor.get("/", headers={"Cookie": "airdeck-session=s; _token=t; csrftoken=c; sessionid=d"})
    assert upstream.header(b"cookie") == [b"_token=t"]
    await visitor.get("/", headers={"Cookie": "airdeck-csrf=c"})
    assert upstream.header(b"cookie") == []


async def test_airflow_s_cookies_never_reach_the_console(visitor):
    cookies = "airdeck-session=s; _token=t; airdeck_state=u; airdeck_assertion=v; _tokens=w"
    answer = await visitor.get("/", headers={"Host": "127.0.0.1:8000", "Cookie": cookies})
    assert answer.text == "console"
    assert answer.headers["x-cookies"] == "airdeck-session=s; _tokens=w"


async def test_a_cookie_set_for_one_browser_is_never_sent_for_another(visitor, upstream):
    assert (await visitor.get("/cookie")).headers["set-cookie"] == "token=alice; Path=/"
    visitor.cookies.clear()
    await visitor.get("/")
    assert upstream.header(b"cookie") == []


async def test_bodies_stay_compressed_and_redirects_are_the_browsers_business(visitor):
    async with visitor.stream("GET", "/zipped") as response:
        raw = b"".join([chunk async for chunk in response.aiter_raw()])
    assert gzip.decompress(raw) == b"x" * 1000
    response = await visitor.get("/away")
    assert (response.status_code, response.headers["location"]) == (307, "/elsewhere")


async def test_an_upload_streams_before_it_is_complete(visitor, upstream):
    async def body():
        yield b"a" * 1000
        await asyncio.wait_for(upstream.go_on.wait(), 5)  # only Airflow's first read lets it go on
        yield b"b" * 2000

    response = await visitor.post("/upload", content=body())
    assert (response.status_code, response.text) == (201, "3000")


async def test_a_large_upload_with_a_length_arrives_whole(visitor):
    assert (await visitor.post("/upload", content=b"z" * 3_000_000)).text == "3000000"
    assert (await visitor.post("/upload", content=b"")).status_code == 201


async def test_lines_arrive_one_by_one(visitor, upstream):
    async with visitor.stream("GET", "/lines") as response:
        lines = response.aiter_lines()
        assert await asyncio.wait_for(anext(lines), 5) == '{"line": 1}'
        upstream.go_on.set()
        assert await asyncio.wait_for(anext(lines), 5) == '{"line": 2}'


async def test_a_browser_that_leaves_cancels_the_request_to_airflow(visitor, upstream):
    async with visitor.stream("GET", "/endless") as response:
        assert await asyncio.wait_for(anext(response.aiter_raw()), 5) == b"first"
    await asyncio.wait_for(upstream.disconnected.wait(), 5)


async def test_an_answer_that_airflow_breaks_off_is_broken_off_for_the_browser(visitor):
    with pytest.raises(httpx.RemoteProtocolError):
        await visitor.get("/broken")


async def test_an_unknown_release_gets_a_page_with_a_way_back(visitor):
    response = await visitor.get("/", headers={"Host": "lost-comet-0001.localhost"})
    assert response.status_code == 404
    assert "There is no Airflow named lost-comet-0001" in response.text
    assert 'href="http://127.0.0.1:8000"' in response.text
    assert response.headers["content-security-policy"].startswith("default-src 'none'")


async def test_an_airflow_that_does_not_listen_gets_a_page_that_says_to_wait(visitor):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    visitor.ports[RELEASE] = closed
    response = await visitor.get("/")
    assert response.status_code == 503
    assert "does not answer yet" in response.text
    assert response.headers["retry-after"] == "3"


async def test_whoever_opens_a_page_of_it_is_led_to_where_they_can_wait_for_it(visitor):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        visitor.ports[RELEASE] = taken.getsockname()[1]
    browser = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Mode": "navigate"}
    response = await visitor.get("/dags/etl?tab=runs", headers=browser)
    assert response.status_code == 303
    waiting = f"http://127.0.0.1:8000/deployments/{RELEASE}/opening/?to=%2Fdags%2Fetl%3Ftab%3Druns"
    assert response.headers["location"] == waiting
    asked_by_a_page = {**browser, "Sec-Fetch-Mode": "cors"}
    assert (await visitor.get("/", headers=asked_by_a_page)).status_code == 503
    assert (await visitor.post("/", headers=browser)).status_code == 503


async def test_a_question_about_the_server_itself_is_refused(visitor):
    reader, writer = await asyncio.open_connection("127.0.0.1", visitor.base_url.port)
    writer.write(f"OPTIONS * HTTP/1.1\r\nHost: {RELEASE}.localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"Ask for a path that begins with a slash." in answer
