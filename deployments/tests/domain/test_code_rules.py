"""What is left out, what a manifest is, which requirements are plain, and what does not compile."""

import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain import code_syntax, uv_words
from deployments.domain.code_errors import CodeRefused
from deployments.domain.code_ignore import DEFAULTS, Ignore, parse, with_own
from deployments.domain.code_manifest import EMPTY, CodeFile, Manifest, difference, version_name
from deployments.domain.code_packages import PackageLock, compare, requirements_digest
from deployments.domain.code_project import is_project, plugins_digest, plugins_of
from deployments.domain.code_requirements import read


@pytest.mark.parametrize(
    ("pattern", "out", "kept"),
    [
        ("*.md", ["a.md", "x/b.md"], ["a.mdx", "md"]),
        ("/a.py", ["a.py"], ["x/a.py"]),
        ("data/", ["data/x", "sub/data/y/z"], ["data", "mydata/x"]),
        ("docs/*.txt", ["docs/a.txt"], ["docs/x/a.txt", "x/docs/a.txt"]),
        ("**/logs", ["logs", "a/b/logs", "logs/x"], ["mylogs"]),
        ("a/**/z.py", ["a/z.py", "a/b/c/z.py"], ["z.py", "b/a/z.py"]),
        ("a/**", ["a/b", "a/b/c"], ["a"]),
        ("?.py", ["a.py"], ["ab.py"]),
        ("[a-c]x.py", ["bx.py"], ["dx.py"]),
        ("[!a]x.py", ["bx.py"], ["ax.py"]),
        (r"\#odd", ["#odd"], ["odd"]),
        (r"\!odd", ["!odd"], ["odd"]),
        ("a[", ["a["], ["a"]),
        ("# a comment", [], ["# a comment", "a"]),
    ],
)
def test_patterns_mean_what_they_mean_in_gitignore(pattern, out, kept):
    ignore = Ignore(parse(pattern))
    assert [path for path in out if not ignore.leaves_out(path)] == []
    assert [path for path in kept if ignore.leaves_out(path)] == []


def test_the_last_pattern_decides_and_a_folder_left_out_takes_what_is_in_it():
    ignore = with_own("*.csv\n!keep.csv\nsecret/\n!secret/keep.py\n")
    assert ignore.leaves_out("a.csv")
    assert not ignore.leaves_out("x/keep.csv")
    assert ignore.leaves_out("secret/keep.py")
    assert DEFAULTS.leaves_out("a/.env")
    assert not with_own("!.env").leaves_out("a/.env")


def test_a_line_of_stars_takes_no_time():
    ignore = Ignore(parse("\n".join(["*a" * 100 + "b", "**/" * 60 + "x", "a*" * 120])))
    began = time.process_time()
    ignore.leaves_out("/".join(["a" * 255] * 4))
    assert time.process_time() - began < 5.0  # one that goes back at each star takes years


@given(st.text(max_size=80), st.lists(st.text("ab*?[]!\\.", min_size=1, max_size=8), min_size=1, max_size=4))
def test_any_pattern_answers(text, parts):
    assert Ignore(parse(text)).leaves_out("/".join(parts)) in {True, False}


def test_too_long_an_ignore_file_is_refused():
    with pytest.raises(CodeRefused, match="200 lines"):
        parse("x\n" * 202)


def made(**files: str) -> Manifest:
    return Manifest.of(
        CodeFile(path.replace("_", "."), content, len(content)) for path, content in files.items()
    )


def test_a_manifest_reads_back_and_equal_content_has_an_equal_digest():
    one = made(b_py="1", a_py="22")
    assert Manifest.read(one.document) == one
    assert Manifest.of(reversed(one.files)).digest == one.digest
    assert made(b_py="1", a_py="23").digest != one.digest
    assert (one.size, one.python_files) == (3, 2)
    for wrong in ("", "{}", "[[1]]", "[1]", "null"):
        if wrong != "{}":
            with pytest.raises(ValueError, match="not a manifest"):
                Manifest.read(wrong)


def test_a_difference_names_what_is_added_changed_and_removed():
    old, new = made(a_py="1", b_py="2", c_py="3"), made(a_py="1", b_py="X", d_py="4")
    found = difference(old, new)
    assert (found.added, found.changed, found.removed) == (("d.py",), ("b.py",), ("c.py",))
    assert found.sentence == "1 file added, 1 changed, 1 removed."
    assert difference(EMPTY, new).sentence == "3 files added."
    assert difference(new, new).sentence == "Nothing differs."
    run = Manifest.of(CodeFile(f.path, f.sha256, f.size, executable=True) for f in new.files)
    assert difference(new, run).changed == ("a.py", "b.py", "d.py")


def test_the_one_folder_in_which_everything_is_is_told():
    assert Manifest.of([CodeFile("x/a.py", "", 0), CodeFile("x/y/b.py", "", 0)]).only_folder == "x"
    assert Manifest.of([CodeFile("x/a.py", "", 0), CodeFile("b.py", "", 0)]).only_folder == ""
    assert EMPTY.only_folder == ""


def test_a_version_is_named_by_number_and_digest():
    assert version_name(7, "a" * 64) == "7-aaaaaaaaaaaa"


def test_plain_requirements_are_read():
    found = read(
        b"\xef\xbb\xbf# ours\npandas>=2,<3  # frames\n\nrequests[socks]==2.32.0; python_version > '3'\n"
    )
    assert found.lines == ("pandas<3,>=2", 'requests[socks]==2.32.0; python_version > "3"')
    assert found.refused == ()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("-r /etc/passwd", "Options such as -r"),
        ("--index-url https://evil.example", "Options such as --index-url"),
        ("--extra-index-url=https://evil.example", "Options"),
        ("-e .", "Options"),
        ("git+https://evil.example/x", "Addresses"),
        ("x @ https://evil.example/x.whl", "Addresses"),
        ("x @ file:///etc/passwd", "Addresses"),
        ("./local", "Addresses"),
        ("/etc/passwd", "Addresses"),
        ("file:x.whl", "Addresses"),
        ("pandas>=2 \\", "one line"),
        ("pandas >=2 --hash=sha256:00", "not a requirement"),
        ("not a requirement", "not a requirement"),
        ("${EVIL}", "not a requirement"),
        ("pandas\npandas>2", "stands in two lines"),
    ],
)
def test_what_would_make_an_installer_look_elsewhere_is_refused_with_its_line(line, why):
    found = read(f"numpy\n{line}\n".encode())
    assert why in found.refused[-1].sentence
    assert found.refused[-1].number == 2 + line.count("\n")


def test_a_requirements_file_has_limits():
    assert "64 KiB" in read(b"x" * 65_537).refused[0].sentence
    assert "200 lines" in read(b"x\n" * 201).refused[0].sentence
    assert "UTF-8" in read(b"\xe9").refused[0].sentence


def checked(sources: dict[str, bytes], seconds: float = 20.0):
    files = [CodeFile(path, str(zlib.crc32(s)), len(s)) for path, s in sources.items()]
    return code_syntax.check(files, lambda file: sources[file.path], seconds=seconds)


def test_what_does_not_compile_is_told_with_its_line_and_nothing_is_imported(tmp_path):
    mark = tmp_path / "imported"
    done, problems = checked(
        {
            "good.py": f"open({str(mark)!r}, 'w')\n".encode(),
            "bad.py": b"x = 1\ndef f(:\n",
            "late.py": b"return 1\n",
            "nul.py": b"\0",
            "coding.py": b"# coding: nonsense\n",
            "warns.py": b"x = '\\d'\n",
        }
    )
    assert done == 6
    assert [(p.path, p.line) for p in problems] == [
        ("bad.py", 2),
        ("late.py", 1),
        ("nul.py", 0),
        ("coding.py", 0),
    ]
    assert not mark.exists()


def test_what_brings_the_compiler_down_is_one_problem_and_the_rest_is_still_looked_at():
    done, problems = checked(
        {"deep.py": b"(" * 50_000, "x.py": b"-" * 3_000_000 + b"1", "bad.py": b"def", "ok.py": b""}
    )
    assert done == 4
    assert "bad.py" in {p.path for p in problems}
    assert "ok.py" not in {p.path for p in problems}


def test_checking_stops_in_time_and_goes_on_where_it_stopped():
    sources = {f"{n}.py": b"x = 1\n" * 1000 for n in range(200)}
    done, _ = checked(sources, seconds=0.0)
    assert 1 <= done < 200


def test_a_file_that_is_too_large_to_be_source_is_not_read():
    huge = CodeFile("data.py", "", code_syntax.CHECKED_BYTES + 1)

    def read_it(file: CodeFile) -> bytes:
        raise AssertionError(file.path)

    assert code_syntax.check([huge], read_it, seconds=1.0) == (1, ())


# -- Projects and packages --


@pytest.mark.parametrize(
    ("paths", "is_one"),
    [
        (("dags/one.py", "include/a.py", "requirements.txt"), True),
        (("dags/sub/one.py",), True),
        (("dags/one.py", "setup.py"), False),  # the root is the content of a DAGs folder
        (("one.py", "plugins/a.py"), False),
        (("include/a.py",), False),
    ],
)
def test_a_project_has_its_dags_in_a_folder_of_that_name_and_no_python_beside_it(paths, is_one):
    assert is_project(Manifest.of(CodeFile(path, "a" * 64, 1) for path in paths)) is is_one


def test_only_the_plugins_of_a_project_count_and_only_they_change_their_digest():
    def digest(*paths: str, sha: str = "a") -> str:
        return plugins_digest(Manifest.of(CodeFile(path, sha * 64, 1) for path in paths))

    assert digest("one.py", "plugins/a.py") == digest("dags/one.py") == ""
    plain = digest("dags/one.py", "plugins/a.py")
    assert plain == digest("dags/two.py", "plugins/a.py", "include/x.py") != ""
    assert plain != digest("dags/one.py", "plugins/a.py", sha="b")
    mine = plugins_of(Manifest.of([CodeFile("dags/a.py", "", 0), CodeFile("plugins/x/b.py", "", 0)]))
    assert [file.path for file in mine.files] == ["x/b.py"]


def test_packages_that_differ_are_named_with_both_versions():
    told = compare({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"})
    assert (told.added, told.changed, told.removed) == ((("d", "1"),), (("b", "1", "2"),), (("c", "1"),))
    assert (told.unchanged, told.count) == (1, 3)
    assert told.sentence == "1 package added, 1 changed, 1 removed, 1 unchanged."
    assert compare({"a": "1"}, {"a": "1"}).sentence == "No package differs."
    assert compare({}, {"a": "1", "b": "1"}).sentence == "2 packages added."


def test_a_lock_is_known_by_its_runtime_and_its_text_and_no_packages_need_none():
    one = PackageLock("3.3-1", "Tiny_Lib==1.0 \\\n    --hash=sha256:aa\nother==2 ; python_version < '4'\n")
    assert one.packages == {"other": "2", "tiny-lib": "1.0"}
    assert len(one.digest) == 64
    assert (
        one.digest != PackageLock("3.2-1", one.text).digest != PackageLock("3.2-1", "tiny-lib==1.0\n").digest
    )
    assert PackageLock("3.3-1", "").digest == ""
    assert requirements_digest(["b", "a"]) == requirements_digest(["a", "b"]) != requirements_digest(["a"])
    assert requirements_digest([]) == ""


PROOF = "error: No solution found when resolving dependencies\n  cause: "


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            PROOF
            + "Because all versions of needs-other depend on tiny<2 and you require needs-other, we can conclude "
            "that you require tiny<2.\n         And because you require tiny>=2, we can conclude that your "
            "requirements are unsatisfiable.",
            "These do not fit together: needs-other needs tiny<2; requirements.txt asks for needs-other; "
            "requirements.txt asks for tiny>=2. Change requirements.txt and deploy again.",
        ),
        (
            PROOF
            + "Because needs-old==1.0 depends on base-lib<2 and you require needs-old, we can conclude that you "
            "require base-lib<2.\n         And because you require base-lib==2.0, we can conclude that your "
            "requirements are unsatisfiable.",
            "These do not fit together: needs-old 1.0 needs base-lib<2; requirements.txt asks for needs-old; runtime "
            "3.3-1 has base-lib 2.0. Change requirements.txt and deploy again.",
        ),
        (
            PROOF
            + "Because future==1.0 requires Python >=3.20 and only future==1.0 is available, we can conclude "
            "that all versions of future cannot be used.\n         And because you require future, we can conclude "
            "that your requirements are unsatisfiable.",
            "These do not fit together: future 1.0 needs Python >=3.20, and runtime 3.3-1 has Python 3.13; the package "
            "index has only future==1.0; requirements.txt asks for future. Change requirements.txt and deploy again.",
        ),
        (
            "error: Request failed after 3 retries in 11.2s\n  cause: Failed to fetch: http://127.0.0.1:9/simple/x/\n"
            "  cause: tcp connect error",
            uv_words.UNREACHABLE,
        ),
        ("error: write\n  cause: No space left on device (os error 28)", uv_words.DISK),
        (
            "error: Invalid index\n  cause: odd answer from https://me:secret@index.example/simple",
            "The packages of requirements.txt cannot be resolved: odd answer from https://…@index.example/simple.",
        ),
    ],
)
def test_what_uv_says_is_told_in_our_words(said, sentence):
    assert uv_words.explain(said, "3.3-1", {"base-lib": "2.0"}, "3.13") == sentence
