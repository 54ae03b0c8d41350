"""The bench's arithmetic and its page; the measurements themselves are `make bench`."""

import pytest

from console.bench.report import BEGIN, END, PAGE, table, write
from console.bench.result import Figure, Result, each, percentile

GOOD = Result((Figure("Badge", "at most 60 ms", "10 ms", True),), "Twenty changes.", ("All of them.",))
BAD = Result((Figure("List", "at most 4 times", "5.0 times", False),), "In turn.")


@pytest.mark.parametrize(
    ("part", "value"), [(0.0, 1), (0.05, 1), (0.5, 10), (0.51, 11), (0.95, 19), (0.96, 20), (1.0, 20)]
)
def test_a_percentile_is_a_value_that_was_measured(part, value) -> None:
    assert percentile(range(20, 0, -1), part) == value


def test_repetitions_are_told_one_by_one() -> None:
    assert each([1.04, 2, 3], "s") == "1.0, 2.0 and 3.0 s"
    assert each([4.6], "ms", 0) == "5 ms"


def test_the_table_says_what_was_missed() -> None:
    *_, first, second = table({"badge": GOOD, "list": BAD}).splitlines()
    assert first == "| Badge | at most 60 ms | 10 ms | ok |"
    assert second == "| List | at most 4 times | 5.0 times | **missed** |"


def test_a_run_replaces_the_last_one_and_nothing_else(tmp_path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"Before.\n{BEGIN}\nan old run\n{END}\nAfter.\n")
    write({"list": BAD}, ("One machine.",), page)
    write({"badge": GOOD}, ("Another machine.",), page)
    text = page.read_text()
    assert text.startswith(f"Before.\n{BEGIN}\n")
    assert text.endswith(f"{END}\nAfter.\n")
    assert "Another machine." in text
    assert "10 ms" in text
    assert "One machine." not in text
    assert "an old run" not in text


def test_a_page_without_markers_is_left_alone(tmp_path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("Ours.\n")
    with pytest.raises(ValueError, match="put them back"):
        write({"badge": GOOD}, (), page)
    assert page.read_text() == "Ours.\n"


def test_our_page_has_room_for_the_table() -> None:
    text = PAGE.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.index(BEGIN) < text.index(END)
