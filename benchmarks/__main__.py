"""`python -m benchmarks`: measure hier beside its peers on one model file, and print the tables.

`--only lmm` measures fits of Normal models up to a million rows, `--only families` responses that are not Normal and
posteriors with crossed factors, both on data of their own; each of their items can be chosen alone.
"""

import argparse
import functools
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import families, lmm, modelfile, parts, table
from benchmarks.programs import Setting
from benchmarks.worker import LIMIT_S, ROOT

PARTS = ("estimation", "sampling", "cold")
GROUPS = {"lmm": lmm.ITEMS, "families": families.ITEMS}


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--peers", help="the peers' interpreter (default: .venv-peers/bin/python, else this one)")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "pigs.toml", help="model file")
    parser.add_argument("--data", type=Path, help="CSV file to use in place of the model file's data")
    choices = (*PARTS, *(name for group, items in GROUPS.items() for name in (group, *items)))
    parser.add_argument("--only", choices=choices, action="append", help="measure this part only; may be repeated")
    parser.add_argument("--rounds", type=_positive, help="rounds of estimation (default: 15; items have their own)")
    parser.add_argument("--calls", type=_positive, default=5, help="calls in a round of estimation")
    parser.add_argument("--sample-rounds", type=_positive, default=5)
    parser.add_argument("--cold-rounds", type=_positive, default=3)
    parser.add_argument("--chains", type=_positive, default=4)
    parser.add_argument("--draws", type=_positive, default=1000)
    parser.add_argument(
        "--blas-threads", type=int, help="for every program; 0 leaves them as they are (default: 1, and 0 for groups)"
    )
    parser.add_argument("--limit", type=_positive, default=int(LIMIT_S), help="seconds that one answer may take")
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
    wanted = [name for part in chosen.only or PARTS for name in GROUPS.get(part, (part,))]
    threads = dict.fromkeys(PARTS, 1) | dict.fromkeys((*lmm.ITEMS, *families.ITEMS), 0)
    if chosen.blas_threads is not None:
        threads = dict.fromkeys(threads, chosen.blas_threads)
    with tempfile.TemporaryDirectory(prefix="hier-bench-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        problem = modelfile.read(chosen.model, scratch, chosen.data)
        peers = peers_interpreter(chosen.peers)
        measured: dict[str, Callable[[Setting], table.Part]] = {
            "estimation": lambda setting: parts.estimation(setting, chosen.rounds or 15, chosen.calls),
            "sampling": lambda setting: parts.sampling(setting, chosen.sample_rounds),
            "cold": lambda setting: parts.cold(setting, chosen.cold_rounds),
        }
        for module in (lmm, families):
            measured |= {name: functools.partial(module.part, name, rounds=chosen.rounds) for name in module.ITEMS}
        rows = len(problem.data.read_text(encoding="utf-8").splitlines()) - 1
        machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
        blas = ", ".join(sorted({str(threads[name] or "unset") for name in wanted}))
        machine = f"{machine}, BLAS threads {blas}, Python {platform.python_version()}"
        print(f"{problem.formula}, {rows} rows; {machine}" if set(wanted) & set(PARTS) else machine)
        print("'times better' is the median over the rounds of the ratio within a round [smallest, largest]\n")
        done = []
        for name in (name for name in measured if name in wanted):
            setting = Setting(problem, peers, scratch, chosen.chains, chosen.draws, threads[name], chosen.limit)
            done.append(measured[name](setting))
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
