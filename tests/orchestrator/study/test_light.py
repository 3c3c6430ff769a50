import subprocess
import sys

MEASURE = """
import sys, time
start = time.process_time()
from orchestrator.study.load import load_study
load_study(sys.argv[1])
print(time.process_time() - start, *(name for name in ("torch", "ray", "mlflow", "pandas") if name in sys.modules))
"""


def test_reading_a_study_takes_a_moment_and_no_torch(write):
    file = write()
    taken = []
    for _ in range(3):  # the least of three: the first may have to compile
        done = subprocess.run([sys.executable, "-c", MEASURE, str(file)], capture_output=True, text=True, check=True)
        seconds, *heavy = done.stdout.split()
        assert heavy == []
        taken.append(float(seconds))

    assert min(taken) < 0.3
