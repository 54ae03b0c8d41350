"""One word per thing: the guard of `make check` finds what was removed, and what people read holds none of it."""

import pytest

from console.management.commands import check_words


@pytest.mark.thorough
def test_what_people_read_holds_no_removed_word_and_no_second_spelling() -> None:
    assert check_words.problems() == []


def test_a_removed_word_is_found_in_sentences_names_and_comments(tmp_path, monkeypatch, settings) -> None:
    settings.BASE_DIR = tmp_path
    (tmp_path / "console").mkdir()
    (tmp_path / "templates").mkdir()
    code = '"""Read it."""\nSAID = f"Enter it anew, {1}."  # for whoever asks\nMAIL = "Your e-mail"\n'
    (tmp_path / "console" / "said.py").write_text(code)
    (tmp_path / "templates" / "a.html").write_text("{# anew #}\n<p>The server is away.</p>\n")
    assert check_words.problems() == [
        "console/said.py:3: “e-mail” is not used; say email.",
        "console/said.py:2: “anew” is not used; say again.",
        "console/said.py:2: “SAID” is not used as a name; say what it holds or does.",
        "console/said.py:2: “whoever” is not used; say who it is.",
        "templates/a.html:2: “is away” is not used; say is unavailable.",
    ]
