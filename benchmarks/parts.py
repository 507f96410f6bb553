"""The three parts of a run: estimation, repeated sampling, and a whole cold process."""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measure import Reply, Task, TaskError, seconds, take_turns
from benchmarks.programs import HIER, Setting, start_all
from benchmarks.table import Part, Program, answer, compare
from benchmarks.worker import LIMIT_S, ROOT, environment

ESTIMATORS = {
    "estimate": (HIER, "glmm", "mixedlm", "statsmodels", "lme4"),
    "estimate_df": (HIER, "glmm", "mixedlm", "lme4"),
}


def estimation(setting: Setting, rounds: int, calls: int) -> Part:
    """Repeated REML fits from the data frame, without and with degrees of freedom."""
    sizes = f"{rounds} rounds of {calls} calls, milliseconds"
    part = Part("estimation", f"repeated calls from the data frame; {sizes}", scale=1e3)
    with ExitStack() as stack:
        started = start_all(setting, ESTIMATORS["estimate"], stack)
        part.absent.update(started.absent)
        for name, worker in started.workers.items():
            part.programs.append(Program(name, worker.ready["version"], worker.ready["import_s"]))
        for mode, names in ESTIMATORS.items():
            tasks = {name: started.task(name, mode, calls) for name in names if name in started.workers}
            series = take_turns(tasks, rounds)
            part.trouble.update({f"{name} {mode}": text for name, text in series.trouble.items()})
            ours = series.values(HIER, seconds)
            for name in tasks:
                if name == HIER:
                    continue
                label = "lmerTest" if (name, mode) == ("lme4", "estimate_df") else name
                what = f"{'estimate' if mode == 'estimate' else 'estimate with df'} / {label}"
                part.rows += compare(what, ours, series.values(name, seconds), (mode, name))
            part.answers += [answer(f"{name} {mode}", series.replies[name][-1]) for name in series.replies]
    return part


def sampling_seconds(reply: Reply) -> float:
    """The time of sampling alone, compilation left out."""
    return float(reply["sampling_s"])


def ess_per_second(reply: Reply) -> float:
    """The smallest effective sample size by the time of sampling alone."""
    return float(reply["ess"]) / sampling_seconds(reply)


def sampling(setting: Setting, rounds: int) -> Part:
    """Repeated sampling in a process where everything is compiled, and the whole call beside it."""
    sizes = f"{setting.chains} x {setting.draws} draws, {rounds} rounds, seconds"
    part = Part("sampling", f"{sizes}; 'alone' leaves compilation out on both sides, 'whole call' starts at the data")
    with ExitStack() as stack:
        started = start_all(setting, (HIER, "bambi"), stack)
        part.absent.update(started.absent)
        tasks: dict[str, Task] = {}
        for name, worker in started.workers.items():
            part.programs.append(Program(name, worker.ready["version"], worker.ready["import_s"]))
            tasks[name] = started.task(name, "sample", 1)
            if name == HIER:
                tasks["hier whole"] = started.task(name, "sample_whole", 1)
        series = take_turns(tasks, rounds)
    part.trouble.update(series.trouble)
    alone = {name: series.values(name, sampling_seconds) for name in series.replies}
    ess = {name: series.values(name, lambda reply: float(reply["ess"])) for name in series.replies}
    rate = {name: series.values(name, ess_per_second) for name in series.replies}
    ours, peer = HIER, "bambi"
    part.rows += compare("sampling alone / bambi", alone.get(ours, []), alone.get(peer, []), ("sampling", peer))
    whole = series.values("hier whole", seconds), series.values(peer, seconds)
    part.rows += compare("whole call / bambi", *whole, ("whole call", peer))
    part.rows += compare("smallest bulk ESS / bambi", ess.get(ours, []), ess.get(peer, []), ("ess", peer), more=True)
    rates = rate.get(ours, []), rate.get(peer, [])
    part.rows += compare("smallest ESS per second, alone / bambi", *rates, ("effective draws", peer), more=True)
    of_calls = [
        [size / time for size, time in zip(ess.get(name, []), times, strict=False)]
        for name, times in (("hier whole", whole[0]), (peer, whole[1]))
    ]
    what = "smallest ESS per second, whole call / bambi"
    part.rows += compare(what, *of_calls, ("effective draws", peer), more=True)
    part.answers += [answer(f"{name} sample", found[-1]) for name, found in series.replies.items()]
    return part


def cold(setting: Setting, rounds: int) -> Part:
    """A whole process: hier from its start to its end, Bambi's import and sampling alone."""
    part = Part("cold", f"whole process, {rounds} rounds, seconds; hier from start to end, with both summaries")
    filled = setting.scratch / "filled"

    def empty(turn: int) -> Reply:
        with tempfile.TemporaryDirectory(dir=setting.scratch, ignore_cleanup_errors=True) as folder:
            return hier_process(setting, Path(folder))

    tasks: dict[str, Task] = {
        "empty": empty,
        "filled": lambda turn: hier_process(setting, filled),
        "bambi": lambda turn: bambi_process(setting, turn),
    }
    series = take_turns(tasks, rounds)
    part.trouble.update(series.trouble)
    alone = series.values("bambi", lambda reply: float(reply["import_s"] + reply["sampling_s"]))
    whole = series.values("bambi", lambda reply: float(reply["process_s"]))
    for cache in ("empty", "filled"):
        ours = series.values(cache, lambda reply: float(reply["process_s"]))
        what = f"process, cache {cache} / bambi import + sampling alone"
        part.rows += compare(what, ours, alone, (f"cold {cache}", "bambi"))
        what = f"process, cache {cache} / bambi process with compilation"
        part.rows += compare(what, ours, whole, (f"process {cache}", "bambi"))
    for step in ("import_s", "model_s", "estimate_s", "sample_s", "summary_s"):
        for cache in ("empty", "filled"):
            taken = series.values(cache, lambda reply, step=step: float(reply[step]))
            part.rows += compare(f"hier {step.removesuffix('_s')}, cache {cache}", taken, [], (step, ""))
    imports = series.values("bambi", lambda reply: float(reply["import_s"]))
    part.rows += compare("import / bambi", series.values("filled", lambda reply: reply["import_s"]), imports, ("", ""))
    return part


def hier_process(setting: Setting, cache: Path) -> Reply:
    """Run the cold program once with a cache folder, and time the process as a whole."""
    command = [sys.executable, "-m", "benchmarks.hier_cold", *setting.problem.arguments()]
    command += ["--chains", str(setting.chains), "--draws", str(setting.draws)]
    changes = environment(setting.changes(cache))
    start = time.perf_counter()
    try:
        done = subprocess.run(command, cwd=ROOT, env=changes, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise TaskError(f"took longer than {LIMIT_S:.0f} s") from error
    taken = time.perf_counter() - start
    if done.returncode:
        raise TaskError((done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1])
    reply: Reply = json.loads(done.stdout.strip().splitlines()[-1])
    return reply | {"process_s": taken}


def bambi_process(setting: Setting, turn: int) -> Reply:
    """Start Bambi's program afresh, have it sample once, and end it."""
    with setting.start("bambi") as worker:
        if worker.missing:
            raise TaskError(f"not installed ({worker.missing} not found)")
        reply = worker.go("sample", turn + 1)
        taken = time.perf_counter() - worker.started
        return reply | {"import_s": worker.ready["import_s"], "process_s": taken}
