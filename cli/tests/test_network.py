"""What happens to commands when the network, the address or the console is not as they expect."""

import os
import re
import ssl
import time

import pytest

from deployments.models import Deploy, Deployment, VariableRevision
from deployments.tests.dataplane.kubernetes import pki
from tests.played_servers import ME, Cutter, Server, reply
from tests.running import Airdeck
from workspaces import token_values

TOKEN = token_values.mint("w")


@pytest.fixture
def pipeline(tmp_path):
    """The command line with a token for whatever address."""

    def make(url: str, **environment: str) -> Airdeck:
        return Airdeck(tmp_path, AIRDECK_URL=url, AIRDECK_TOKEN=TOKEN, **environment)

    return make


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_a_cut_at_each_step_and_the_command_run_again_does_everything_once(airdeck, reconciled, tmp_path):
    (tmp_path / "d.yaml").write_text("deployment: {configuration: {name: Analytics}}")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "one.py").write_text("x = 1\n")
    cutter = Cutter(airdeck.environment["AIRDECK_URL"])
    apply = ("deployment", "apply", "-f", "d.yaml", "--yes", "--wait")
    deploy = ("deploy", ".", "-d", "Analytics", "--wait")
    with cutter.server:
        broken = {"AIRDECK_URL": cutter.server.url}
        for cut, before, command in (
            ("POST .*/plan", False, (*apply, "--dry-run")),
            ("POST .*/apply", False, apply),
            ("POST .*/deploys", True, deploy),
            ("POST .*/deploys", False, deploy),
            ("PUT", False, ("deployment", "variable", "set", "A=b=c", "-d", "Analytics", "--wait")),
            ("POST", False, ("deployment", "hibernate", "Analytics", "--wait")),
            ("PATCH", False, ("deployment", "update", "Analytics", "--description", "New", "--wait")),
            ("DELETE", False, ("deployment", "delete", "Analytics", "--yes", "--wait")),
        ):
            cutter.cut, cutter.before = cut, before
            lost = airdeck(*command, code=6, environment=broken)
            assert "It may be done. Run the command again, nothing is done twice." in lost.err
            cutter.cut = ""
            gone = cut == "DELETE" and not Deployment.objects.filter(deleted_at__isnull=True).exists()
            airdeck(*command, code=2 if gone else 0, environment=broken)  # what is gone has no name any more
    row = Deployment.objects.get()
    assert (row.description, row.deleted_at is not None) == ("New", True)
    assert Deploy.objects.count() == 1
    assert VariableRevision.objects.count() == 0  # it went with the Deployment


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_waiting_outlives_a_console_that_is_away_for_a_while(airdeck, deployment, reconciled):
    reconciled.paused.set()
    cutter = Cutter(airdeck.environment["AIRDECK_URL"])
    with cutter.server:
        name = f"{deployment.release_name}.create.1"
        waiting = airdeck.start("wait", name, environment={"AIRDECK_URL": cutter.server.url})
        deadline = time.monotonic() + 60
        while not any("/operations/" in path for _, path, _ in cutter.server.seen):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        cutter.cut, cutter.before = "GET", True
        told = waiting.stderr.readline()
        while "Trying again." not in told:
            assert told, "it ended"
            told = waiting.stderr.readline()
        cutter.cut = ""
        reconciled.paused.clear()
        out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert out.startswith("Done.")


@pytest.mark.parametrize(("status", "code"), [(500, 1), (401, 3), (404, 2)])
def test_24_an_error_while_waiting_ends_the_waiting_with_its_exit_code_and_how_to_look_again(
    pipeline, status, code
):
    name = "calm-orbit-0012.create.1"
    running = {"id": name, "status": "running", "sentence": "", "steps": [], "url": "http://x/d"}

    def answer(handler):
        if len(here.seen) < 3:
            reply(handler, 200, running, ETag=f'"{len(here.seen)}"')
        else:
            reply(handler, status, {"detail": "Broken.", "code": "x"})

    with Server(answer) as here:
        told = pipeline(here.url)("wait", name, code=code).err
    assert told == f"Broken. The work goes on. Look at http://x/d or run: airdeck wait {name}\n"
    assert "wait=" in here.seen[-1][1]


@pytest.mark.parametrize("name", ["ETag", "etag", ""])
def test_waiting_asks_no_more_often_than_the_console_answers_whatever_a_proxy_does_to_the_etag(
    pipeline, name
):
    """Some write every name of a header in lower case, and some take the ETag away."""
    operation = {"id": "calm-orbit-0012.create.1", "sentence": "", "steps": [], "url": "http://x/d"}

    def answer(handler):
        status = "done" if len(here.seen) > 4 else "running"
        reply(handler, 200, {**operation, "status": status}, **({name: '"1"'} if name else {}))

    with Server(answer) as here:
        pipeline(here.url)("wait", operation["id"])
    waits = [int(path.partition("wait=")[2] or 0) for _, path, _ in here.seen]
    assert waits == [0, 0, *[25 if name else 2] * 3]
    known = [headers.get("If-None-Match") for _, _, headers in here.seen]
    assert known == [None, None, *['"1"' if name else None] * 3]


@pytest.mark.parametrize("name", ["ETag", "etag"])
def test_a_change_is_made_to_what_was_read_whatever_a_proxy_does_to_names_of_headers(pipeline, name):
    found = {"name": "Analytics", "release_name": "calm-orbit-0012"}

    def answer(handler):
        if handler.command == "PUT":
            reply(handler, 412, {"detail": "Changed.", "code": "stale"})
        else:
            items = {"items": []} if handler.path.endswith("/variables") else found
            reply(handler, 200, items, **{name: '"1"'})

    with Server(answer) as here:
        pipeline(here.url)("deployment", "variable", "set", "A=1", "-d", found["release_name"], code=4)
        sent = [headers.get("If-Match") for method, _, headers in here.seen if method == "PUT"]
    assert set(sent) == {'"1"'}


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_a_refusal_of_a_large_upload_is_read_although_it_comes_before_the_upload_ends(
    airdeck, deployment, reconciled, token, vera, tmp_path
):
    airdeck("wait", f"{deployment.release_name}.create.1")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "data.bin").write_bytes(os.urandom(20_000_000))
    member = {"AIRDECK_TOKEN": token(vera, personal=True)}
    refused = airdeck("deploy", ".", "-d", "Analytics", code=3, environment=member)
    assert "may be done" not in refused.err
    assert "Editor" in refused.err


def test_a_console_that_is_nowhere_is_told_with_its_address(pipeline):
    told = pipeline("http://127.0.0.1:9")("whoami", code=6).err
    assert told == (
        "http://127.0.0.1:9 cannot be reached: Connection refused. Check the address and the network.\n"
    )


def test_an_address_that_leads_elsewhere_is_not_followed_and_gets_no_token_there(pipeline):
    with Server(lambda handler: reply(handler, 200, ME)) as other:
        with Server(lambda handler: reply(handler, 302, {}, Location=f"{other.url}/api/v1/me")) as here:
            told = pipeline(here.url)("whoami", code=6).err
            assert told == f"{here.url} leads to {other.url}. Use that address.\n"
        assert other.seen == []


def lines(handler, *written: bytes, end: bytes = b"0\r\n\r\n"):
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Content-Type", "application/x-ndjson; charset=utf-8")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for piece in written:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    handler.wfile.write(end)
    handler.close_connection = True


def test_the_api_s_lines_are_printed_as_lines(pipeline):
    with Server(lambda handler: lines(handler, b'{"text": "a"}\n{"te', b'xt": "b"}\n')) as here:
        printed = pipeline(here.url)("api", "GET", "/deployments/calm-orbit-0012/logs").out
    assert printed == '{"text": "a"}\n{"text": "b"}\n'


def test_a_line_of_a_log_that_is_cut_is_told_and_not_printed(pipeline):
    def answer(handler):
        if handler.path.partition("?")[0].endswith("/logs"):
            lines(handler, b'{"text": "a", "time": ""}\n{"te', end=b"")
        else:
            reply(handler, 200, {"name": "Analytics", "release_name": "calm-orbit-0012"})

    with Server(answer) as here:
        done = pipeline(here.url)("deployment", "logs", "calm-orbit-0012", code=6)
    assert done.out.split() == ["a"]
    assert done.err == f"{here.url} broke off within a line. Run the command again.\n"


def test_what_is_no_console_is_told(pipeline):
    def page(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"<html>")

    with Server(page) as here:
        assert "does not answer as Airdeck does" in pipeline(here.url)("whoami", code=6).err
    with Server(lambda handler: reply(handler, 404, "no")) as here:
        assert (
            "Check that this is the address of an Airdeck console."
            in pipeline(here.url)("whoami", code=2).err
        )


def test_an_older_console_is_named_when_it_does_not_know_something(pipeline):
    problem = {
        "detail": "There is nothing at this address that you can see.",
        "code": "not_found",
        "errors": [],
    }
    with Server(lambda handler: reply(handler, 404, problem, Airdeck_Version="0.0.9")) as here:
        told = pipeline(here.url)("deployment", "inspect", "calm-orbit-0012", code=2).err
    assert "The console is Airdeck 0.0.9, older than this command line (0.1.0)" in told
    with Server(lambda handler: reply(handler, 404, problem, Airdeck_Version="0.1.0")) as here:
        told = pipeline(here.url)("deployment", "inspect", "calm-orbit-0012", code=2).err
    assert told == "There is nothing at this address that you can see.\n"


def test_a_newer_console_may_say_more_than_this_command_line_knows(pipeline):
    newer = {**ME, "color": "blue", "token": {**ME["token"], "scopes": ["a"]}}
    with Server(lambda handler: reply(handler, 200, newer, Airdeck_Version="9.0.0")) as here:
        assert "alice@example.org" in pipeline(here.url)("whoami").out


def test_a_console_that_has_no_time_is_asked_again_and_one_that_fails_is_not(pipeline):
    def busy(handler):
        if len(here.seen) < 3:
            reply(handler, 503, {"detail": "Busy.", "code": "unavailable"})
        else:
            reply(handler, 200, ME)

    with Server(busy) as here:
        pipeline(here.url)("whoami")
        assert len(here.seen) == 3
    with Server(lambda handler: reply(handler, 500, {"detail": "Broken.", "code": "error"})) as here:
        assert pipeline(here.url)("whoami", code=1).err == "Broken.\n"
        assert len(here.seen) == 1


@pytest.mark.parametrize(
    ("status", "code"), [(401, 3), (403, 3), (404, 2), (409, 4), (412, 4), (422, 2), (500, 1), (413, 2)]
)
def test_each_kind_of_refusal_has_its_exit_code_and_the_console_s_sentence(pipeline, status, code):
    with Server(lambda handler: reply(handler, status, {"detail": "Why not.", "code": "x"})) as here:
        assert pipeline(here.url)("api", "GET", "/me", code=code).err == "Why not.\n"


def test_a_private_authority_is_trusted_when_it_is_named_and_only_then(pipeline, tmp_path):
    authority = pki.Authority()
    (tmp_path / "server.pem").write_text(authority.server_pem)
    (tmp_path / "ca.pem").write_text(authority.ca_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with Server(lambda handler: reply(handler, 200, ME), tls=context) as here:
        told = pipeline(here.url)("whoami", code=6).err
        assert f"The certificate of {here.url} is not trusted" in told
        assert "--ca or SSL_CERT_FILE" in told
        assert here.seen == []  # no token went anywhere
        pipeline(here.url)("--ca", "ca.pem", "whoami")
        pipeline(here.url, SSL_CERT_FILE=str(tmp_path / "ca.pem"))("whoami")
        assert (
            "cannot be read as certificates" in pipeline(here.url)("--ca", "none.pem", "whoami", code=2).err
        )


def test_a_job_without_its_secret_is_told_so_and_not_to_sign_in(tmp_path):
    at = Airdeck(tmp_path, AIRDECK_URL="http://127.0.0.1:9", AIRDECK_TOKEN="")
    told = at("deploy", "-d", "calm-orbit-0012", code=3, cwd=_with_a_dag(tmp_path)).err
    assert told.endswith(
        "AIRDECK_TOKEN is empty: this job was not given the secret. Check its name, and whether a job of this branch "
        "may have it.\n"
    )


def _with_a_dag(folder):
    (folder / "one.py").write_text("x = 1\n")
    return folder


def test_a_command_without_a_deployment_says_where_to_name_it(pipeline):
    at = pipeline("http://127.0.0.1:9")
    for where, command in (
        ("after the command", ("deployment", "hibernate")),
        ("with -d", ("deployment", "variable", "set", "A=1")),
        ("with -d", ("deploys", "show", "1")),
    ):
        assert f"Name the Deployment {where}, by its release name" in at(*command, code=2).err, command
    for wrong in (("api", "/me"), ("api", "GET", "me"), ("api", "POST", "/me")):
        assert "Write GET and a path that begins with a slash" in at(*wrong, code=2).err


def test_a_token_with_a_typing_error_is_refused_without_asking_anybody(tmp_path):
    wrong = TOKEN[:-1] + ("A" if TOKEN[-1] != "A" else "B")
    at = Airdeck(tmp_path, AIRDECK_URL="http://127.0.0.1:9", AIRDECK_TOKEN=wrong)
    assert "This is not an API token of Airdeck" in at("whoami", code=3).err


def test_debug_tells_addresses_and_no_token(pipeline):
    with Server(lambda handler: reply(handler, 200, ME)) as here:
        told = pipeline(here.url)("--debug", "whoami").err
        assert re.match(r"GET /me 200 \d\.\d\d s\n", told)
        assert "adk_" not in told
        assert here.seen[0][2]["Authorization"] == f"Bearer {TOKEN}"
