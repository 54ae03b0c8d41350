"""Charts are documents: the same figures make the same drawing, to the character."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

from deployments.presenters.charts import BAND, WIDTH, Slot, Stretch, bars, ribbon, span_text, strip

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def slots(*counts: tuple[int | None, int | None]) -> list[Slot]:
    starts = [NOON + HOUR * number for number in range(len(counts))]
    return [Slot(*each, span_text(at, HOUR, UTC)) for at, each in zip(starts, counts, strict=True)]


GOLDEN_BARS = (
    '<svg class="chart" viewBox="0 0 720 56" preserveAspectRatio="none" aria-hidden="true">'
    '<path class="chart__good" d="M90 56v-27" stroke-width="140.4"/>'
    '<path class="chart__bad" d="M90 29v-27" stroke-width="140.4"/>'
    '<path class="chart__foot" d="M450 56v-1" stroke-width="140.4"/>'
    '<path class="chart__gap" d="M199.8 53h140.4v3h-140.4z"/>'
    '<defs><pattern id="runs-good" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path class="chart__good-line" d="M0 0v5"/></pattern></defs>'
    '<rect class="chart__open chart__open--good" fill="url(#runs-good)" x="559.8" y="42" width="140.4" height="14"/>'
    '<path class="chart__mark" d="M180 0v56"/>'
    '<g class="chart__hits">'
    '<path d="M0 0h180v56h-180z"><title>28 Nov, 12:00 to 13:00 UTC: 2 succeeded, 2 failed</title></path>'
    '<path d="M180 0h180v56h-180z"><title>28 Nov, 13:00 to 14:00 UTC: no data</title></path>'
    '<path d="M360 0h180v56h-180z"><title>28 Nov, 14:00 to 15:00 UTC: 0 succeeded, 0 failed</title></path>'
    '<path d="M540 0h180v56h-180z"><title>28 Nov, 15:00 to 16:00 UTC: 1 succeeded, 0 failed, so far</title></path>'
    "</g></svg>"
)


def test_bars_are_drawn_as_they_are_wanted():
    drawn = bars(slots((2, 2), (None, None), (0, 0), (1, 0)), name="runs", marks=[0.25])
    assert drawn == GOLDEN_BARS
    ElementTree.fromstring(drawn)


def test_a_gap_is_no_zero_and_a_zero_is_no_gap():
    gap = bars(slots((None, None), (1, 0)), name="a")
    zero = bars(slots((0, 0), (1, 0)), name="a")
    assert ("chart__gap" in gap, "no data" in gap, "chart__foot" in gap) == (True, True, False)
    assert ("chart__gap" in zero, "no data" in zero, "chart__foot" in zero) == (False, False, True)


def lines(drawn: str, kind: str) -> list[tuple[float, float, float]]:
    """Of the bars of one kind: where they stand, on what height, and how high they are."""
    paths = [
        each for each in ElementTree.fromstring(drawn).iter("path") if each.get("class") == f"chart__{kind}"
    ]
    found = re.findall(r"M([\d.]+) (\d+)v-(\d+)", paths[0].get("d", "")) if paths else []
    return [(float(x), float(bottom), float(height)) for x, bottom, height in found]


def test_only_the_last_bar_is_hatched_and_nothing_is_higher_than_the_chart():
    drawn = bars(slots((5, 0), (3, 3), (900, 900), (900, 1)), name="a")
    assert drawn.count("chart__open--good") == drawn.count("chart__open--bad") == 1
    for rect in ElementTree.fromstring(drawn).iter("rect"):
        assert float(rect.get("y", 0)) >= 0
        assert float(rect.get("x", 0)) + float(rect.get("width", 0)) <= WIDTH + 0.1
        assert float(rect.get("height", 0)) <= BAND
    stand = lines(drawn, "good") + lines(drawn, "bad")
    assert len(stand) == 5
    assert all(x < WIDTH and 0 <= bottom - height < bottom <= BAND for x, bottom, height in stand)


def test_one_failure_is_seen_beside_many_successes():
    assert lines(bars(slots((9000, 1), (1, 0)), name="a"), "bad")[0][2] >= 2


def test_the_title_of_a_bar_says_the_readers_own_time_beside_utc():
    assert span_text(NOON, HOUR, ZoneInfo("Asia/Kolkata")) == (
        "28 Nov, 12:00 to 13:00 UTC (28 Nov, 17:30 to 18:30 IST)"
    )
    assert span_text(NOON, HOUR, UTC) == "28 Nov, 12:00 to 13:00 UTC"
    assert span_text(NOON, timedelta(days=1), UTC) == "28 Nov, 12:00 to 29 Nov, 12:00 UTC"


def test_words_of_people_are_escaped_in_titles():
    assert "<b>" not in ribbon([Stretch(0, 1, "ok", "<b>")])


def test_a_ribbon_shows_which_status_there_was_when():
    assert ribbon([Stretch(0, 0.5, "busy", "Creating"), Stretch(0.5, 1, "ok", "Healthy")], [0.1]) == (
        '<svg class="chart chart--ribbon" viewBox="0 0 720 8" preserveAspectRatio="none" aria-hidden="true">'
        '<path data-tone="busy" d="M0 0H360V8H0z"><title>Creating</title></path>'
        '<path data-tone="ok" d="M360 0H720V8H360z"><title>Healthy</title></path>'
        '<path class="chart__mark" d="M72 0v8"/></svg>'
    )


def test_a_strip_is_three_short_paths_at_most():
    assert strip(slots((3, 0), (None, None), (0, 0), (1, 2))) == (
        '<svg class="strip" viewBox="0 0 16 12" aria-hidden="true">'
        '<path d="M2 12v-12M14 12v-4"/><path class="bad" d="M14 8v-8"/><path class="foot" d="M10 12v-1"/></svg>'
    )
    assert strip(slots((None, None), (None, None))) == ""
    assert len(strip(slots(*[(number % 5, number % 2) for number in range(24)]))) < 650
