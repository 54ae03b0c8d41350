"""What of a folder is packed: code, all of it, and nothing else. The folder is only read."""

import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from airdeck_cli import git_facts, packing
from airdeck_cli.errors import CliError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deployments.domain import code_ignore


def write(folder: Path, *names: str, **texts: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts.get("text", f"# {name}\n"))


def names(folder: Path, *, follow_links: bool = False) -> list[str]:
    return list(packing.pack(folder, follow_links=follow_links).files)


def test_the_content_of_dags_is_packed_and_its_root_is_where_modules_are_imported_from(tmp_path):
    """Complaint 11: what helpers import must be what Airflow has on its path."""
    write(
        tmp_path,
        "dags/one.py",
        "dags/lib/__init__.py",
        "dags/lib/helper.py",
        "README.md",
        "tests/test_one.py",
    )
    assert names(tmp_path) == ["lib/__init__.py", "lib/helper.py", "one.py"]


def test_a_project_is_packed_with_its_plugins_includes_and_requirements_and_nothing_else(tmp_path):
    write(
        tmp_path, "dags/one.py", "dags/drafts/two.py", "plugins/p.py", "include/words.py", "include/big.csv"
    )
    write(tmp_path, "README.md", "setup.py", "tests/test_one.py", "requirements.txt", ".env")
    (tmp_path / ".airdeckignore").write_text("*.csv\n")
    (tmp_path / "dags" / ".airdeckignore").write_text("/drafts\n")
    packed = packing.pack(tmp_path, follow_links=False)
    assert list(packed.files) == [
        ".airdeckignore",
        "dags/.airdeckignore",
        "dags/one.py",
        "include/words.py",
        "plugins/p.py",
        "requirements.txt",
    ]
    assert packed.root == tmp_path


def test_a_folder_without_dags_is_packed_itself(tmp_path):
    write(tmp_path, "one.py", "lib/two.py")
    assert names(tmp_path) == ["lib/two.py", "one.py"]


def test_caches_environments_secrets_and_what_the_ignore_file_says_stay(tmp_path):
    """Complaint 2."""
    write(
        tmp_path,
        "one.py",
        ".git/config",
        "__pycache__/one.pyc",
        ".venv/lib/x.py",
        ".env",
        ".env.prod",
        "a.ipynb",
    )
    write(tmp_path, "lib/.env", "data/big.csv", "data/keep.sql", ".airflowignore")
    (tmp_path / ".airdeckignore").write_text("*.ipynb\ndata/*\n!data/keep.sql\n")
    packed = packing.pack(tmp_path, follow_links=False)
    assert list(packed.files) == [".airdeckignore", ".airflowignore", "data/keep.sql", "one.py"]
    assert packed.left_out == 8


def test_an_ignore_file_around_dags_speaks_of_it_as_well(tmp_path):
    write(tmp_path, "dags/one.py", "dags/tests/test_one.py", "dags/two.py")
    (tmp_path / ".airdeckignore").write_text("dags/two.py\ntests/\n")
    assert names(tmp_path) == ["one.py"]


def test_no_file_of_the_user_is_touched(tmp_path):
    """Complaint 3: nothing to be left behind after Ctrl-C."""
    write(tmp_path, "dags/one.py", ".dockerignore", ".airdeckignore")
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.rglob("*") if p.is_file()}
    packing.pack(tmp_path, follow_links=False).archive()
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_link_out_of_the_folder_is_refused_by_name_and_followed_when_asked(tmp_path):
    """Complaint 13."""
    write(tmp_path, "dags/one.py", "shared/util.py")
    (tmp_path / "dags" / "shared").symlink_to(tmp_path / "shared")
    with pytest.raises(
        CliError, match=r"The link shared leads out of the folder, to .*/shared\. Use --follow-links"
    ):
        packing.pack(tmp_path, follow_links=False)
    assert names(tmp_path, follow_links=True) == ["one.py", "shared/util.py"]


def test_a_link_within_the_folder_is_packed_as_what_it_leads_to(tmp_path):
    write(tmp_path, "dags/one.py")
    (tmp_path / "dags" / "two.py").symlink_to("one.py")
    assert names(tmp_path) == ["one.py", "two.py"]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("nowhere", "leads to nothing"),
        (".", "leads back to a folder around it"),
        ("loop", "leads to nothing"),
    ],
)
def test_a_link_to_nothing_or_back_is_refused(tmp_path, target, why):
    write(tmp_path, "one.py")
    (tmp_path / "loop").symlink_to(target)
    with pytest.raises(CliError, match=why):
        packing.pack(tmp_path, follow_links=True)


def test_a_link_that_is_left_out_harms_nobody(tmp_path):
    write(tmp_path, "one.py")
    (tmp_path / ".venv").symlink_to("/")
    assert names(tmp_path) == ["one.py"]


def test_a_name_that_is_not_utf_8_is_refused_by_name_and_harms_nobody_where_it_is_left_out(tmp_path):
    write(tmp_path, "one.py")
    (tmp_path / os.fsdecode(b"caf\xe9.py")).write_text("x = 1\n")
    with pytest.raises(CliError, match=r"The name caf�\.py is not UTF-8"):
        packing.pack(tmp_path, follow_links=False)
    (tmp_path / ".airdeckignore").write_text("caf*\n")
    assert names(tmp_path) == [".airdeckignore", "one.py"]


def test_the_first_line_of_an_ignore_file_counts_when_an_editor_began_it_with_a_byte_order_mark(tmp_path):
    write(tmp_path, "dags/one.py", "dags/drafts/two.py")
    (tmp_path / ".airdeckignore").write_text("dags/drafts/\n", encoding="utf-8-sig")
    assert names(tmp_path) == ["one.py"]


def test_a_pipe_is_refused_by_name(tmp_path):
    write(tmp_path, "one.py")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CliError, match="pipe is a device, a pipe or a socket"):
        packing.pack(tmp_path, follow_links=False)


def test_an_empty_folder_deletes_no_dags(tmp_path):
    (tmp_path / "dags").mkdir()
    with pytest.raises(CliError, match="There is no code"):
        packing.pack(tmp_path, follow_links=False)


def test_equal_code_is_an_equal_archive_whenever_and_wherever_it_is_packed(tmp_path):
    write(tmp_path / "a", "b.py", "a/c.py", "é.py")
    write(tmp_path / "z", "é.py", "a/c.py", "b.py")
    os.utime(tmp_path / "z" / "b.py", (0, 0))
    one, other = (packing.pack(tmp_path / each, follow_links=False) for each in "az")
    assert one.digest == other.digest
    assert one.archive().getvalue() == other.archive().getvalue()
    assert zipfile.ZipFile(one.archive()).namelist() == ["a/c.py", "b.py", "é.py"]
    assert not tarfile.is_tarfile(one.archive())


PARTS = st.sampled_from(
    ["a", "b.py", "c.pyc", ".env", ".env.local", "venv", "data", "x.csv", "__pycache__", "é"]
)
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
LINES = st.sampled_from(
    [
        "*.py",
        "!*.py",
        "data/",
        "/a",
        "a/**",
        "**/b.py",
        "!data/x.csv",
        "data/*",
        "# a",
        "",
        "?",
        "[a-c]*",
        "\\#",
        "!.env",
        "venv",
    ]
)


@settings(max_examples=400, deadline=None)
@given(PATHS, st.lists(LINES, max_size=5))
@example("a/.env", ["a/**", "!.env"])
def test_nothing_is_left_out_here_that_the_console_would_take(path, lines):
    """Two readers of one syntax: pathspec's here, and the console's own, which has the last word. (pathspec lets a
    folder that is taken back take back what is in it, too; Git and the console do not.)"""
    rule = packing._rule([*packing.ALWAYS, *lines])
    parts = path.split("/")
    folders = ["/".join(parts[:end]) for end in range(1, len(parts))]
    here = any(rule(f"{each}/") for each in folders) or rule(path)
    there = code_ignore.with_own("\n".join(lines)).leaves_out(path)
    assert there or not here
    if not any(line.startswith("!") for line in lines):
        assert here == there


def test_what_is_always_left_out_is_the_console_s_list():
    assert packing.ALWAYS == code_ignore.ALWAYS


def git(folder: Path, *arguments: str) -> None:
    import subprocess

    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_a_dirty_tree_is_noted_and_a_password_in_the_remote_is_not(tmp_path):
    """Complaint 1: a note in the deploy, never a refusal with 0."""
    write(tmp_path, "one.py")
    assert git_facts.facts(tmp_path) == {}
    git(tmp_path, "init")
    git(tmp_path, "remote", "add", "origin", "https://ada:hush@example.org/x.git")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "First one")
    found = git_facts.facts(tmp_path)
    assert (found["branch"], found["author"], found["dirty"]) == ("main", "Ada", False)
    assert found["remote"] == "https://example.org/x.git"
    write(tmp_path, "two.py")
    assert (
        git_facts.facts(tmp_path, (tmp_path / "one.py",))["dirty"] is False
    )  # what is not sent counts for nothing
    dirty = git_facts.facts(tmp_path)
    assert "with uncommitted changes" in git_facts.description(dirty)
    assert git_facts.query(dirty)["git_dirty"] == "true"


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        (("dags/one.py", "README.md"), ["dags"]),
        (("dags/one.py", "include/words.py", "README.md"), ["dags", "include"]),
        (("one.py",), ["."]),
    ],
)
def test_what_is_sent_is_what_a_dirty_tree_is_judged_by(tmp_path, files, parts):
    for name in files:
        write(tmp_path, name)
    packed = packing.pack(tmp_path, follow_links=False)
    assert [str(part.relative_to(tmp_path)) for part in packed.parts if part.exists()] == parts


def test_an_author_in_bytes_of_another_encoding_and_a_remote_that_is_no_address_stop_no_deploy(tmp_path):
    write(tmp_path, "one.py")
    git(tmp_path, "init")
    git(tmp_path, "config", "i18n.logOutputEncoding", "latin-1")
    git(tmp_path, "remote", "add", "origin", "https://[x")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "Première", "--author", "Zoë <zoe@example.org>")
    found = git_facts.facts(tmp_path)
    assert (found["author"], found["subject"], found["remote"]) == ("Zoë", "Première", "")


@pytest.mark.parametrize(
    ("commit", "branch"), [("CI_COMMIT_SHA", "CI_COMMIT_BRANCH"), ("GITHUB_SHA", "GITHUB_REF_NAME")]
)
def test_a_job_of_ci_names_the_branch_of_the_commit_that_it_checked_out(
    tmp_path, monkeypatch, commit, branch
):
    write(tmp_path, "one.py")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "First one")
    git(tmp_path, "checkout", "--detach")
    found = git_facts.facts(tmp_path)
    monkeypatch.setenv(branch, "release")
    monkeypatch.setenv(commit, "0" * 40)
    assert (found["branch"], git_facts.facts(tmp_path)["branch"]) == ("", "")
    monkeypatch.setenv(commit, str(found["sha"]))
    assert git_facts.facts(tmp_path)["branch"] == "release"
