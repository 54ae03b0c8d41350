"""The Grafana dashboard that ships asks for metrics that there are."""

import json
import re

from console import processes
from console.kit import metrics
from console.tests.test_metrics import ROOT

# -- The dashboard --

DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "airdeck.json").read_text())


def expressions() -> list[str]:
    panels = [
        *DASHBOARD["panels"],
        *(inner for panel in DASHBOARD["panels"] for inner in panel.get("panels", [])),
    ]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def test_the_dashboard_asks_for_metrics_that_there_are_and_for_each_of_them():
    there = {name for metric in metrics.ALL for name in metric.series}
    asked = {name for text in expressions() for name in re.findall(r"\bairdeck_[a-z_]+", text)}
    assert asked - there == set()
    families = {metric.name for metric in metrics.ALL if any(name in asked for name in metric.series)}
    assert {metric.name for metric in metrics.ALL} - families - {"airdeck_build_info"} == set()


def test_the_dashboard_groups_by_labels_that_its_metrics_have():
    of = {name: {*metric.labels, "le"} for metric in metrics.ALL for name in metric.series}
    for text in expressions():
        names = re.findall(r"\bairdeck_[a-z_]+", text)
        asked = {label.strip() for group in re.findall(r"by \(([^)]*)\)", text) for label in group.split(",")}
        asked |= set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|=|!=|!~)", text))
        assert asked <= {"instance", "job"}.union(*(of[name] for name in names)), text
        for open_, close in ("()", "{}", "[]"):
            assert text.count(open_) == text.count(close), text


def test_the_dashboard_s_panels_have_a_title_and_do_not_lie_on_each_other():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        assert panel["title"]
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells


# -- The alerts of docs/metrics.md --


def test_a_process_that_is_gone_is_an_alert_though_its_metrics_went_with_it():
    """What compares a metric that no one reports any more compares nothing, and is silent."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = page.partition("## Worth an alert")[2].partition("\n## ")[0]
    gone, *others = [
        line.split("|")[1] for line in rows.splitlines() if "absent(" in line or "the same of" in line
    ]
    assert gone.strip() == '`absent(airdeck_build_info{role="observer"})` for 2 min'
    assert {"observer", *re.findall(r"`(\w+)`", "".join(others))} == set(processes.ROLES)
    assert "role" in metrics.INFO.labels
