"""The installer: how it reads what pip and uv are told, and how it gets the pinned uv and nothing else."""

import ast
import base64
import hashlib
import http.server
import os
import platform
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.installer import fetch, python, reach
from console.installer.__main__ import main
from console.installer.reach import Reach
from console.installer.refusal import Refusal

BASE = Path(reach.__file__).parent.parent.parent
ONE, TWO = "https://one.example/simple", "https://two.example/simple"
WHEEL = f"uv-1.2.3-py3-none-manylinux_2_17_{platform.machine()}.manylinux2014_{platform.machine()}.whl"


@pytest.fixture
def home(tmp_path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("environ", "files", "index"),
    [
        ({}, {}, ""),
        ({"PIP_INDEX_URL": ONE}, {}, ONE),
        ({"UV_INDEX_URL": ONE, "PIP_INDEX_URL": TWO}, {}, ONE),
        ({"UV_DEFAULT_INDEX": f"inside={ONE}", "UV_INDEX_URL": TWO}, {}, ONE),
        ({}, {"etc/pip.conf": f"[global]\nindex-url = {ONE}\n"}, ONE),
        ({}, {"etc/pip.conf": f"[install]\nindex-url: {ONE}\n[global]\nindex-url={TWO}\n"}, ONE),
        ({}, {"home/.pip/pip.conf": f"[global]\nindex-url={ONE}", "etc/pip.conf": f"[global]\nindex-url={TWO}"}, ONE),
        ({}, {"home/.config/pip/pip.conf": f"[global]\nindex-url={ONE}%40\n"}, f"{ONE}%40"),
        ({}, {"etc/xdg/pip/pip.conf": f"[global]\nindex-url={ONE}\n"}, ONE),
        ({}, {"etc/pip.conf": "no section\n"}, ""),
        ({"PIP_CONFIG_FILE": "/dev/null"}, {"etc/pip.conf": f"[global]\nindex-url={ONE}\n"}, ""),
        ({}, {"etc/uv/uv.toml": f'index-url = "{ONE}"\n', "etc/pip.conf": f"[global]\nindex-url={TWO}\n"}, ONE),
        ({}, {"home/.config/uv/uv.toml": f'[[index]]\nurl = "{TWO}"\n[[index]]\nurl = "{ONE}"\ndefault = true\n'}, ONE),
        ({}, {"etc/uv/uv.toml": f'[pip]\nindex-url = "{ONE}"\n'}, ONE),
        ({"UV_NO_CONFIG": "1"}, {"etc/uv/uv.toml": f'index-url = "{ONE}"\n'}, ""),
        ({}, {"etc/uv/uv.toml": "half [\n"}, ""),
        ({"XDG_CONFIG_HOME": "{root}/x"}, {"x/pip/pip.conf": f"[global]\nindex-url={ONE}\n"}, ONE),
    ],
)  # fmt: skip
def test_the_index_is_the_one_that_uv_or_pip_is_told(tmp_path, home, environ, files, index):
    for name, text in files.items():
        write(tmp_path / name, text)
    environ = {name: value.format(root=tmp_path) for name, value in environ.items()}
    assert reach.read({"HOME": str(home), **environ}, root=tmp_path).index == index


@pytest.mark.parametrize(
    ("environ", "more"),
    [
        ({}, {"UV_SYSTEM_CERTS": "true"}),
        ({"PIP_INDEX_URL": ONE}, {"UV_DEFAULT_INDEX": ONE, "UV_SYSTEM_CERTS": "true"}),
        ({"UV_INDEX_URL": ONE, "SSL_CERT_FILE": "/c"}, {}),
        ({"PIP_CERT": "/c"}, {"SSL_CERT_FILE": "/c"}),
        ({"REQUESTS_CA_BUNDLE": "/c", "UV_NATIVE_TLS": "0"}, {"SSL_CERT_FILE": "/c"}),
        ({"SSL_CERT_DIR": "/d"}, {}),
        ({"UV_SYSTEM_CERTS": "0", "PIP_PROXY": "http://p:1"}, {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://p:1"}),
        ({"UV_SYSTEM_CERTS": "0", "PIP_PROXY": "http://p:1", "https_proxy": "http://q:1"}, {"HTTP_PROXY": "http://p:1"}),
        ({"UV_SYSTEM_CERTS": "0", "PIP_TRUSTED_HOST": "a b"}, {"UV_INSECURE_HOST": "a b"}),
    ],
)  # fmt: skip
def test_uv_is_told_what_pip_is_told_and_keeps_what_it_is_told_itself(tmp_path, home, environ, more):
    assert reach.for_uv({"HOME": str(home), **environ}, root=tmp_path) == more


@pytest.mark.parametrize("file", ["console/__init__.py", "console/kit/packages.py", "console/installer"])
def test_what_runs_first_is_written_for_an_older_python(file):
    path = BASE / file
    for source in path.glob("*.py") if path.is_dir() else [path]:
        ast.parse(source.read_text(), feature_version=(3, 9))


class Index(http.server.BaseHTTPRequestHandler):
    """A simple index on loopback: a page of links, and the one wheel."""

    wheel = b""
    asked: list[tuple[str, str]] = []

    def do_GET(self) -> None:
        type(self).asked.append((self.path, self.headers.get("Authorization", "")))
        if self.path == "/simple/uv/":
            links = [
                f'<a href="../../files/{name}#sha256=0">{name}</a>' for name in ("uv-1.2.3.tar.gz", WHEEL)
            ]
            self._answer(200, "".join(links).encode())
        elif self.path == f"/files/{WHEEL}":
            self._answer(200, self.wheel)
        elif self.path.startswith("/closed/"):
            self._answer(401, b"")
        else:
            self._answer(404, b"")

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        """Say nothing."""


@pytest.fixture
def index(tmp_path, monkeypatch) -> Iterator[str]:
    """Its host and port. It holds a uv 1.2.3 that is a shell script."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    wheel = tmp_path / "made.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("uv-1.2.3.data/scripts/uv", "#!/bin/sh\necho it is me\n")
    Index.wheel, Index.asked = wheel.read_bytes(), []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def desired(version: str = "1.2.3", content: bytes | None = None) -> fetch.Pinned:
    digest = hashlib.sha256(Index.wheel if content is None else content).hexdigest()
    return fetch.pinned(
        f"other==1 \\\n    --hash=sha256:{'0' * 64}\nuv=={version} \\\n    --hash=sha256:{digest}\n"
    )


def test_uv_is_fetched_checked_and_can_be_run(index, tmp_path):
    program = fetch.uv(desired(), Reach(f"http://ada:p%40ss@{index}/simple/"), tmp_path)
    assert subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout == "it is me\n"
    sent = f"Basic {base64.b64encode(b'ada:p@ss').decode()}"
    assert Index.asked == [("/simple/uv/", sent), (f"/files/{WHEEL}", sent)]


def test_another_hash_is_refused_and_nothing_of_it_is_kept(index, tmp_path):
    folder = tmp_path / "fetched"
    folder.mkdir()
    with pytest.raises(Refusal, match="its hash differs"):
        fetch.uv(desired(content=b"another"), Reach(f"http://{index}/simple"), folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("version", "path", "says"),
    [
        ("9.9.9", "simple", "at 127.0.0.1 has no uv 9.9.9"),
        ("1.2.3", "closed", r"at 127.0.0.1 or its proxy refuses this machine \(401\)"),
        ("1.2.3", "nowhere", "at 127.0.0.1 answers 404"),
    ],
)
def test_what_the_index_does_not_give_is_told_in_a_sentence_without_the_password(
    index, tmp_path, version, path, says
):
    with pytest.raises(Refusal, match=says) as refused:
        fetch.uv(desired(version), Reach(f"http://ada:p%40ss@{index}/{path}"), tmp_path)
    assert "p%40ss" not in str(refused.value)


def test_a_proxy_that_does_not_answer_is_told_in_a_sentence(index, tmp_path):
    with pytest.raises(Refusal, match=r"at index\.example cannot be reached .*HTTPS_PROXY"):
        fetch.uv(desired(), Reach("https://index.example/simple", proxy="http://127.0.0.1:9"), tmp_path)


def test_without_an_index_and_without_pip_the_sentence_names_both(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "DEFAULT_INDEX", "")
    monkeypatch.setattr(sys, "executable", f"{tmp_path}/python")
    write(tmp_path / "python", "#!/bin/sh\necho 'No module named pip' >&2; exit 1\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(
        Refusal, match=r"UV_DEFAULT_INDEX, or install pip .`apt install python3-pip` on Debian"
    ):
        fetch.uv(desired(), Reach(), tmp_path)


def test_requirements_pin_uv_with_a_hash_for_this_machine():
    assert len(fetch.pinned((BASE / "requirements.txt").read_text()).hashes) > 5


def test_what_is_installed_is_left_alone_without_any_network(tmp_path, monkeypatch, capsys):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    digest = hashlib.sha256((BASE / "requirements.txt").read_bytes()).hexdigest()
    (tmp_path / "installed").write_text(digest)
    monkeypatch.setenv("VENV", str(tmp_path))
    monkeypatch.setattr("console.installer.__main__._uv", lambda *_: pytest.fail("it asked for uv"))
    assert main([]) == 0
    assert capsys.readouterr() == ("", "")
    (tmp_path / "installed").write_text("what was pinned before")
    with pytest.raises(pytest.fail.Exception, match="it asked for uv"):
        main([])


def test_a_place_that_cannot_be_written_is_refused_with_what_to_say(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VENV", str(tmp_path / "x"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert main([]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert f"may not write into {tmp_path}" in message
    assert "STATE_DIR=" in message


def test_without_any_python_make_says_what_to_install():
    done = subprocess.run(
        ["make", "--silent", "install", "PYTHONS=no-python"],
        cwd=BASE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    message = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert message == [
        "Airdeck cannot be installed: no Python from 3.9 on is on PATH: install one (`apt install python3` on Debian, "
        "`dnf install python3` on Fedora, `pacman -S python` on Arch)."
    ]


@pytest.fixture
def scripted_uv(tmp_path) -> Path:
    """A uv that has no Python and cannot fetch one, or makes the environment on what it is given."""
    program = tmp_path / "uv"
    program.write_text(
        '#!/bin/sh\ncase "$1 $*" in\n'
        '"python "*) [ -n "$FOUND" ] && for last; do :; done && [ "$last" = 3.12 ] && echo "$FOUND" ;;\n'
        '*--managed-python*) echo "error: Request failed" >&2; echo "  cause: dns error" >&2; exit 2 ;;\n'
        '*) echo "$*" > "$0.said" ;;\nesac\n'
    )
    program.chmod(0o755)
    return program


def test_a_python_that_is_there_is_taken_before_any_download(scripted_uv, tmp_path):
    environment = {"PATH": os.defpath, "FOUND": "/opt/python3.12"}
    python.make_venv(scripted_uv, tmp_path / "venv", environment, "")
    assert "--python /opt/python3.12" in (tmp_path / "uv.said").read_text()


def test_no_python_and_no_download_is_one_sentence(scripted_uv, tmp_path):
    with pytest.raises(Refusal, match=r"needs Python 3\.12 or 3\.13, .*`dnf install python3\.13` on Fedora"):
        python.make_venv(scripted_uv, tmp_path / "venv", {"PATH": os.defpath}, "")


def test_another_python_than_the_console_runs_on_is_refused(scripted_uv, tmp_path):
    with pytest.raises(Refusal, match=r"UV_PYTHON is '3\.9', which is not a Python 3\.13 or 3\.12"):
        python.make_venv(scripted_uv, tmp_path / "venv", {"PATH": os.defpath}, "3.9")
