"""What the driver contract says of what a person asks for, and waits: logs and processes, now; a part of
`contract.DriverContract`."""

import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from deployments.dataplane.contract import (
    LOG_BEGINNING,
    DataPlaneError,
    Ref,
)
from deployments.domain.states import ComponentState

if TYPE_CHECKING:
    from deployments.tests.dataplane.contract import Harness

ASKED_SECONDS = 5.0  # a person waits for it


class AskedContract:
    """See `DriverContract`."""

    def test_logs_are_bounded_and_empty_for_a_component_that_is_not_there(self, harness: "Harness") -> None:
        case = harness.running()
        assert len(harness.new_driver().logs(case.ref, "scheduler", lines=5).lines) <= 5
        assert harness.new_driver().logs(case.ref, "no-such-component").lines == ()

    def test_every_component_has_lines_and_a_cursor_reads_on(self, harness: "Harness") -> None:
        case = harness.running()
        component = min(
            harness.components
        )  # the API server: it writes at its start, and whenever it is asked
        tail = harness.new_driver().logs(case.ref, component, lines=3)
        assert 0 < len(tail.lines) <= 3
        assert tail.cursor
        assert all(line.text and line.source for line in tail.lines)
        seen, cursor = [], LOG_BEGINNING  # in portions of two, as in one
        while part := harness.new_driver().logs(case.ref, component, lines=2, after=cursor):
            if not part.lines:
                break
            seen, cursor = [*seen, *part.lines], part.cursor
        whole = harness.new_driver().logs(case.ref, component, lines=5000).lines
        assert list(whole[: len(seen)]) == seen

    def test_a_cursor_that_means_nothing_reads_as_none(self, harness: "Harness") -> None:
        case, component = harness.running(), min(harness.components)
        for cursor in ("nonsense", "../../etc/passwd", "é" * 9000, "e30="):
            assert harness.new_driver().logs(case.ref, component, lines=1, after=cursor).lines

    def test_every_component_can_be_inspected(self, harness: "Harness") -> None:
        case = harness.running()
        for component in harness.components:
            began = time.monotonic()
            instances = harness.new_driver().inspect(case.ref, component)
            assert time.monotonic() - began < ASKED_SECONDS
            assert instances
            for instance in instances:
                assert instance.name
                assert instance.state is ComponentState.READY
                assert instance.sentence.endswith(".")
                assert all(label and text for label, text in instance.facts.items())
                assert "Last probe" in instance.facts
        assert harness.new_driver().inspect(case.ref, "no-such-component") == ()
        assert harness.new_driver().inspect(Ref(str(uuid4()), "no-such-0000"), "scheduler") == ()

    def test_logs_and_inspect_of_an_unreachable_plane_are_a_sentence_or_an_answer_soon(
        self, harness: "Harness"
    ) -> None:
        driver, ref = harness.unreachable(), harness.running().ref
        for call in (
            lambda: driver.logs(ref, "scheduler"),
            lambda: driver.inspect(ref, "scheduler"),
            lambda: driver.task_logs(ref),
            lambda: driver.task_log(ref, "dag_id=a/attempt=1.log"),
        ):
            began, message = time.monotonic(), "."
            try:
                call()
            except DataPlaneError as error:
                message = str(error)
            assert message.endswith((".", "?"))
            assert time.monotonic() - began < ASKED_SECONDS
        with pytest.raises(DataPlaneError):
            driver.inspect(ref, "scheduler")
