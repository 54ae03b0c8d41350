"""What an operator writes into the environment: taken as it is meant, or refused at start in words."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from console import checks
from console.environment import hosts, mail_encryption

ROOT = Path(__file__).resolve().parents[2]


def settings_of(*names: str, **environment: str) -> dict[str, object]:
    """Those settings as a process with that environment has them."""
    script = (
        f"import json; from console import settings as s; print(json.dumps({{n: getattr(s, n) for n in {names!r}}}, "
        "default=str))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(done.stderr.strip().splitlines()[-1])
    return dict(json.loads(done.stdout))


def test_blanks_around_host_names_are_dropped() -> None:
    assert hosts(["a.example", " B.example ", "", " ", ".example.org", "[::1]", "*"]) == [
        *("a.example", "b.example", ".example.org", "[::1]", "*")
    ]
    assert settings_of("ALLOWED_HOSTS", ALLOWED_HOSTS="a.example, b.example")["ALLOWED_HOSTS"] == [
        "a.example",
        "b.example",
    ]


@pytest.mark.parametrize(
    "entry",
    [
        *(
            "a.example:8000",
            "https://a.example",
            "a.example/",
            '"a.example"',
            "'a.example'",
            "a b",
            "*.example",
        ),
        *("[::1", "[fe80::x]", "[::1]:80", "a..example", "-a", "a.example\n.b"),
    ],
)
def test_what_no_host_header_matches_is_refused_in_words(entry: str) -> None:
    with pytest.raises(ValueError, match=r"ALLOWED_HOSTS holds .* is not a host name"):
        hosts(["b.example", entry])


def test_a_wrong_host_name_stops_the_start_with_the_sentence() -> None:
    with pytest.raises(
        ValueError, match=r"ALLOWED_HOSTS holds .https://a\.example., which is not a host name"
    ):
        settings_of(ALLOWED_HOSTS="https://a.example")


@pytest.mark.thorough
@pytest.mark.parametrize("role", ["web", "worker", "command"])
def test_options_of_the_database_url_are_kept_beside_ours(role: str) -> None:
    url = "postgresql://u:p@h/d?options=-c%20search_path%3Dx%20-c%20statement_timeout%3D0&application_name=a"
    found = settings_of("DATABASES", DATABASE_URL=url, PROCESS_ROLE=role)["DATABASES"]["default"]["OPTIONS"]
    words = found["options"].split(" -c ")
    assert words[0] == "-c search_path=x"
    assert words.index("statement_timeout=0") < next(
        n for n, word in enumerate(words) if word in {"statement_timeout=2100", "statement_timeout=5000"}
    )  # of two the last one counts
    assert found["application_name"] == "a"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("port", "starttls", "expected"),
    [
        (587, True, {"use_ssl": False, "use_tls": True}),
        (25, False, {"use_ssl": False, "use_tls": False}),
        (465, True, {"use_ssl": True, "use_tls": False}),
        (465, False, {"use_ssl": True, "use_tls": False}),
    ],
)
def test_port_465_is_tls_at_once(port: int, starttls: bool, expected: dict[str, bool]) -> None:
    assert mail_encryption(port, starttls=starttls) == expected
    options = settings_of(
        "MAILERS", EMAIL_HOST="mail.example", EMAIL_PORT=str(port), EMAIL_TLS=str(starttls).lower()
    )["MAILERS"]["default"]["OPTIONS"]
    assert {name: options[name] for name in expected} == expected


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SECRET_KEY", "", "SECRET_KEY is empty"),
        ("SECRET_KEY", "hush-hush", "SECRET_KEY is too easy to guess"),
        ("SECRET_KEY", "hush" + 60 * "h", "SECRET_KEY is too easy to guess"),
        ("ENCRYPTION_KEYS", " ", "ENCRYPTION_KEYS is empty"),
        ("ENCRYPTION_KEYS", "hush-hush", "must hold Fernet keys"),
        ("DATABASE_URL", "", "DATABASE_URL is empty"),
    ],
)
def test_an_empty_or_damaged_secret_stops_the_start_and_is_not_repeated(
    tmp_path, name, value, sentence
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{value}\n")
    with pytest.raises(ValueError, match=sentence) as refused:
        settings_of(**{f"{name}_FILE": str(file)})
    assert "hush" not in str(refused.value)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "password", ["hush[hush", "hush/hush", "hush#hush", "hush?hush", "hush]hush", "@hush@:hush"]
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_an_address_with_an_odd_password_is_refused_or_taken_and_never_repeated(name, password) -> None:
    url = f"{'postgresql' if name == 'DATABASE_URL' else 'redis'}://airdeck:{password}@db.example/name"
    environment = {**os.environ, "PROCESS_ROLE": "web", name: url}
    done = subprocess.run(
        [sys.executable, "-c", "import console.settings"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "hush" not in done.stdout + done.stderr
    if done.returncode:
        assert f"{name} cannot be read" in done.stderr


@pytest.mark.thorough
@pytest.mark.parametrize("url", ["mysql://u:hush@h/d", "postgresql://u:hush@h", "hush", "://hush"])
def test_what_is_no_postgres_is_refused(url) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL cannot be read") as refused:
        settings_of(DATABASE_URL=url)
    assert "hush" not in str(refused.value)


SOUND = {"LOG_LEVEL": "INFO", "EMAIL_HOST": "mail.example"}
CANNOT_BE = [
    ("LEASE_SECONDS", "30", r"from 46 to 3600\. A task may take 45 s, and no other one may claim"),
    ("SWEEP_SECONDS", "0", "from 1 to 600"),
    ("DATABASE_POOL", "0", "from 2 to 1000"),
    ("GIT_CHECKS_AT_ONCE", "0", "from 1 to 64"),
    ("METRICS_PORT", "94640", "from 0 to 65535"),
    ("TRUSTED_PROXY_COUNT", "-1", "from 0 to 10"),
    ("TASK_LOG_DAYS", "0", "from 1 to 36500"),
    ("EMAIL_PORT", "0", "from 1 to 65535"),
    ("LOG_FORMAT", "text", "write one of json, plain"),
    ("LOG_LEVEL", "verbose", "write one of DEBUG, INFO, WARNING, ERROR"),
    ("BASE_URL", "airdeck.example.org", "write the address at which people reach the console"),
    ("BASE_URL", "https://example.org/airdeck", "without a path"),
    ("OIDC_ONLY", "true", "closes every way in but the company account, and OIDC_URL names none"),
    ("EMAIL_USER", "airdeck", "EMAIL_USER and EMAIL_PASSWORD .* Set both, or neither"),
    ("EMAIL_PASSWORD", "hush", "EMAIL_USER and EMAIL_PASSWORD .* Set both, or neither"),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "value", "sentence"), CANNOT_BE)
def test_a_setting_with_which_no_console_works_stops_the_start_in_words(name, value, sentence) -> None:
    with pytest.raises(ValueError, match=sentence) as refused:
        settings_of(**{**SOUND, name: value})
    assert name in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("LOG_FORMAT", "text", "LOG_FORMAT is 'text': write one of json, plain.\n"),
        ("SECRET_KEY_FILE", "/nowhere", "The value of SECRET_KEY_FILE must be a readable file path.\n"),
    ],
)
def test_a_command_ends_with_the_sentence_alone(name, value, sentence) -> None:
    argv = [sys.executable, "manage.py", "check"]
    environment = {**os.environ, name: value}
    done = subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, sentence)


def test_web_does_not_start_where_it_would_answer_no_one() -> None:
    with pytest.raises(ValueError, match="ALLOWED_HOSTS is empty: name the hosts"):
        settings_of(ALLOWED_HOSTS="", PROCESS_ROLE="web")
    assert settings_of("ALLOWED_HOSTS", ALLOWED_HOSTS="", PROCESS_ROLE="worker") == {"ALLOWED_HOSTS": []}


def test_every_setting_has_a_row_in_the_table_and_every_row_is_one_that_something_reads() -> None:
    """Of those that `make run` alone reads, the code is elsewhere."""
    asked = re.compile(r'(?:env\.\w+\(|number\(\s*env, |secret\(|environ(?:ment)?\.get\()\s*"([A-Z][A-Z_]+)"')
    table = (ROOT / "README.md").read_text().partition("## Configuration")[2].partition("\n\n`EMBEDDED`")[0]
    rows = {
        name for row in re.findall(r"^\| (.*?) \|", table, re.M) for name in re.findall(r"`([A-Z_]+)`", row)
    }
    code = "".join((ROOT / "console" / name).read_text() for name in ("settings.py", "environment.py"))
    internal = {"EMBEDDED", "DATABASE_URL_FILE"}
    assert set(asked.findall(code)) - internal - rows == set()
    everything = "".join(
        path.read_text()
        for folder in ("console", "workspaces", "deployments")
        for path in (ROOT / folder).rglob("*.py")
        if "tests" not in path.parts
    )
    outside = {"HTTPS_PROXY", "UV_DEFAULT_INDEX", "UV_CACHE_DIR"}  # of libraries and of uv
    assert {name for name in rows - outside if f'"{name}"' not in everything} == set()


def test_the_level_of_logs_may_be_written_small() -> None:
    found = settings_of("LOGGING", LOG_LEVEL="warning")["LOGGING"]
    assert found["root"]["level"] == "WARNING"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"SECURE_PROXY_SSL_HEADER": None}, ["console.E002"]),
        ({"BASE_URL": "https://other.example.org"}, ["console.E003"]),
        ({"BASE_URL": "http://127.0.0.1:8000", "ALLOWED_HOSTS": ["*"]}, ["console.E003"]),
        ({"ALLOWED_HOSTS": [".example.org"], "BASE_URL": "https://other.example.org"}, []),
        ({}, []),
    ],
)
def test_settings_by_which_no_one_comes_in_are_told_by_the_check(changes, found, settings) -> None:
    sound = {
        "SECURE_SSL_REDIRECT": True,
        "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
        "BASE_URL": "https://airdeck.example.org:8443",
        "ALLOWED_HOSTS": ["airdeck.example.org"],
    }
    for name, value in {**sound, **changes}.items():
        setattr(settings, name, value)
    assert [each.id for each in checks.is_reached()] == found
