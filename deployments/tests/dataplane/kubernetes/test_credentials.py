"""A kubeconfig is untrusted input: what would run a program, read a file of this machine or send the traffic elsewhere
is refused in words, and nothing of it happens. Private and loopback addresses are fine: operators name the clusters,
and many an API server has no other."""

import base64
import socket
import threading

import pytest
import yaml

from deployments.dataplane.kubernetes.api.credentials import Credentials, KubeconfigError, in_cluster, parse
from deployments.tests.dataplane.kubernetes.emulator import Emulator

SECRET = "marked-token-3f9c"
PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").decode()


def document(cluster: dict | None = None, user: dict | None = None, **more) -> dict:
    """A good kubeconfig, with changes."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": {"token": SECRET, **(user or {})}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
        **more,
    }


@pytest.fixture
def marker(tmp_path):
    """A file that a program in a kubeconfig would make; whether it did is asked at the end."""
    path = tmp_path / "marker"
    yield path
    assert not path.exists(), "something in the kubeconfig was run"


@pytest.fixture
def tempted(tmp_path):
    """A file with a secret that a kubeconfig would send away."""
    path = tmp_path / "local-secret"
    path.write_text(SECRET + "-of-a-file")
    return path


@pytest.fixture
def listener():
    """A server that nothing may speak to. It counts who connects."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        calls, done = [], threading.Event()

        def listen():
            while not done.is_set():
                try:
                    calls.append(server.accept()[0].close())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        yield server.getsockname()[1]
        done.set()
        thread.join()
    assert not calls, "a request was sent"


MALICIOUS = {
    "exec": lambda m, f, p: document(
        user={"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [str(m)]}}
    ),
    "auth-provider": lambda m, f, p: document(
        user={"auth-provider": {"name": "gcp", "config": {"cmd-path": "touch", "cmd-args": str(m)}}}
    ),
    "tokenFile": lambda m, f, p: document(user={"tokenFile": str(f)}),
    "client-certificate": lambda m, f, p: document(user={"client-certificate": str(f)}),
    "client-key": lambda m, f, p: document(user={"client-key": str(f)}),
    "certificate-authority": lambda m, f, p: document({"certificate-authority": str(f)}),
    "proxy-url": lambda m, f, p: document({"proxy-url": f"http://127.0.0.1:{p}"}),
    "insecure-skip-tls-verify": lambda m, f, p: document({"insecure-skip-tls-verify": True}),
    "skip as text": lambda m, f, p: document({"insecure-skip-tls-verify": "true"}),
    "password": lambda m, f, p: document(user={"username": "u", "password": SECRET}),
    "impersonation": lambda m, f, p: document(user={"as": "system:admin"}),
    "impersonated groups": lambda m, f, p: document(user={"as-groups": ["system:masters"]}),
    "http server": lambda m, f, p: document({"server": f"http://127.0.0.1:{p}"}),
    "unix socket": lambda m, f, p: document({"server": "unix:///var/run/docker.sock"}),
    "file server": lambda m, f, p: document({"server": f"file://{f}"}),
    "user in the URL": lambda m, f, p: document({"server": "https://user:pass@10.0.0.1"}),
    "query in the URL": lambda m, f, p: document({"server": "https://10.0.0.1/?a=b"}),
    "no URL": lambda m, f, p: document({"server": "https://[::1"}),
    "server of a wrong type": lambda m, f, p: document({"server": {"https": 1}}),
    "token of a wrong type": lambda m, f, p: document(user={"token": ["a", "b"]}),
    "token with a line break": lambda m, f, p: document(user={"token": "a\r\nHost: evil"}),
    "broken certificate": lambda m, f, p: document({"certificate-authority-data": "!!!"}),
    "no certificate": lambda m, f, p: document(
        {"certificate-authority-data": base64.b64encode(b"hello").decode()}
    ),
    "certificate without key": lambda m, f, p: document(user={"client-certificate-data": PEM}),
    "nobody": lambda m, f, p: document(users=[{"name": "u", "user": {}}]),
    "unknown context": lambda m, f, p: document(**{"current-context": "prod"}),
    "no context": lambda m, f, p: document(**{"current-context": ""}),
    "context without cluster": lambda m, f, p: document(clusters=[]),
    "clusters of a wrong type": lambda m, f, p: document(clusters={"c": 1}),
}


INSIDE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "written",
    [
        lambda data: f"|\n        {data[:30]}\n        {data[30:]}\n",
        lambda data: f">-\n        {data[:30]}\n        {data[30:]}\n",
        lambda data: f">\n        {data[:30]}\n\n        {data[30:]}\n\n",
        lambda data: f'"{data}\\n"',
        lambda data: f'" {data[:7]} {data[7:]}\\r\\n"',
    ],
)
@pytest.mark.parametrize(
    "pem",
    [
        INSIDE.encode(),
        f"# Aussteller: Prüfstelle\n{INSIDE}".encode(),
        f"\nsubject=CN x\n{INSIDE}\n# second\n{INSIDE}end\n".encode("latin-1"),
        INSIDE.replace("\n", "\r\n").encode(),
        INSIDE.rstrip().encode(),
    ],
)
def test_a_certificate_is_read_however_yaml_folds_it_and_whatever_stands_around_it(written, pem):
    text = yaml.safe_dump(document({"certificate-authority-data": "PLACE"}))
    text = text.replace("PLACE", written(base64.b64encode(pem).decode()))
    assert parse(text).ca_pem == INSIDE * pem.count(b"BEGIN")


@pytest.mark.parametrize(
    "name",
    [
        "https://10.0.0.1:6443\n",
        " https://10.0.0.1",
        "https://10.0.0.1\t",
        "https://10.\n0.0.1",
        "https://10.0.0.1\u00a0",
    ],
)
def test_an_address_with_a_blank_or_a_line_break_is_refused(name):
    with pytest.raises(KubeconfigError, match="blank or a line break"):
        parse(yaml.safe_dump(document({"server": name})))
    with pytest.raises(KubeconfigError, match="not a host name"):
        parse(yaml.safe_dump(document({"tls-server-name": name})))


@pytest.mark.parametrize("name", MALICIOUS)
def test_it_is_refused_in_words_and_nothing_is_run_read_or_sent(marker, tempted, listener, name):
    text = yaml.safe_dump(MALICIOUS[name](marker, tempted, listener))
    with pytest.raises(KubeconfigError) as refused:
        parse(text)
    sentence = str(refused.value)
    assert sentence.endswith(".")
    assert len(sentence) < 500
    assert SECRET not in sentence


BOMB = "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c]\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "uses YAML aliases"),
        ("x: 1\n---\nx: 2\n", "is not valid YAML"),
        ("!!python/object/apply:os.system ['touch marker']", "is not valid YAML"),
        ("x: !!python/name:os.system", "is not valid YAML"),
        ("[" * 5000, "is not valid YAML"),
        ("x" * 300_000, "is larger than 256 KiB"),
        ("- a\n- b\n", "is not a mapping"),
        ("", "is not a mapping"),
        ("\x00\x01", "is not valid YAML"),
        ("<html><body>Sign in</body></html>", "is not a mapping"),
    ],
)
def test_what_is_no_kubeconfig_is_refused_in_words(text, words):
    with pytest.raises(KubeconfigError, match=words):
        parse(text)


def test_only_the_vetted_values_come_out():
    more = {
        "extensions": [{"name": "evil", "extension": {"exec": "touch x"}}],
        "tls-server-name": "api.example",
    }
    found = parse(yaml.safe_dump(document({**more, "certificate-authority-data": PEM}, preferences={"x": 1})))
    assert found.settings().keys() == {"server", "ca_pem", "token", "tls_server_name"}
    assert Credentials.of(found.settings()) == found
    assert SECRET not in repr(found)


def test_another_context_may_be_chosen_and_what_it_names_counts():
    text = document(
        users=[{"name": "u", "user": {"exec": {"command": "x"}}}, {"name": "v", "user": {"token": "other"}}],
        contexts=[
            {"name": "x", "context": {"cluster": "c", "user": "u"}},
            {"name": "y", "context": {"cluster": "c", "user": "v"}},
        ],
    )
    assert parse(yaml.safe_dump(text), "y").token == "other"
    with pytest.raises(KubeconfigError, match="runs a program"):
        parse(yaml.safe_dump(text))


def test_loopback_and_private_addresses_are_fine():
    for server in (
        "https://127.0.0.1:6443",
        "https://192.168.1.4",
        "https://[fd00::1]:6443",
        "https://api.local/k8s",
    ):
        assert parse(yaml.safe_dump(document({"server": server}))).server == server


def test_inside_a_cluster_the_service_account_serves(tmp_path):
    for name, text in {"token": "t0\n", "ca.crt": "-----BEGIN CERTIFICATE-----\n"}.items():
        (tmp_path / name).write_text(text)
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    found = in_cluster(environment, tmp_path)
    assert (found.server, found.token, found.token_file) == (
        "https://[fd00::1]:443",
        "t0",
        str(tmp_path / "token"),
    )
    assert Credentials.of(found.settings()) == found
    for broken in ({}, {"KUBERNETES_SERVICE_HOST": "x"}):
        with pytest.raises(KubeconfigError, match="does not run inside a cluster"):
            in_cluster(broken, tmp_path / "nowhere")


def test_the_emulators_own_kubeconfig_is_fine():
    with Emulator() as emulator:
        assert parse(emulator.kubeconfig) == emulator.credentials
