"""URLs of Postgres servers: one reader, held against libpq and against whatever else reads them."""

import string
from urllib.parse import quote, unquote

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from console.kit.refusals import ActionRefused
from deployments.actions import clusters
from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.kubernetes.checks.postgres_verdicts import database_address
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.manifests import network
from deployments.dataplane.postgres import databases
from deployments.dataplane.postgres.server_url import ServerUrl, UnusableUrl

HOSTS = ("db.example", "10.1.2.3", "[2001:db8::5]", "[2001:db8::1:2]", "a_b.example")
TYPED = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), max_size=24)


def accepted(url: str) -> bool:
    """Whether the form takes it; a refusal is one in words, and nothing else may come out."""
    try:
        clusters.checked_url(url)
    except ActionRefused:
        return False
    return True


# -- What is typed --


@given(TYPED)
@example("pa@ss-tail")
@example("s3cr[t")
@example("a/b")
@example("a:b?c#d")
@example("%41%zz")
@example("x@127.0.0.1:1/postgres?application_name=")
def test_a_password_typed_as_it_is_means_itself_or_is_refused(password):
    url = f"postgresql://admin:{password}@db.example:5432/postgres"
    if accepted(url):
        server = ServerUrl.of(url)
        assert (server.user, server.password) == ("admin", unquote(password))
        assert (*server.address, server.database) == ("db.example", 5432, "postgres")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30))
def test_an_escaped_password_is_always_accepted_and_no_message_repeats_it(password):
    url = f"postgresql://admin:{quote(password, safe='')}@db.example/postgres"
    assert accepted(url)
    assert ServerUrl.of(url).password == password


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://admin:pa@ss-tail@127.0.0.1:1/postgres", "special characters"),
        ("postgresql://admin:pa/ss-tail@127.0.0.1:1/postgres", "needs a user|no number|special"),
        (
            "postgresql://admin:ss-tail@h1:5432,h2:5433/postgres?target_session_attrs=read-write",
            "target_session",
        ),
        ("postgresql://admin:ss-tail@h1:5432,h2:5433/postgres", "several hosts"),
        ("postgresql://admin:ss-tail@h/postgres?options=-csearch_path%3Dx", "has options"),
        ("postgresql://admin:ss-tail@h/postgres?service=x", "has service"),
        ("postgresql://admin:ss-tail@h/postgres?sslmode=verify", "sslmode is none of"),
        ("postgresql://admin:ss-tail@h:0/postgres", "port is not a number"),
        ("postgresql://admin:ss-tail@h:99999/postgres", "port is not a number"),
        ("postgresql://admin:ss-tail@[fe80::1%25eth0]/postgres", "one machine only"),
        ("postgresql://admin:ss-tail@h h/postgres", "cannot be read"),
        ("postgresql://admin:ss-tail@hé/postgres", "neither a name nor an address"),
        ("postgresql://admin:ss-tail@[2001:db8::5/postgres", "cannot be read"),
    ],
)
def test_what_is_not_understood_is_refused_before_anything_is_sent(url, words, monkeypatch):
    monkeypatch.setattr(psycopg.Connection, "connect", lambda *_, **__: pytest.fail("it connected"))
    with pytest.raises(ActionRefused, match=words) as refused:
        clusters.checked_url(url)
    assert "ss-tail" not in str(refused.value)
    with pytest.raises(DataPlaneError, match=words) as failed, databases.connect(url):
        pass
    assert "ss-tail" not in str(failed.value)


def test_a_server_that_falls_silent_is_given_up_unless_the_url_says_otherwise() -> None:
    ours = ServerUrl.of("postgresql://u:p@db.example/d").keepalives
    assert set(ours) == {"keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"}
    said = ServerUrl.of("postgresql://u:p@db.example/d?keepalives_idle=300").keepalives
    assert said == {key: value for key, value in ours.items() if key != "keepalives_idle"}


# -- Who reads it --


@given(
    host=st.sampled_from(HOSTS),
    port=st.none() | st.integers(1, 65535),
    user=st.text(string.ascii_letters + "@:/ %é", min_size=1, max_size=9),
    parameters=st.dictionaries(
        st.sampled_from(("sslmode", "sslrootcert", "keepalives_idle", "connect_timeout")),
        st.sampled_from(("require", "disable")),
    ),
)
def test_the_console_and_airflow_and_the_policies_mean_the_same_server(host, port, user, parameters):
    query = "&".join(f"{key}={value}" for key, value in parameters.items())
    typed = f"postgresql://{quote(user, safe='')}:pw@{host}{f':{port}' if port else ''}/postgres?{query}"
    server = ServerUrl.of(clusters.checked_url(typed))
    ours, airflows = (
        conninfo_to_dict(server.conninfo()),
        databases.url(typed, database="d", user="u@", password="p/"),
    )
    theirs = conninfo_to_dict(airflows)
    for key in ("host", "port", "sslmode", "sslrootcert", "keepalives_idle"):
        assert ours.get(key) == theirs.get(key) == conninfo_to_dict(typed).get(key)
    assert (ours["user"], theirs["user"], theirs["password"], theirs["dbname"]) == (user, "u@", "p/", "d")
    again = ServerUrl.of(airflows)
    assert (again.address, again.parameters) == (server.address, server.parameters)
    rule = network._to_database(ClusterSettings.of({}), airflows)
    assert rule["ports"][0]["port"] == server.address[1]
    if "to" in rule:
        assert rule["to"][0]["ipBlock"]["cidr"].partition("/")[0] == server.host
    else:
        assert not server.host[0].isdigit()


def test_an_address_of_version_6_keeps_its_brackets():
    url = "postgresql://a:b@[2001:db8::5]:5432/postgres"
    assert "@[2001:db8::5]:5432/d" in databases.url(url, database="d", user="u", password="p")


def test_a_bad_url_that_was_stored_is_told_in_words_when_it_is_used():
    with pytest.raises(DataPlaneError, match="special characters"):
        databases.url("postgresql://a:b@c@d/e", database="d", user="u", password="p")
    (check,) = database_address("postgresql://a:b@c@d/e")
    assert (check.state, "special characters" in check.sentence) == ("missing", True)


# -- What a server says --


def test_a_server_that_is_down_is_told_by_host_port_and_cause():
    with (
        pytest.raises(
            DataPlaneUnreachable, match=r'"127\.0\.0\.1", port 1 failed: Connection refused'
        ) as caught,
        databases.connect("postgresql://a:hunter2@127.0.0.1:1/postgres"),
    ):
        pass
    assert "Is the server running" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "state", "words"),
    [
        ("sslmode=verify-full&sslrootcert=/etc/ssl/rds.pem", "missing", "/etc/ssl/rds.pem"),
        ("sslmode=verify-ca", "missing", "root.crt"),
        ("sslmode=require&sslrootcert=/etc/ssl/rds.pem", "warning", "without looking at the certificate"),
    ],
)
def test_a_certificate_that_pods_do_not_have_is_told(query, state, words):
    _, check = database_address(f"postgresql://a:b@db.example/postgres?{query}")
    assert check.state == state
    assert words in check.sentence


@pytest.mark.parametrize("query", ["", "sslmode=require", "sslmode=verify-full&sslrootcert=system"])
def test_without_a_file_there_is_nothing_to_tell(query):
    (check,) = database_address(f"postgresql://a:b@db.example/postgres?{query}")
    assert check.state == "ok"


def test_nothing_else_than_this_reader_takes_such_urls_apart():
    assert accepted("postgres://a:b@h/d?ssl=true&connect_timeout=4&application_name=x")
    with pytest.raises(UnusableUrl):
        ServerUrl.of("postgresql:///d")
