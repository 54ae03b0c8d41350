"""What is read from the text of a `.env`. After a wanted change: UPDATE_GOLDEN=1 pytest this file, and read it."""

import io
import json
import os
import time
from pathlib import Path

import pytest
from dotenv.parser import parse_stream
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from deployments.domain.dotenv import MOST, parse, write
from deployments.domain.variables import VALUE_BYTES

GOLDEN = Path(__file__).with_name("golden") / "dotenv.json"
CASES = json.loads(GOLDEN.read_text())


def read(text: str) -> dict[str, list]:
    parsed = parse(text)
    return {
        "entries": [[each.line, each.key, each.value] for each in parsed.entries],
        "refused": [[each.line, each.key, each.reason] for each in parsed.refusals],
    }


@pytest.fixture(scope="session", autouse=bool(os.environ.get("UPDATE_GOLDEN")))
def _update() -> None:
    fresh = [{"name": each["name"], "text": each["text"], **read(each["text"])} for each in CASES]
    GOLDEN.write_text(json.dumps(fresh, indent=1) + "\n")
    CASES[:] = fresh


@pytest.mark.parametrize("number", range(len(CASES)), ids=[each["name"] for each in CASES])
def test_a_case_reads_as_written_down(number: int) -> None:
    case = CASES[number]
    assert read(case["text"]) == {"entries": case["entries"], "refused": case["refused"]}


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 50
    assert len({each["name"] for each in CASES}) == len(CASES)


def test_a_value_too_long_is_refused_and_the_rest_read() -> None:
    found = read(f"A={'x' * (VALUE_BYTES + 1)}\nB={'x' * VALUE_BYTES}\n")
    assert [each[:2] for each in found["entries"]] == [[2, "B"]]
    assert [each[:2] for each in found["refused"]] == [[1, "A"]]


def test_a_text_with_far_too_many_lines_is_not_read_to_its_end() -> None:
    for text in ("words\n" * 5000, "".join(f"K{n}=1\n" for n in range(5000))):
        found = parse(text)
        assert len(found.entries) + len(found.refusals) == MOST + 1
        assert found.refusals[-1].line == MOST + 1
        assert "Nothing from here on was read" in found.refusals[-1].reason


def test_no_reason_quotes_a_value_or_what_is_no_key() -> None:
    canary = "hunter2-canary"
    texts = (
        f"{canary}\n",
        f"A-B={canary}\n",
        f"{canary}=x\n",
        f'A="{canary}\n{canary}\n',
        f'A="{canary}" {canary}\n',
        f"A={canary}\x00\n",
        f"A=-----BEGIN KEY-----\n{canary}\n-----END KEY-----\n",
        f"A={canary}\nA={canary}2\n",
    )
    for text in texts:
        found = parse(text)
        assert found.refusals
        assert canary not in repr(found.refusals)
        assert canary not in repr(found)


QUOTED = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n\t"), max_size=30)


def escaped(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@settings(max_examples=150, deadline=None)
@given(st.lists(QUOTED, max_size=5))
@example(["", "a\\nb", '"', "\\", "\n"])
def test_what_is_quoted_as_told_is_read_back(values: list[str]) -> None:
    text = "".join(f"KEY_{n}={escaped(value)}\n" for n, value in enumerate(values))
    assert [each.value for each in parse(text).entries] == values


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["A", "B_1", "_c", "Z"]), QUOTED | st.just("a\r\nb") | st.none()))
@example({"A": "", "B": "# x", "C": " x ", "D": None, "E": "'", "F": "\\n"})
def test_what_is_written_is_read_back(values: dict[str, str | None]) -> None:
    parsed = parse(write(values))
    assert parsed.refusals == ()
    assert {e.key: e.value for e in parsed.entries} == {k: v for k, v in values.items() if v is not None}


CONTROL = "control character"
WORDS = st.text(st.sampled_from("aB1 =#'\"\\$\t-é"), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=4))
@example(["'a\\'b'", '"x\\ty" # c', " # c", "#x"])
@example(["\\ #", ""])
@example(['"', "\\a", '"'])
def test_well_formed_text_reads_as_python_dotenv_reads_it(values: list[str]) -> None:
    # A backslash after a blank joins lines in a shell: theirs takes it for a value, ours asks.
    assume(not any(f" {value}".rstrip().endswith((" \\", "\t\\")) for value in values))
    text = "".join(f"export K{n} = {value}\n" for n, value in enumerate(values))
    theirs = list(parse_stream(io.StringIO(text)))
    ours = parse(text)
    if any(CONTROL in each.reason for each in ours.refusals):  # theirs makes a bell of "\\a"
        assert any(each < " " and each not in "\t\n" for one in theirs for each in one.value or "")
    elif any(each.error for each in theirs) or ours.refusals:
        assert any(each.error for each in theirs) == bool(ours.refusals)
    else:
        assert {e.key: e.value for e in ours.entries} == {e.key: e.value for e in theirs if e.key}


@pytest.mark.parametrize(
    "text",
    [
        "A=x" + " " * 200_000 + "y",
        "A='\n" * 50_000,
        'A="' + "\\" * 200_000,
        "\n" * 200_000,
        "A=1\n" * 50_000,
        "A={\nx" * 50_000,
        "A={\nB=1\n" * 50_000,
        "A={" * 50_000 + "\n" + "}" * 50_000,
        "A=`\nx" * 50_000,
        "A=x\\\ny" * 50_000,
    ],
)
def test_a_large_text_is_read_in_linear_time(text: str) -> None:
    begun = time.process_time()
    parse(text)
    assert time.process_time() - begun < 5  # a quadratic reader takes many minutes


@pytest.mark.parametrize(
    "block",
    [
        'GCP={\n"type": "x"\n}',
        'GCP={"type":\n"x",\nB=1\n}',
        "GCP=[1,\n2]",
        "GCP=(\nB=1\n)",
        "GCP={\n  not closed here",
        'GCP={ # opened\n  "a": 1',
        "GCP=`a\nB=1\nb`",
        "GCP=`a\nb",
        "GCP=one \\\nB=2 \\\nthree",
        "GCP=one\\\n  -Dtwo=2",
        'GCP="""\nB=1\n"""',
        "GCP='''a\nB=1\n'''",
        "GCP=<<EOF\nB=1\nEOF",
        "GCP=<<-'EOF'\nB=1\n  EOF",
    ],
)
def test_what_spans_lines_without_quotes_is_refused_as_one_and_the_rest_read(block: str) -> None:
    found = read(f"A=1\n{block}\nZ=2\n")
    assert found["entries"] == [[1, "A", "1"], [2 + block.count("\n") + 1, "Z", "2"]]
    ((line, key, reason),) = found["refused"]
    assert (line, key) == (2, "GCP")
    assert "double quote" in reason


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A={\nB=1\n", "{"),
        ("A={{ ds }}\nB=1\n", "{{ ds }}"),
        ("A=C:\\temp\\\nB=1\n", "C:\\temp\\"),
        ("A=:-(\n\nB=1\n", ":-("),
        ("A={", "{"),
        ("A=`a`\nB=1\n", "`a`"),
        ("A=x \\", "x \\"),
        ("A=<<EOF", "<<EOF"),
        ("A=}\nB={\n", "}"),
    ],
)
def test_a_mark_that_opens_nothing_is_part_of_its_value(text: str, value: str) -> None:
    assert read(text)["entries"][0] == [1, "A", value]
    assert read(text)["refused"] == []
