"""`python -m benchmarks.large`: a table of many rows and levels, from the data frame to the cross-products.

Each program runs in a process of its own on the same simulated frame, `y ~ x + f + (x | g)` with a level of g for
every ten rows. hier is timed to the cross-products, after which nothing depends on the number of rows; glmm and
mixedlm do not show where their reading ends, so theirs is the whole call. Memory is the peak of the process above what
it held before the call, as a multiple of the columns' own bytes.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

FORMULA = "y ~ x + f + (x | g)"
PROGRAMS = ("hier", "glmm", "mixedlm")


def frame(rows: int) -> Any:
    """The simulated table."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(1)
    levels = max(rows // 10, 2)
    g, x = rng.integers(0, levels, rows), rng.normal(size=rows)
    f = pd.Categorical.from_codes(rng.integers(0, 3, rows), ["a", "b", "c"])
    deviations = rng.normal(size=(2, levels)) * [[1.0], [0.5]]
    y = 1.0 + 2.0 * x + deviations[0][g] + deviations[1][g] * x + rng.normal(size=rows)
    return pd.DataFrame({"y": y, "x": x, "f": f, "g": g})


def call_of(program: str) -> Any:
    """What is timed, as a function of the frame."""
    if program == "glmm":
        import glmm

        return lambda data: glmm.fit(data, FORMULA, satterthwaite=False)
    if program == "mixedlm":
        import mixedlm

        return lambda data: mixedlm.lmer(FORMULA, data)
    import hier
    from hier.model.problem import likelihood_problem

    return lambda data: likelihood_problem(hier.Model(FORMULA, data))


class Peak:
    """The largest memory that the process holds while this is entered, above what it held before; in bytes."""

    def __enter__(self) -> "Peak":
        self.before = self.most = _resident()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self.most = max(self.most, _resident())

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def above(self) -> int:
        return self.most - self.before


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def measure(program: str, rows: int) -> dict[str, Any]:
    """Seconds and peak memory of one program in this process; the second of two calls on small data is the warm-up."""
    call = call_of(program)
    small = frame(2000)
    call(small.assign(g=small["g"] % 20))
    data = frame(rows)
    size = int(data.memory_usage(index=False).sum())
    with Peak() as peak:
        start = time.perf_counter()
        call(data)
        seconds = time.perf_counter() - start
    return {"program": program, "seconds": seconds, "peak": peak.above / size, "columns_mb": size / 1e6}


def main() -> int:
    """Run each program in a process and print the table."""
    root = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument("--rows", type=float, default=1e7)
    parser.add_argument("--peers", default=str(root / ".venv-peers" / "bin" / "python"), help="the peers' interpreter")
    parser.add_argument("--only", choices=PROGRAMS, help="measure this program, in this process")
    chosen = parser.parse_args()
    if chosen.only:
        print(json.dumps(measure(chosen.only, int(chosen.rows))))
        return 0
    print(f"{FORMULA}, {chosen.rows:.0f} rows, a level for every ten\n")
    print(f"{'program':<10}{'seconds':>9}{'peak memory / columns':>24}")
    for program in PROGRAMS:
        python = sys.executable if program == "hier" else chosen.peers
        command = [python, "-m", "benchmarks.large", "--rows", str(chosen.rows), "--only", program]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{program:<10} did not run: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        print(f"{program:<10}{found['seconds']:>9.2f}{found['peak']:>24.2f}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
