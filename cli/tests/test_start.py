"""Starting costs little, help and completion are complete, and the distribution stands by itself."""

import json
import os
import re
import subprocess
import sys
import tomllib

import click
import pytest
from airdeck_cli.groups import ALIASES
from airdeck_cli.main import TREE, airdeck

from tests.played_servers import ME, Server, reply
from tests.running import SOURCE
from workspaces.token_values import mint

LATE = {"urllib.request", "ssl", "http.client", "yaml", "pathspec", "zipfile", "subprocess"}


def loaded(*arguments: str) -> set[str]:
    """The modules of a process that ran this."""
    code = "import sys, json, atexit; atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))"
    code += f"\nsys.argv[1:] = {list(arguments)!r}\nfrom airdeck_cli.main import main\nmain()"
    environment = {"PYTHONPATH": str(SOURCE), "PATH": "", "HOME": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_loads_no_module_that_asks_the_console():
    modules = loaded("--help")
    assert "airdeck_cli.main" in modules
    assert modules & LATE == set()
    assert not any(name.startswith("airdeck_cli.commands.") for name in modules)


def test_a_list_loads_neither_yaml_nor_what_packs():
    assert loaded("deployment", "list") & {"yaml", "pathspec", "zipfile"} == set()


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


def test_every_command_is_there_and_says_what_it_does_in_a_sentence():
    known = dict(commands(airdeck))
    for path, command in known.items():
        assert command.help, path
        assert re.match(r"[A-Z].*[.]", command.help), path
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, (path, option.name)
    for branch, tree in TREE.items():
        for name in tree:
            assert ((branch, name) if branch else (name,)) in known


def test_astro_s_short_names_are_known():
    context = click.Context(airdeck)
    de = airdeck.get_command(context, "de")
    assert isinstance(de, click.Group)
    for alias in ("hb", "wu", "wq"):
        assert de.get_command(context, alias).name == ALIASES[alias]
    variable = de.get_command(context, "variable")
    assert {variable.get_command(context, each).name for each in ("create", "update")} == {"set"}
    assert variable.get_command(context, "unset").name == "delete"


def test_ls_is_list_in_every_group_that_lists():
    groups = [(path, command) for path, command in commands(airdeck) if isinstance(command, click.Group)]
    lists = {path: each for path, each in groups if "list" in each.list_commands(click.Context(each))}
    assert len(lists) >= 10
    for path, group in lists.items():
        assert group.get_command(click.Context(group), "ls") is not None, path


def test_an_alias_is_no_command_of_a_group_without_that_command_and_stands_in_no_help(alone):
    assert "No such command 'ls'" in alone("git", "ls", code=2).err
    assert not re.search(r"^  ls ", alone("token", "--help").out, re.MULTILINE)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(shell, alone):
    assert "_AIRDECK_COMPLETE" in alone("completion", shell).out


def test_a_command_is_completed(alone):
    environment = {
        "_AIRDECK_COMPLETE": "bash_complete",
        "COMP_WORDS": "airdeck deployment hib",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv[0] = 'airdeck'; from airdeck_cli.main import main; main()",
        ],
        env={**alone.environment, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "plain,hibernate\n"


def test_a_wrong_word_is_a_usage_error(alone):
    told = alone("deployment", "lst", code=2).err
    assert "No such command 'lst'" in told


def test_init_writes_a_project_that_compiles_and_touches_nothing_that_is_there(alone):
    alone("init", "p")
    compile((alone.home / "p/dags/hello.py").read_text(), "hello.py", "exec")
    refused = alone("init", "p", code=4).err
    assert "dags/hello.py, .airdeckignore, .gitignore, README.md is there already." in refused


def test_a_file_that_cannot_be_used_is_named_in_a_sentence(alone):
    (alone.home / "file").write_text("")
    assert alone("init", "file/p", code=2).err == "file/p/dags cannot be used: not a directory.\n"


def test_what_a_terminal_cannot_show_ends_no_command_and_stays_whole_for_programs(alone):
    me = {**ME, "name": "Zoë", "email": "zoë@日本.example.org"}
    narrow = {"PYTHONIOENCODING": "cp1252"}
    with Server(lambda handler: reply(handler, 200, me)) as here:
        narrow |= {"AIRDECK_URL": f" {here.url}\n", "AIRDECK_TOKEN": mint("w")}
        assert "zo" in alone("whoami", environment=narrow, encoding="cp1252").out
        shown = alone("whoami", "-o", "json", environment=narrow, encoding="cp1252").json
        assert shown["email"] == me["email"]
        assert "\\u65E5" in alone("whoami", "-o", "yaml", environment=narrow, encoding="cp1252").out


@pytest.mark.parametrize(
    "command",
    [
        ("deployment", "variable", "set", "KEY", "-d", "calm-orbit-0012"),
        ("deployment", "variable", "set", "--load", "--env", "-", "-d", "calm-orbit-0012"),
        ("git", "connect", "--token-stdin", "-d", "calm-orbit-0012"),
        ("login", "https://airdeck.example.org", "--token-stdin"),
    ],
)
@pytest.mark.parametrize("reading", ["utf-8:strict", "utf-8:surrogateescape"])  # as the locale has it
def test_bytes_that_are_no_text_are_no_value(alone, command, reading):
    environment = {"PYTHONIOENCODING": reading}
    told = alone(*command, code=2, text="\xe9\n", encoding="latin-1", environment=environment).err
    assert told == "Standard input is not UTF-8 text. Encode it, for instance with base64.\n"


def test_a_process_without_standard_input_is_told_what_is_missing(alone):
    def without():
        os.close(0)

    connect = ("git", "connect", "--token-stdin", "-d", "calm-orbit-0012")
    assert "holds no token" in alone(*connect, code=2, preexec_fn=without).err
    variable = ("deployment", "variable", "set", "KEY", "-d", "calm-orbit-0012")
    assert "No console is known" in alone(*variable, code=3, preexec_fn=without).err


@pytest.mark.parametrize("address", ["https://[", "https://airdeck.example.org x", "ftp://airdeck"])
def test_what_is_no_address_is_refused(alone, address):
    told = alone("whoami", code=2, environment={"AIRDECK_URL": address, "AIRDECK_TOKEN": mint("w")}).err
    assert told == f"{address} is not the address of a console. Enter one like https://airdeck.example.org\n"


def test_the_distribution_needs_what_its_imports_need_and_no_more():
    needs = tomllib.loads((SOURCE.parent / "pyproject.toml").read_text())["project"]
    assert {each.split(">")[0] for each in needs["dependencies"]} == {"click", "pathspec", "pyyaml"}
    assert needs["version"] == __import__("airdeck_cli").VERSION
