"""Work spread over processes, from wherever it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = """
import operator
from trainables.benchmark.workers import map_in_processes
print("started")
print(list(map_in_processes(operator.neg, range(10), workers=2)))
"""


def test_a_script_without_a_main_guard_is_not_run_again_by_the_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    done = subprocess.run(
        [sys.executable, script], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.splitlines() == ["started", str([-n for n in range(10)])]
