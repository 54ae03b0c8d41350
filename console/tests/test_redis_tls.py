"""Redis by TLS: its certificate is checked, on both ways by which the console speaks to it."""

import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from socket import create_server

import pytest

from console.tests.test_environment import settings_of
from deployments.tests.dataplane.kubernetes.pki import Authority

ROOT = Path(__file__).resolve().parents[2]
WAYS = {
    "Celery": "from console.celery import app; app.connection_for_write().connect()",
    "events": "from console.celery import app; from console.kit.events import _redis; _redis().ping()",
}


class Server:
    """It ends each connection once it was made secure, and counts what people would have sent over."""

    def __init__(self, authority: Authority, folder: Path) -> None:
        (folder / "server.pem").write_text(authority.server_pem)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "server.pem")
        self.socket = create_server(("127.0.0.1", 0))
        self.trusted = 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        with suppress(OSError):
            while True:
                raw, _ = self.socket.accept()
                with suppress(OSError), self.context.wrap_socket(raw, server_side=True) as secure:
                    self.trusted += bool(secure.recv(1))  # by TLS 1.3 the client's refusal comes first


@pytest.fixture
def authority(tmp_path) -> Authority:
    made = Authority()
    (tmp_path / "ca.pem").write_text(made.ca_pem)
    return made


@pytest.fixture
def server(authority, tmp_path) -> Iterator[Server]:
    made = Server(authority, tmp_path)
    yield made
    made.socket.close()


def ask(way: str, url: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WAYS[way]],
        env={**os.environ, "REDIS_URL": url, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "hush" not in done.stdout + done.stderr
    return done.stderr


@pytest.mark.thorough
@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_nobody_vouches_for_hears_no_password(way, server, tmp_path):
    url = f"rediss://:hush@127.0.0.1:{server.socket.getsockname()[1]}/0"
    assert "CERTIFICATE_VERIFY_FAILED" in ask(way, url)
    assert server.trusted == 0
    ask(way, f"{url}?ssl_ca_certs={tmp_path / 'ca.pem'}")
    assert (before := server.trusted) > 0
    ask(way, url, SSL_CERT_FILE=str(tmp_path / "ca.pem"))
    assert server.trusted > before


@pytest.mark.thorough
def test_celery_is_told_only_where_it_speaks_tls():
    assert settings_of("CELERY_BROKER_USE_SSL", REDIS_URL="redis://h/0") == {"CELERY_BROKER_USE_SSL": None}
    assert settings_of("CELERY_BROKER_USE_SSL", REDIS_URL="rediss://h/0") != {"CELERY_BROKER_USE_SSL": None}
