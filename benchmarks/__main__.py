"""`python -m benchmarks`: measure hier beside its peers on one model file, and print the tables."""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import modelfile, parts, table
from benchmarks.programs import Setting
from benchmarks.worker import ROOT

PARTS = ("estimation", "sampling", "cold")


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--peers", help="the peers' interpreter (default: .venv-peers/bin/python, else this one)")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "pigs.toml", help="model file")
    parser.add_argument("--data", type=Path, help="CSV file to use in place of the model file's data")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part only; may be repeated")
    parser.add_argument("--rounds", type=_positive, default=15, help="rounds of estimation")
    parser.add_argument("--calls", type=_positive, default=5, help="calls in a round of estimation")
    parser.add_argument("--sample-rounds", type=_positive, default=5)
    parser.add_argument("--cold-rounds", type=_positive, default=3)
    parser.add_argument("--chains", type=_positive, default=4)
    parser.add_argument("--draws", type=_positive, default=1000)
    parser.add_argument("--blas-threads", type=int, default=1, help="for every program; 0 leaves them as they are")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    return parser.parse_args()


def peers_interpreter(given: str | None) -> str:
    """The interpreter that has the peers; it is run in the repository root, so its path is made absolute."""
    if given is not None:
        return str(Path(given).absolute())
    beside = ROOT / ".venv-peers" / "bin" / "python"
    return str(beside) if beside.exists() else sys.executable


def main() -> int:
    """Measure part after part, printing each as it is done."""
    chosen = options()
    wanted = chosen.only or PARTS
    with tempfile.TemporaryDirectory(prefix="hier-bench-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        problem = modelfile.read(chosen.model, scratch, chosen.data)
        setting = Setting(
            problem, peers_interpreter(chosen.peers), scratch, chosen.chains, chosen.draws, chosen.blas_threads
        )
        measured: dict[str, Callable[[], table.Part]] = {
            "estimation": lambda: parts.estimation(setting, chosen.rounds, chosen.calls),
            "sampling": lambda: parts.sampling(setting, chosen.sample_rounds),
            "cold": lambda: parts.cold(setting, chosen.cold_rounds),
        }
        rows = len(problem.data.read_text(encoding="utf-8").splitlines()) - 1
        machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
        machine = f"{machine}, BLAS threads {chosen.blas_threads or 'unset'}, Python {platform.python_version()}"
        print(f"{problem.formula}, {rows} rows; {machine}")
        print("'times better' is the median over the rounds of the ratio within a round [smallest, largest]\n")
        done = []
        for name in (name for name in PARTS if name in wanted):
            done.append(measured[name]())
            print(table.text(done[-1]), end="\n\n", flush=True)
    if chosen.json is not None:
        record = {"formula": problem.formula, "machine": machine, "parts": [table.record(part) for part in done]}
        chosen.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0


def _positive(text: str) -> int:
    """A whole number from one on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
