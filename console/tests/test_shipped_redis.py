"""The Redis that comes with the packages, for machines that have none."""

import re
import shutil
import subprocess

import pytest

from console.embedded import redis_server

OLDEST = 8  # the versions that Valkey maintains; Redis 6.2 and 7.2, which others ship, get no fixes any more


def test_the_redis_that_comes_along_is_one_that_is_maintained(monkeypatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    binary = redis_server.find_binary()
    if binary is None:
        pytest.skip("there is no package of it for this kind of machine")
    shown = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Valkey server v=(\d+)\.", shown)
    assert found is not None, shown
    assert int(found[1]) >= OLDEST
