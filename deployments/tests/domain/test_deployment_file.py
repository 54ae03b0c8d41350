"""The deployment file as plain values: what inspect writes apply reads unchanged, whatever Deployment it is."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.domain import deployment_file as files
from deployments.domain import deployment_file_text as text
from deployments.domain.deployment_file import DeploymentFile, FileQueue, FileSchedule, FileVariable, Shape
from deployments.domain.deployment_plan import MASK, Defaults, complete, differences
from deployments.domain.names import clean_name
from deployments.domain.states import Executor
from deployments.domain.variables import Setting, problem_of_key, problem_of_value
from deployments.tests.written_files import dump_json, dump_yaml

DEFAULTS = Defaults("3.3-1", Executor.CELERY, 5, 1, "small", 1, 10, 16)
WILD = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60)
# What YAML readers stumble over, and what looks like something else.
ODD = st.sampled_from(
    [
        *(
            "yes",
            "no",
            "on",
            "null",
            "~",
            "true",
            "1",
            "010",
            "1.10",
            "1e3",
            "0x1f",
            "2026-01-01",
            "12:30:45",
            "=",
        ),
        *(
            "<<",
            " x ",
            "a: b",
            "# c",
            "- d",
            "{e}",
            "[f]",
            "&g",
            "*h",
            "!i",
            "%j",
            "@k",
            "`l",
            "'",
            '"',
            "\\",
            "\n",
        ),
        *(
            "\r\n",
            "\t",
            "a\nb\n",
            "\u2028",
            "\x85",
            "\ufeff",
            "\U0001f680",
            "line\n\n  more",
            "-",
            "---",
            "...",
        ),
        *("?", "|", ">", ""),
    ]
)


def is_name(value: str) -> bool:
    try:
        return clean_name(value) == value
    except ValueError:
        return False


names = (WILD | ODD).map(lambda value: value.strip()[:64]).filter(is_name)
keys = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True).filter(
    lambda key: not problem_of_key(key)
)
values = (WILD | ODD).filter(lambda value: not problem_of_value(value))
queue_names = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
counts = st.integers(0, 64)
crons = st.sampled_from(["", "0 20 * * 1-5", "30 7 * * *"])


@st.composite
def shapes(draw) -> Shape:
    executor = draw(st.sampled_from(Executor))
    queues = {}
    if executor is Executor.CELERY:
        for name in ["default", *sorted(draw(st.sets(queue_names, max_size=3)) - {"default"})]:
            queues[name] = FileQueue(name, draw(names), draw(counts), draw(counts), draw(counts))
    variables = draw(st.dictionaries(keys, st.builds(Setting, values, st.booleans()), max_size=4))
    schedule = FileSchedule(
        draw(crons), draw(crons), draw(st.sampled_from(["UTC", "Europe/Paris"])), draw(st.booleans())
    )
    return Shape(
        name=draw(names),
        description=draw(WILD | ODD),
        workspace=draw(names),
        cluster=draw(names),
        runtime=draw(st.sampled_from(["3.3-1", "2.11-4"])),
        executor=executor,
        scheduler_au=draw(counts),
        scheduler_replicas=draw(counts),
        queues=queues,
        variables=dict(sorted(variables.items())),
        schedule=schedule if schedule.hibernate_cron or schedule.wake_cron else None,
        wakes_on_open=draw(st.booleans()),
    )


@pytest.mark.thorough
@settings(max_examples=250, deadline=None)
@given(shapes(), st.sampled_from([dump_yaml, dump_json]))
def test_what_inspect_writes_apply_takes_unchanged(shape, dump):
    written = dump(files.write(shape, metadata={"release_name": "calm-orbit-0012", "status": "healthy"}))
    said, problems = files.read(text.load(written))
    assert problems == {}
    wanted, missing = complete(said, shape, DEFAULTS, workspace=shape.workspace, cluster=shape.cluster)
    assert missing == {}
    assert differences(shape, wanted) == ()
    assert wanted == shape


@settings(max_examples=100, deadline=None)
@given(shapes())
def test_no_secret_is_written_and_none_is_in_a_plan(shape):
    secret = {key: Setting(f"hush-{number}-{key}", True) for number, key in enumerate(shape.variables)}
    shape = replace(shape, variables=secret)
    written = dump_yaml(files.write(shape, metadata={}))
    other = replace(
        shape, variables={key: Setting(f"new-{each.value}", True) for key, each in secret.items()}
    )
    told = repr(differences(shape, other)) + repr(differences(None, shape)) + repr(differences(other, shape))
    assert not any(each.value in written or each.value in told for each in secret.values())
    assert told.count(MASK) >= len(secret)


@pytest.mark.thorough
@settings(max_examples=200, deadline=None)
@given(WILD | st.recursive(WILD, lambda inner: st.lists(inner) | st.dictionaries(WILD, inner)).map(dump_yaml))
def test_reading_any_text_gives_values_or_one_sentence(given_text):
    try:
        document = text.load(given_text)
    except text.FileUnreadable:
        return
    said, problems = files.read(document)
    assert isinstance(said, DeploymentFile)
    assert all(sentence.endswith((".", "?")) for sentence in problems.values())


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("", "The file has no content."),
        ("a: &x 1\nb: *x", "Line 1: the file uses YAML anchors"),
        ("b: *x", "Line 1: the file uses YAML anchors"),
        ("a: 1\nb: 2\na: 3", "Line 3: a stands here twice."),
        ('{"a": 1, "a": 2}', "a stands twice in one place."),
        ("a: !!python/object:os.system x", "Line 1: the file uses a YAML tag"),
        ("- " * 40 + "x", "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ("a: [", "is not YAML"),
        ('{"a": }', "Line 1: this is not JSON."),
        ("a: 1\n---\nb: 2", "several documents"),
        ('a: [{b: "c\\0"}]', "A text in the file holds a NUL character"),
        ('{"a": "\\ud800"}', "or half a surrogate pair."),
        ('{"a\\udfff": "b"}', "or half a surrogate pair."),
        ("? [a, b]\n: 1", "Line 1: this is not YAML"),
        ("x" * (text.BYTES + 1), "has more than 1024 KiB"),
    ],
)
def test_a_text_that_is_no_deployment_file_gets_one_sentence(written, sentence):
    with pytest.raises(text.FileUnreadable, match=sentence.replace("(", r"\(")):
        text.load(written)


def test_every_problem_comes_at_once_under_its_path():
    written = """
deployment:
  configuration: {name: true, nme: x, scheduler_au: "5", executor: Cellery}
  worker_queues: [{name: default, min_worker_count: many}, {worker_type: small}, {name: default}]
  environment_variables: [{key: A, value: [1]}, {value: b}, {key: A}, {key: B, is_secret: "yes"}]
  hibernation_schedules: {hibernate_at: x}
  alert_emails: [a@example.org, not-an-email]
  colour: blue
"""
    _, problems = files.read(text.load(written))
    assert sorted(problems) == [
        "deployment.alert_emails",
        "deployment.alert_emails[1]",
        "deployment.colour",
        "deployment.configuration.executor",
        "deployment.configuration.name",
        "deployment.configuration.nme",
        "deployment.configuration.scheduler_au",
        "deployment.environment_variables[0].value",
        "deployment.environment_variables[1].key",
        "deployment.environment_variables[2].key",
        "deployment.environment_variables[3].is_secret",
        "deployment.hibernation_schedules",
        "deployment.worker_queues[0].min_worker_count",
        "deployment.worker_queues[1].name",
        "deployment.worker_queues[2].name",
    ]
    assert problems["deployment.configuration.nme"] == "There is no key nme here. Did you mean name?"


def test_what_only_astro_knows_is_refused_by_name_and_ignored_when_asked():
    written = (
        "deployment: {configuration: {name: a, region: us, dag_deploy_enabled: true}, alert_emails: [a@b.io]}"
    )
    _, refused = files.read(text.load(written))
    assert set(refused) == {
        "deployment.configuration.region",
        "deployment.configuration.dag_deploy_enabled",
        "deployment.alert_emails",
    }
    said, problems = files.read(text.load(written), compat=True)
    assert problems == {}
    assert set(said.ignored) == set(refused)


def test_problems_are_bounded():
    written = {"deployment": {"configuration": {"name": "a", **{f"key{n}": n for n in range(5000)}}}}
    _, problems = files.read(written)
    assert len(problems) == 100


def test_a_secret_without_a_value_keeps_the_one_it_has():
    shape = Shape("a", "", "w", "c", "3.3-1", Executor.LOCAL, 5, 1, {}, {"S": Setting("hush", True)}, None)
    for secret in (True, None):
        said = DeploymentFile("a", variables=(FileVariable("S", None, secret),))
        wanted, problems = complete(said, shape, DEFAULTS, workspace="w", cluster="c")
        assert (problems, wanted.variables) == ({}, shape.variables)
    said = DeploymentFile("a", variables=(FileVariable("S", "x", False), FileVariable("N", None, True)))
    _, problems = complete(said, shape, DEFAULTS, workspace="w", cluster="c")
    assert set(problems) == {
        "deployment.environment_variables[0].is_secret",
        "deployment.environment_variables[1].value",
    }


def test_a_plain_variable_that_becomes_secret_keeps_its_value():
    shape = Shape("a", "", "w", "c", "3.3-1", Executor.LOCAL, 5, 1, {}, {"P": Setting("v", False)}, None)
    said = DeploymentFile("a", variables=(FileVariable("P", None, True),))
    wanted, problems = complete(said, shape, DEFAULTS, workspace="w", cluster="c")
    assert (problems, wanted.variables) == ({}, {"P": Setting("v", True)})
    assert [line.new for line in differences(shape, wanted)] == [MASK]


def test_words_are_what_they_look_like():
    written = "a: on\nb: 010\nc: 1.10\nd: 2026-01-01\ne: yes\nf: 0x1f\ng: 12:30:45\nh: 8080\ni: true\nj: ~\nk: 1_000\n"
    assert text.load(written) == {
        **{"a": "on", "b": "010", "c": "1.10", "d": "2026-01-01", "e": "yes", "f": "0x1f", "g": "12:30:45"},
        **{"h": 8080, "i": True, "j": None, "k": "1_000"},
    }
