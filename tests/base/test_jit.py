"""Kernels are cached, and a change in a neighboring file is seen."""

from __future__ import annotations

import os
import subprocess
import sys

CALLEE = "from fivefold.base.jit import njit\n@njit\ndef constant():\n    return {value}\n"
CALLER = (
    "from fivefold.base.jit import njit\nfrom callee import constant\n"
    "@njit\ndef answer(x):\n    return x + constant()\n"
    "print(answer(1), sum(answer.stats.cache_hits.values()))\n"
)


def run(folder):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", "import caller"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_cache_is_used_and_watches_the_whole_package(tmp_path):
    (tmp_path / "callee.py").write_text(CALLEE.format(value=1))
    (tmp_path / "caller.py").write_text(CALLER)
    assert run(tmp_path) == ["2", "0"]
    assert run(tmp_path) == ["2", "1"]
    (tmp_path / "callee.py").write_text(CALLEE.format(value=10))
    assert run(tmp_path) == ["11", "0"]
