"""supervisord's configuration: nothing but what we wrote ever gets into it."""

import configparser
from dataclasses import replace
from pathlib import Path

import pytest

from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import SupervisedProgram, render_group, render_main

ROOT = Path("/srv/air deck/state")
SLEEP = SupervisedProgram("sleep", ("/bin/sleep", "1000"), ROOT, ROOT / "sleep.log")
EVIL = (
    "a\n[program:evil]\ncommand=/bin/true",
    "a\r[x]",
    "100%",
    "%(ENV_HOME)s",
    "a;b",
    "a#b",
    "a'b",
    'a"b',
    "a\x00b",
    "a\\b",
    "a$b",
    "a`b`",
    " a",
    "",
    "a*",
    "a\u2028b",
    "a\u202eb",
)


def parsed(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return parser


def test_a_group_lists_its_programs_under_names_of_its_own() -> None:
    other = replace(SLEEP, name="other", argv=("/bin/my sleep", "a=b"), autostart=False)
    parser = parsed(render_group("calm-orbit-0012.x", [SLEEP, other]))
    assert parser.sections() == [
        "group:calm-orbit-0012.x",
        "program:calm-orbit-0012.x.sleep",
        "program:calm-orbit-0012.x.other",
    ]
    assert parser["group:calm-orbit-0012.x"]["programs"] == "calm-orbit-0012.x.sleep,calm-orbit-0012.x.other"
    section = parser["program:calm-orbit-0012.x.other"]
    assert section["command"] == "'/bin/my sleep' a=b"
    assert section["process_name"] == "other"
    assert section["autostart"] == "false"
    assert section["killasgroup"] == section["stopasgroup"] == "true"


def test_the_daemon_speaks_on_a_private_socket_only() -> None:
    paths = StateDir(ROOT)
    parser = parsed(render_main(paths, [SLEEP], "word"))
    assert parser["unix_http_server"]["chmod"] == "0700"
    assert parser["unix_http_server"]["password"] == "word"
    assert parser["unix_http_server"]["file"] == str(paths.supervisor_socket)
    assert "inet_http_server" not in parser
    assert parser["include"]["files"] == "groups/*.conf"


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_text_is_refused_wherever_it_stands(evil: str) -> None:
    programs = [
        replace(SLEEP, name=evil),
        replace(SLEEP, argv=("/bin/sleep", evil)),
        replace(SLEEP, argv=(evil,)),
        replace(SLEEP, user=evil),
        replace(SLEEP, stopsignal=evil),
        replace(SLEEP, autorestart=evil),
    ]
    if evil.strip():
        programs += [replace(SLEEP, directory=Path(f"{evil} /x")), replace(SLEEP, log=Path(f"/x {evil} "))]
    for program in programs:
        with pytest.raises(ValueError, match=r"."):
            render_group("group", [program])
    with pytest.raises(ValueError, match=r"."):
        render_group(evil, [SLEEP])


@pytest.mark.parametrize(
    "root",
    ["relative", "/a\nb", "/a%b", "/a;b", "/a'b", "/a*b", "/a/../b", "/a#b", "/a ", "/a\u202eb", "/a\udcff"],
)
def test_a_state_folder_that_supervisord_cannot_take_is_refused_in_a_sentence(root: str) -> None:
    with pytest.raises(ValueError, match="state folder"):
        StateDir(Path(root))


def test_sockets_are_short_enough_to_be_bound_whatever_the_state_folder() -> None:
    for root in (Path("/srv/x"), Path("/srv/" + "long-name-" * 30)):
        run = StateDir(root).run_dir
        assert len(str(run / f"{'a' * 17}-{'b' * 13}-0000" / "redis.sock")) < 100
    assert StateDir(Path("/srv/x")).run_dir == Path("/srv/x/run")


def test_no_folder_of_sockets_has_a_comma_at_which_postgres_would_end_its_name() -> None:
    assert "," not in str(StateDir(Path("/srv/a,b")).run_dir)
