"""Taking archives apart: what comes out, and everything that is refused, by the entry's name."""

import gzip
import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.domain.code_archive import unpack
from deployments.domain.code_errors import MIB, CodeRefused
from deployments.domain.code_limits import Budget, Limits
from deployments.tests.archives import (
    DAG,
    raw_tar,
    raw_zip,
    tar_gz,
    tar_of,
    zip_link,
    zip_of_nowhere,
    zip_with_hidden_record,
    zipped,
)

FILES = {"one.py": DAG, "lib/help.py": b"X = 1\n", "lib/__init__.py": b"", ".airflowignore": b"lib/\n"}


def taken(data: bytes, folder: Path, limits: Limits | None = None):
    return unpack(io.BytesIO(data), folder, limits or Limits())


def refusal(data: bytes, folder: Path, limits: Limits | None = None) -> str:
    with pytest.raises(CodeRefused) as caught:
        taken(data, folder, limits)
    said = str(caught.value)
    assert said.endswith(".")
    assert len(said) < 500
    assert [path for path in folder.parent.rglob("*") if folder not in path.parents] == [folder]
    return said


def outcome(data: bytes, folder: Path) -> set[str] | str:
    """The paths taken, or why not."""
    try:
        return {file.path for file in taken(data, folder).manifest.files}
    except CodeRefused as error:
        return str(error)


@pytest.fixture
def folder(tmp_path) -> Path:
    """The scratch folder, in a folder of its own where nothing else may appear."""
    made = tmp_path / "outer" / "scratch"
    made.mkdir(parents=True)
    return made


@pytest.mark.parametrize(
    "data",
    [
        tar_gz(FILES),
        tar_gz(FILES, prefix="./"),
        tar_gz(FILES, form=tarfile.GNU_FORMAT),
        tar_gz(FILES, form=tarfile.USTAR_FORMAT),
        zipped(FILES),
        zipped(FILES, method=0),
        gzip.compress(gzip.decompress(tar_gz(FILES))[:700])
        + gzip.compress(gzip.decompress(tar_gz(FILES))[700:]),
    ],
    ids=["pax", "pax with ./", "gnu", "ustar", "deflated", "stored", "two members"],
)
def test_equal_content_comes_out_equal_however_it_is_packed(data, folder):
    found = taken(data, folder).manifest
    assert {file.path: (folder / file.sha256).read_bytes() for file in found.files} == FILES
    assert found.digest == taken(zipped(dict(reversed(FILES.items()))), folder).manifest.digest
    assert found.size == sum(map(len, FILES.values()))
    assert found.python_files == 3


@pytest.mark.parametrize("system", [3, 19])
def test_names_that_a_mac_packs_are_read_as_they_are_and_those_of_windows_as_ever(folder, system):
    def name(raw: bytes, packed_on: int) -> str:
        return taken(raw_zip(raw, b"x", system=packed_on), folder).manifest.files[0].path

    assert name("données.csv".encode(), system) == "données.csv"
    assert name("données.csv".encode("cp437"), system) == "données.csv"
    assert name("données.csv".encode("cp437"), 0) == "données.csv"


def test_long_names_and_the_right_to_be_run_survive(folder):
    name = "/".join(["x" * 90] * 10) + "/é.py"
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        assert [f.path for f in taken(tar_gz({name: b"1"}, form=form), folder).manifest.files] == [name]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("run.sh")
        info.mode = 0o755
        archive.addfile(info, io.BytesIO())
    assert taken(out.getvalue(), folder).manifest.files[0].executable


def test_caches_environments_and_env_files_are_left_out(folder):
    extra = {
        ".git/config": b"x", "a/__pycache__/x.pyc": b"x", ".venv/bin/python": b"x", ".env": b"PASSWORD=1",
        "a/.env.local": b"x", ".DS_Store": b"x", "__MACOSX/._one.py": b"x", "old.pyc": b"x",
    }  # fmt: skip
    for data in (tar_gz(FILES | extra), zipped(FILES | extra)):
        found = taken(data, folder)
        assert {file.path for file in found.manifest.files} == set(FILES)
        assert found.left_out == len(extra)
        assert {file.read_bytes() for file in folder.iterdir()} == set(FILES.values())  # nothing else is kept


def test_its_own_airdeckignore_is_followed_wherever_it_stands_and_may_take_back_a_default(folder):
    ignore = {".airdeckignore": b"# notes\n*.md\n/data/\n!keep/.env\n"}
    extra = {"README.md": b"r", "a/b.md": b"r", "data/x.csv": b"r", "sub/data/x.csv": b"s"}
    for files in (ignore | FILES | extra, FILES | extra | ignore):
        found = taken(tar_gz(files), folder)
        assert {file.path for file in found.manifest.files} == {*FILES, *ignore, "sub/data/x.csv"}
        assert b"r" not in {file.read_bytes() for file in folder.iterdir()}


def test_a_link_in_what_is_left_out_harms_nobody(folder):
    data = tar_of((".venv/bin/python", tarfile.SYMTYPE, 0), ("one.py", tarfile.REGTYPE, 3))
    assert [file.path for file in taken(data, folder).manifest.files] == ["one.py"]


HOSTILE = [
    ("absolute", tar_gz({"/etc/cron.d/x": b"x"}), "/etc/cron.d/x", "absolute"),
    ("absolute zip", raw_zip(b"/etc/x", b"x"), "/etc/x", "absolute"),
    ("drive", zipped({"C:x.py": b"x"}), "C:x.py", "absolute"),
    ("out", tar_gz({"a/../../x.py": b"x"}), "a/../../x.py", ".."),
    ("out zip", zipped({"../x.py": b"x"}), "../x.py", ".."),
    ("backslash", raw_zip(b"dags\\x.py", b"x"), "dags\\x.py", "backslash"),
    ("symbolic link", tar_of(("evil", tarfile.SYMTYPE, 0)), "evil", "a link"),
    ("hard link", tar_of(("evil", tarfile.LNKTYPE, 0)), "evil", "a link"),
    ("link zip", zip_link("evil"), "evil", "a link"),
    ("device", tar_of(("null", tarfile.CHRTYPE, 0)), "null", "a device"),
    ("block device", tar_of(("sda", tarfile.BLKTYPE, 0)), "sda", "a device"),
    ("pipe", tar_of(("pipe", tarfile.FIFOTYPE, 0)), "pipe", "a pipe"),
    ("sparse", raw_tar(b"holes", form=b"S"), "holes", "sparse"),
    ("unknown kind", raw_tar(b"what", form=b"V"), "what", "not known"),
    ("control character", tar_gz({"a\nb.py": b"x"}), "a\\nb.py", "control character"),
    ("turned around", zipped({"a\u202eyp.exe.py": b"x"}), "\\u202e", "control character"),
    ("escape sequence", zipped({"\x1b[2J.py": b"x"}), "\\x1b[2J.py", "control character"),
    ("not UTF-8", raw_tar(b"caf\xe9.py"), "caf\\udce9.py", "not UTF-8"),
    ("twice", tar_of(("a.py", b"0", 1), ("a.py", b"0", 1)), "a.py", "twice"),
    ("case", tar_gz({"Lib/a.py": b"x", "lib/b.py": b"x"}), "lib", "differ only in case"),
    ("case of a file", zipped({"A.py": b"x", "a.py": b"y"}), "a.py", "differ only in case"),
    (
        "accents",
        zipped({"caf\u00e9.py": b"x", "cafe\u0301.py": b"y"}),
        "caf",
        "differ only in case or accents",
    ),
    ("file and folder", tar_of(("a", b"0", 1), ("a/b.py", b"0", 1)), "a", "folder"),
    ("folder and file", tar_of(("a/b.py", b"0", 1), ("a", b"0", 1)), "a", "folder"),
    ("too long a path", tar_gz({"/".join(["x" * 100] * 11): b"x"}), "xxx", "1,024 bytes"),
    ("too long a name", zipped({"x" * 256: b"x"}), "xxx", "255"),
    ("encrypted", raw_zip(b"a.py", b"x", flags=1), "a.py", "encrypted"),
    ("another method", raw_zip(b"a.py", b"x", method=14), "a.py", "method 14"),
    ("wrong sum", raw_zip(b"a.py", b"x", crc=1), "a.py", "damaged"),
    ("more than it claims", raw_zip(b"a.py", b"x" * 999, claims=9), "a.py", "damaged"),
    ("two names", raw_zip(b"a.py", b"x", local_name=b"b.py"), "", "damaged"),
    ("an entry of nowhere", zip_of_nowhere(), "", "damaged"),
    ("something between", raw_zip(b"a.py", b"x", after=b"hidden"), "", "damaged"),
    ("a hidden record", zip_with_hidden_record(), "", "damaged"),
    ("one byte changed", raw_tar(b"a.py", spoil=True), "", "does not hold a tar"),
    ("a long name of 1 MiB", raw_tar(b"x", form=b"L", size=MIB, content=b"n" * MIB), "", "64 KiB"),
    ("a negative size", raw_tar(b"x", form=b"x", size=20, content=b"20 size=-00000000000"), "", "damaged"),
    ("no archive", b"\x7fELF" + bytes(100), "", "neither"),
    ("nothing", b"", "", "neither"),
    ("a gzip of text", gzip.compress(b"hello" * 500), "", "does not hold a tar"),
    ("an empty zip", zipped({}), "", "no file of code"),
    ("only what is left out", zipped({".git/x": b"x"}), "", "no file of code"),
    (
        "an ignore file of 201 lines",
        tar_gz({".airdeckignore": b"x\n" * 202, "a.py": b""}),
        ".airdeckignore",
        "200",
    ),
    (
        "an ignore file of 17 KiB",
        tar_gz({".airdeckignore": b"x" * 17000, "a.py": b""}),
        ".airdeckignore",
        "16 KiB",
    ),
    (
        "an ignore file in Latin-1",
        tar_gz({".airdeckignore": b"\xe9", "a.py": b""}),
        ".airdeckignore",
        "UTF-8",
    ),
]


@pytest.mark.parametrize(
    ("data", "name", "why"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE]
)
def test_a_hostile_archive_is_refused_by_name_and_leaves_nothing_outside(data, name, why, folder):
    said = refusal(data, folder)
    assert why in said
    assert name in said


def test_every_truncation_is_refused(folder):
    for whole in (tar_gz(FILES), zipped(FILES)):
        for end in range(0, len(whole) - 1, 7):
            refusal(whole[:end], folder)


SMALL = Limits(packed=50_000, unpacked=200_000, entries=20, file=150_000, ratio=100)


@pytest.mark.parametrize("pack", [tar_gz, zipped])
def test_each_limit_is_held_and_named(pack, folder):
    noise = os.urandom(30_000)
    assert "MiB" in refusal(pack({"a": noise, "b": noise[::-1]}), folder, SMALL)  # packed
    assert "20 files" in refusal(pack({f"{n}.py": b"" for n in range(21)}), folder, SMALL)
    assert "a.csv" in refusal(pack({"a.csv": bytes(150_001)}), folder, SMALL)
    assert "Unpacked" in refusal(pack({"a": bytes(149_000), "b": bytes(149_000)}), folder, SMALL)
    assert taken(pack({f"{n}.py": b"" for n in range(20)}), folder, SMALL).manifest.files


@pytest.mark.parametrize("pack", [tar_gz, zipped])
def test_a_bomb_is_refused_before_it_went_off(pack, folder):
    bomb = pack({"zeros.bin": bytes(60 * MIB)})
    assert len(bomb) < MIB
    tracemalloc.start()
    assert "100 times" in refusal(bomb, folder)
    assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    tracemalloc.stop()
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 12 * MIB


def test_an_entry_that_claims_to_be_small_is_counted_as_it_comes(folder):
    assert "damaged" in refusal(raw_zip(b"a", bytes(100_000), claims=10), folder)


def test_time_is_limited(folder):
    clock = iter(range(0, 10**9, 50))
    budget = Budget(100, Limits(), clock=lambda: next(clock))
    budget.tick()
    budget.tick()
    with pytest.raises(CodeRefused, match="120 s"):
        budget.tick()


def test_two_million_central_records_are_not_held_in_memory(folder):
    record = raw_zip(b"a", b"")
    central = record[record.index(b"PK\x01\x02") : record.index(b"PK\x05\x06")]
    end = record[record.index(b"PK\x05\x06") :]
    local = record[: record.index(b"PK\x01\x02")]
    many = central * 400_000
    data = local + many + end[:12] + len(many).to_bytes(4, "little") + end[16:]
    tracemalloc.start()
    said = refusal(data, folder)
    assert tracemalloc.get_traced_memory()[1] < 3 * MIB
    tracemalloc.stop()
    assert "twice" in said


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(NAMES, st.binary(max_size=50), min_size=1, max_size=6))
def test_any_names_are_stored_or_refused_and_nothing_appears_elsewhere(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("outer") / "scratch"
    folder.mkdir()
    paths = outcome(tar_gz(files), folder)
    if isinstance(paths, str):
        assert paths.isprintable()
    else:
        assert paths <= {name.strip("/").removeprefix("./") for name in files} | {
            "/".join(p for p in name.split("/") if p not in {"", "."}) for name in files
        }
    assert list(folder.parent.iterdir()) == [folder]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600), st.booleans(), st.integers(0, 400))
def test_any_bytes_are_taken_or_refused(tmp_path_factory, noise, zip_, at):
    folder = tmp_path_factory.mktemp("scratch")
    whole = zipped(FILES) if zip_ else gzip.decompress(tar_gz(FILES))
    spoiled = whole[:at] + noise[:40] + whole[at + len(noise[:40]) :]
    data = spoiled if zip_ else gzip.compress(spoiled)
    paths = outcome(data, folder)
    assert not isinstance(paths, str) or paths.isprintable()
