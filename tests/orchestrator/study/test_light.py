import subprocess
import sys

from trainables.registry import LAYOUTS

HEAVY = """
import sys
from orchestrator.study.load import load_study
load_study(sys.argv[1])
print(*(name for name in ("torch", "ray", "mlflow", "pandas") if name in sys.modules))
"""


def test_reading_a_study_loads_no_library_that_takes_a_moment(write):
    data = [{"root": "images", "layout": name} for name in LAYOUTS]
    study = write(data=data, detectors=["residual_cnn", {"kind": "scores", "file": "scores.csv"}])
    done = subprocess.run([sys.executable, "-c", HEAVY, str(study)], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []
