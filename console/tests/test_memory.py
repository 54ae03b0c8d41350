"""Garbage of requests is found soon, in the process that answers them."""

import json
import os
import subprocess
import sys

import pytest

from console.kit.memory import OFTEN

pytestmark = pytest.mark.thorough

TOLD = "import gc, json, console.asgi; print(json.dumps([gc.get_threshold(), gc.get_freeze_count()]))"


def of_a_process(role: str) -> tuple[tuple[int, ...], int]:
    done = subprocess.run(
        [sys.executable, "-c", TOLD],
        env={**os.environ, "PROCESS_ROLE": role},
        capture_output=True,
        text=True,
        check=True,
    )
    threshold, frozen = json.loads(done.stdout)
    return tuple(threshold), frozen


def test_the_web_process_collects_often_and_never_walks_what_it_imported():
    threshold, frozen = of_a_process("web")
    assert threshold == OFTEN
    assert frozen > 100_000
    assert of_a_process("command")[0] != OFTEN
