"""`python -m benchmarks.after_sampling`: what is asked of a posterior, beside Bambi and ArviZ.

On radon (919 rows, 4 x 1000 draws), in turn: a posterior predictive response of every row and draw, the log likelihood,
and ArviZ's leave-one-out cross-validation of it. hier alone: leaving out each of the 85 counties, beside one refit; and
with `--million` the predicted mean of a million rows by 4,000 draws, with the peak memory of the process. `--peers`
names a Python that has Bambi; without one, its column is left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import spread

ROOT = Path(__file__).resolve().parents[1]
RADON = ROOT / "tests" / "oracle" / "data" / "radon.csv"
FORMULA = "log_radon ~ floor + (1 | county)"

HIER = f"""
import json, sys, time
import pandas as pd
import hier
data = pd.read_csv({str(RADON)!r})
model = hier.Model({FORMULA!r}, data)
posterior = model.sample(progress=False)
for _ in range(int(sys.argv[1])):
    began = time.perf_counter()
    posterior.with_predictive().with_log_likelihood().loo()
    whole = time.perf_counter() - began
    began = time.perf_counter()
    posterior.logo("county")
    logo = time.perf_counter() - began
    began = time.perf_counter()
    again = hier.Model({FORMULA!r}, data[data["county"] != data["county"].iloc[0]]).sample(progress=False)
    refit = time.perf_counter() - began
    print(json.dumps({{"predictive + loo": whole, "logo": logo, "one refit": refit}}), flush=True)
"""

BAMBI = f"""
import json, sys, time, warnings
warnings.simplefilter("ignore")
import arviz, bambi, pandas as pd
data = pd.read_csv({str(RADON)!r})
data["county"] = data["county"].astype(str)
model = bambi.Model({FORMULA!r}, data)
draws = model.fit(draws=1000, chains=4, inference_method="nutpie", progressbar=False, quiet=True)
for _ in range(int(sys.argv[1])):
    began = time.perf_counter()
    model.predict(draws, kind="response")
    model.compute_log_likelihood(draws)
    arviz.loo(draws)
    print(json.dumps({{"predictive + loo": time.perf_counter() - began}}), flush=True)
    del draws["posterior_predictive"], draws["log_likelihood"]
"""

MILLION = """
import json, resource, time
import numpy as np, pandas as pd
import hier
pigs = hier.load_dataset("pigs")
posterior = hier.Model("weight ~ week + (week | id)", pigs).sample(progress=False)
rng, n = np.random.default_rng(1), 1_000_000
new = pd.DataFrame({"week": rng.uniform(1, 9, n), "id": rng.choice(pigs["id"].unique(), n)})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
began = time.perf_counter()
found = posterior.predict(new)
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"a million rows, s": seconds, "rows": len(found), "peak MB": peak, "peak MB before": before}))
"""


def measured(python: str, program: str, rounds: int) -> list[dict[str, float]]:
    """What a program printed, one line a round."""
    done = subprocess.run(
        [python, "-W", "ignore", "-c", program, str(rounds)], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{python} failed:\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main() -> int:
    """Print a line for each figure: the median over rounds, and its range."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.after_sampling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", metavar="PYTHON", help="a Python that has Bambi")
    parser.add_argument("--million", action="store_true", help="predict a million rows too")
    chosen = parser.parse_args()
    programs = {"hier": (sys.executable, HIER)} | ({"Bambi": (chosen.peers, BAMBI)} if chosen.peers else {})
    for name, (python, program) in programs.items():
        rounds = measured(python, program, chosen.rounds)
        for figure in rounds[0]:
            print(f"{name}, {figure}: {spread([own[figure] for own in rounds])}", flush=True)
    if chosen.million:
        print(measured(sys.executable, MILLION, 1)[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
