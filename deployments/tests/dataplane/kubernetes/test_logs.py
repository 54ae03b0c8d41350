"""Logs of several pods as one: nothing is lost, repeated or out of order, and little is read twice."""

from types import SimpleNamespace

import pytest

from deployments.dataplane.contract import LOG_BEGINNING
from deployments.dataplane.kubernetes import logs


class Pods:
    """Pods with logs, answering as a kubelet does: whole seconds, whole bytes. `texts` is by pod and "previous"."""

    def __init__(self, texts: dict[tuple[str, str], str], **ended: str) -> None:
        self.texts, self.ended, self.asked, self.sent = texts, ended, 0, 0
        self.api = SimpleNamespace(text=self.text)

    def pods(self, component: str) -> list[dict]:
        return [
            {"metadata": {"name": name}, "status": {"containerStatuses": [self._status(name)]}}
            for name in dict.fromkeys(name for name, _ in self.texts)
        ]

    def _status(self, name: str) -> dict:
        ended = self.ended.get(name)
        return {"lastState": {"terminated": {"finishedAt": ended}} if ended else {}}

    def path(self, version: str, kind: str, name: str) -> str:
        return name

    def text(self, path: str, what: str, limit: int, **query: str) -> str:
        kept = self.texts.get((path.removesuffix("/log"), query["previous"]), "").splitlines(keepends=True)
        kept = [line for line in kept if line[:19] >= query.get("sinceTime", "")[:19]]
        tail = int(query.get("tailLines", len(kept)))
        raw = "".join(kept[len(kept) - min(tail, len(kept)) :])[: int(query["limitBytes"])]
        self.asked, self.sent = self.asked + 1, self.sent + len(raw)
        return raw


def line(second: float, text: str) -> str:
    return f"2026-11-22T00:{int(second) // 60:02}:{int(second) % 60:02}.{int(second * 1e6) % 1_000_000:06}000Z {text}\n"


def whole(pods: Pods, lines: int) -> list[str]:
    """Everything, from the beginning, in portions."""
    texts: list[str] = []
    cursor = LOG_BEGINNING
    while (tail := logs.read(pods, "worker", lines=lines, after=cursor)).lines:
        assert len(tail.lines) <= lines
        assert tail.cursor != cursor
        texts, cursor = texts + [one.text for one in tail.lines], tail.cursor
    return texts


def test_old_lines_of_a_quiet_pod_are_not_new_to_a_page_that_follows() -> None:
    quiet = "".join(line(n, f"quiet {n}") for n in range(5))
    pods = Pods(
        {("quiet", "false"): quiet, ("busy", "false"): "".join(line(60 + n, f"busy {n}") for n in range(50))}
    )
    tail = logs.read(pods, "worker", lines=10, after="")
    assert [one.text for one in tail.lines] == [f"busy {n}" for n in range(40, 50)]
    assert logs.read(pods, "worker", lines=10, after=tail.cursor).lines == ()
    pods.texts["quiet", "false"] += line(200, "quiet no more")
    again = logs.read(pods, "worker", lines=10, after=tail.cursor)
    assert [one.text for one in again.lines] == ["quiet no more"]


def test_a_long_log_is_read_about_once() -> None:
    text = "".join(line(n / 100, f"{n} " + "x" * 120) for n in range(25_000))
    pods = Pods({("only", "false"): text})
    assert whole(pods, 5000) == [raw[31:] for raw in text.splitlines()]
    assert pods.sent < 3 * len(text)


@pytest.mark.parametrize("lines", [7, 1000])
def test_pods_of_unequal_length_are_one_log_in_order(monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    monkeypatch.setattr(logs, "LEAST_BYTES", 500)
    monkeypatch.setattr(logs, "LINE_BYTES", 1)
    texts = {
        ("a", "false"): "".join(line(n, f"{n} a" + "y" * 40) for n in range(300)),
        ("b", "false"): "".join(line(3 * n + 0.5, f"{3 * n + 0.5} b") for n in range(100)),
        ("c", "false"): line(2.25, "2.25 c") + line(299.75, "299.75 c"),
    }
    read = whole(Pods(texts), lines)
    assert sorted(read) == sorted(raw[31:] for text in texts.values() for raw in text.splitlines())
    numbers = [float(text.split()[0]) for text in read]
    assert numbers == sorted(numbers)


def test_a_second_that_holds_more_than_a_portion_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LEAST_BYTES", 500)
    monkeypatch.setattr(logs, "LINE_BYTES", 1)
    text = "".join(line(1 + n / 1000, f"n{n}") for n in range(900)) + line(9, "") + line(10, "end")
    assert whole(Pods({("a", "false"): text}), 5) == [*(f"n{n}" for n in range(900)), "end"]


def test_the_run_before_a_restart_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LEAST_BYTES", 500)
    before = "".join(line(n, f"before {n}") for n in range(100))
    after = "".join(line(120 + n, f"after {n}") for n in range(50))
    pods = Pods({("a", "true"): before, ("a", "false"): after}, a="2026-11-22T00:01:40Z")
    assert whole(pods, 20) == [raw[31:] for raw in (before + after).splitlines()]
    asked = pods.asked
    tail = logs.read(pods, "worker", lines=5, after="")
    logs.read(pods, "worker", lines=5, after=tail.cursor)
    assert pods.asked == asked + 3  # the earlier run ended before the cursor
