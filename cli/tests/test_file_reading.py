"""`apply --env` reads a deployment file before the console does, and must not make another file of it: both readers get
the same odd files."""

import json

import pytest
from airdeck_cli.commands.files import _filled
from airdeck_cli.errors import CliError

from deployments.domain import deployment_file_text
from tests.played_servers import Server, reply
from tests.running import Airdeck
from workspaces import token_values

TWICE = """deployment:
  environment_variables:
    - {key: A, value: "1"}
  environment_variables:
    - {key: B, value: "2"}
"""
REFUSED = {
    TWICE: "Line 4: environment_variables stands here twice. Keep one.",
    "a: {b: 1, 'b': 2}": "Line 1: b stands here twice. Keep one.",
    "1: a\n1: b": "Line 2: 1 stands here twice. Keep one.",
    '{"a": 1, "a": 2}': "a stands twice in one place. Keep one.",
    "a: !!binary x": "Line 1: the file uses a YAML tag, which it does not need. Take it out.",
    "a: !!set {x, y}": "Line 1: the file uses a YAML tag, which it does not need. Take it out.",
    "a: !!python/name:os.system x": "Line 1: the file uses a YAML tag, which it does not need. Take it out.",
    "a: &x 1": "Line 1: the file uses YAML anchors, which it does not need. Write it out.",
    "a: &x 1\nb: *x": "Line 1: the file uses YAML anchors, which it does not need. Write it out.",
    "a: 1\n---\nb: 2": "The file holds several documents. Keep one Deployment in a file.",
    "a: " + "[" * 20 + "]" * 20: "Line 1: the file is nested too deeply. Take out what is inside there.",
    "a: 1\nb: 'x": "Line 2: this is not YAML. Fix it there; values with : or # need quotes.",
    "{a: 1}": "Line 1: this is not JSON. Fix it there.",
    "[" * 100_000: "The file is nested too deeply, or holds a number that is too long.",
}
READ = (
    "a: on\nb: 010\nc: 2026-01-01\nd: 1.5\ne: ~\nf: true\ng: 10\nh: ! x",
    "<<: {a: 1}",
    "a:\tb",
    "# no content",
    '{"a": [1, null, "x"]}',
    "a: 999999999999999999999999",
)


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_what_the_console_refuses_in_a_file_is_refused_here_in_its_words(text):
    with pytest.raises(deployment_file_text.FileUnreadable) as there:
        deployment_file_text.load(text)
    with pytest.raises(CliError) as here:
        _filled(text)
    assert str(here.value) == str(there.value) == REFUSED[text]
    assert here.value.exit_code == 2


@pytest.mark.parametrize("text", READ)
def test_what_the_console_reads_in_a_file_is_the_same_once_it_was_read_here(text):
    assert (
        deployment_file_text.load(_filled(text))
        == deployment_file_text.load(text)
        == json.loads(_filled(text))
    )


def test_a_section_that_stands_twice_reaches_no_console(tmp_path):
    (tmp_path / "d.yaml").write_text(TWICE)
    with Server(lambda handler: reply(handler, 500, {"detail": "No.", "code": "x"})) as here:
        at = Airdeck(tmp_path, AIRDECK_URL=here.url, AIRDECK_TOKEN=token_values.mint("w"))
        told = at("deployment", "apply", "-f", "d.yaml", "--env", "--yes", code=2).err
        assert here.seen == []
    assert told == "d.yaml: Line 4: environment_variables stands here twice. Keep one.\n"
