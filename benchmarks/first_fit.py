"""`python -m benchmarks.first_fit`: the first fit of a structure, from an empty cache, beside R's.

For each of some published models, in turn: a whole process from its start to the printed summary with tests, by hier
with an empty cache and by Rscript with lmerTest, glmmTMB or ordinal; and the call alone, imports done: hier's first
`estimate()` and `summary()`, and R's second, which has its packages loaded and its code compiled.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Spread, spread

ROOT = Path(__file__).resolve().parents[1]
ORACLE = ROOT / "tests" / "oracle"
NORMAL = (
    "sleepstudy_corr_reml",
    "pigs",
    "Penicillin_reml",
    "Pastes_nested_reml",
    "Machines_catslope_reml",
    "radon_ri_reml",
    "InstEval_simple_reml",
)
OTHERS = (
    "contraception_district",
    "contraception_slope",
    "cbpp_laplace",
    "grouseticks_tmb",
    "owls_nbinom2",
    "epil_laplace",
    "epil2_nbinom2",
    "sim_beta_logit",
    "sim_gamma_log",
    "salamanders_zip",
    "wine_clmm_judge",
)
PIGS = {
    "name": "pigs",
    "formula": "weight ~ week + (week | id)",
    "path": "hier/datasets/pigs.csv",
    "categorical": {"id": {}},
    "reml": True,
}
FAMILIES = {"poisson_zi": "zero_inflated_poisson"}
R_FAMILIES = {
    "nbinom2": "nbinom2(link='{link}')",
    "beta": "beta_family(link='{link}')",
    "poisson_zi": "poisson(link='{link}')",
}

HIER = """
import json, sys, time
began = time.perf_counter()
case = json.loads(sys.argv[1])
import pandas as pd
import hier
table = pd.read_csv(case["path"], keep_default_na=False, na_values=[""])
for name, coding in case["categorical"].items():
    values = table[name].map(lambda v: v if pd.isna(v) or isinstance(v, str) else f"{v:g}")
    table[name] = pd.Categorical(values, categories=coding.get("levels") or sorted(values.dropna().unique()))
if case.get("success"):
    table[case["success"][0]] = table[case["success"][0]].astype(str) == case["success"][1]
loaded = time.perf_counter()
model = hier.Model(case["formula"], table, **case["options"])
made = time.perf_counter()
fit = model.estimate()
print(fit.summary())
print(json.dumps({"call": time.perf_counter() - made, "objective": fit.objective}))
"""

R = """
case <- commandArgs(trailingOnly = TRUE)
suppressMessages(library({package}))
table <- read.csv(case[1], na.strings = "", stringsAsFactors = TRUE)
for (name in strsplit(case[2], ",")[[1]]) table[[name]] <- factor(table[[name]])
fit <- function() summary({call})
print(fit())
began <- proc.time()[["elapsed"]]
for (k in 1:{calls}) found <- fit()
cat("\\ncall:", (proc.time()[["elapsed"]] - began) / {calls}, "\\n")
"""


def cases() -> dict[str, dict[str, Any]]:
    """The models by name."""
    found: dict[str, dict[str, Any]] = {"pigs": PIGS}
    for name in ("lmm_cases.json", "glmm_cases.json"):
        for case in json.loads((ORACLE / name).read_text(encoding="utf-8"))["cases"]:
            found[case["name"]] = {**case, "path": f"tests/oracle/{case['data']}"}
    return found


def hier_case(case: dict[str, Any]) -> str:
    """What hier's process is told."""
    options = {}
    if "family" in case:
        options = {"family": FAMILIES.get(case["family"], case["family"]), "link": case["link"]}
    level = case.get("success_level")
    success = None if level is None else [case["formula"].split("~")[0].strip(), str(level)]
    kept = {"path": case["path"], "formula": case["formula"], "categorical": case["categorical"] or {}}
    return json.dumps({**kept, "options": options, "success": success})


def r_program(case: dict[str, Any], calls: int) -> str:
    """R's program for a model."""
    formula, family = case["formula"], case.get("family")
    if family is None:
        return R.format(package="lmerTest", call=f"lmer({formula}, table, REML = TRUE)", calls=calls)
    if family == "cumulative":
        return R.format(package="ordinal", call=f"clmm({formula}, data = table)", calls=calls)
    if case.get("success_level") is not None:
        response, right = formula.split("~")
        formula = f"I({response.strip()} == '{case['success_level']}') ~ {right}"
    own = R_FAMILIES.get(family, f"{family}(link='{{link}}')").format(link=case["link"])
    inflated = ", ziformula = ~1" if family == "poisson_zi" else ""
    return R.format(package="glmmTMB", call=f"glmmTMB({formula}, table, family = {own}{inflated})", calls=calls)


def of_hier(case: dict[str, Any], folder: Path) -> tuple[float, float]:
    """Seconds of a whole process with an empty cache, and of its call alone."""
    cache = Path(tempfile.mkdtemp(dir=folder))
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", HIER, hier_case(case)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HIER_CACHE_DIR": str(cache), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    whole = time.perf_counter() - began
    shutil.rmtree(cache)
    return whole, json.loads(done.stdout.splitlines()[-1])["call"]


def of_r(case: dict[str, Any], folder: Path, calls: int) -> tuple[float, float]:
    """The same of R; the repeated calls are taken off the whole process."""
    script = folder / "fit.R"
    script.write_text(r_program(case, calls), encoding="utf-8")
    columns = ",".join(case["categorical"] or {})
    began = time.perf_counter()
    done = subprocess.run(
        ["Rscript", str(script), case["path"], columns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    whole = time.perf_counter() - began
    call = float(done.stdout.rsplit("call:", 1)[1])
    return whole - calls * call, call


def measured(case: dict[str, Any], rounds: int, folder: Path) -> dict[str, Spread]:
    """Both programs in turn."""
    calls = 1 if "InstEval" in case["name"] else 3
    found = []
    for _ in range(rounds):
        found.append((*of_hier(case, folder), *of_r(case, folder, calls)))
    whole, call, r_whole, r_call = np.array(found).T
    columns = {"whole": whole, "R whole": r_whole, "whole/R": whole / r_whole, "call": call, "R call": r_call}
    columns["call/R"] = call / r_call
    return {name: spread(values.tolist()) for name, values in columns.items()}


def main() -> int:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_fit", description=__doc__)
    parser.add_argument("--only", action="append", choices=[*NORMAL, *OTHERS], help="this model only; may be repeated")
    parser.add_argument("--rounds", type=int, default=3)
    chosen, known = parser.parse_args(), cases()
    columns = ("whole", "R whole", "whole/R", "call", "R call", "call/R")
    print(f"{'median, seconds':24}" + "".join(f"{name:>10}" for name in columns))
    with tempfile.TemporaryDirectory() as folder:
        of_hier(known["pigs"], Path(folder))  # files are read from memory from here on
        for name in chosen.only or (*NORMAL, *OTHERS):
            found = measured(known[name], chosen.rounds, Path(folder))
            print(f"{name:24}" + "".join(f"{found[column].median:10.3f}" for column in columns), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
