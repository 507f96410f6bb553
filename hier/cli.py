"""The command line: arguments in, printed blocks out.

What is done lives in `hier.jobs`, which is imported when it is first needed: `hier --help` must not wait for JAX.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from hier.errors import HierError, JobError
from hier.files import is_folder, is_there, place, refuse_unwritable
from hier.settings import KEPT
from hier.text import shown
from hier.version import __version__

if TYPE_CHECKING:
    from hier.jobs import ModelFile

app = typer.Typer(
    name="hier",
    help="Hierarchical models from one formula: REML estimates and the full posterior, side by side.\n\n"
    "MODEL is the path of a model file such as models/pigs.toml, or a formula in quotation marks with --data.",
    epilog='Example: hier run "weight ~ week + (week | id)" --data pigs --out runs/pigs',
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # names of columns hold brackets, which markup would take away
    context_settings={"help_option_names": ["-h", "--help"]},
)

MODEL = Annotated[str, typer.Argument(help="A model file, or a formula (contains ~) with --data.")]
METHOD = Annotated[str | None, typer.Option("--method", metavar="METHOD", help="reml, ml or map.")]
FORCE = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


@dataclass(frozen=True)
class ModelOptions:
    """What stands beside a formula in place of a model file, or goes before what the file says."""

    data: Annotated[
        str | None, typer.Option("--data", metavar="FILE_OR_NAME", help="With a formula: CSV file or data set.")
    ] = None
    sep: Annotated[
        str | None, typer.Option("--sep", metavar="CHAR", help="The character between fields of the file.")
    ] = None
    decimal: Annotated[str | None, typer.Option("--decimal", metavar="CHAR", help="The decimal sign of the file.")] = (
        None
    )
    encoding: Annotated[str | None, typer.Option("--encoding", metavar="NAME", help="The encoding of the file.")] = None
    na: Annotated[
        list[str] | None,
        typer.Option("--na", metavar="TEXT", help="drop or error; or a text for a missing value; can be repeated."),
    ] = None
    family: Annotated[str | None, typer.Option("--family", metavar="FAMILY", help="The response's distribution.")] = (
        None
    )
    link: Annotated[str | None, typer.Option("--link", metavar="LINK", help="The link of its mean.")] = None


@dataclass(frozen=True)
class SamplingOptions:
    """How the posterior is drawn; what is not said is as in the model file."""

    chains: Annotated[int | None, typer.Option("--chains", help="Number of chains.")] = None
    draws: Annotated[int | None, typer.Option("--draws", help="Draws kept of each chain.")] = None
    warmup: Annotated[int | None, typer.Option("--warmup", help="Iterations of each chain before draws are kept.")] = (
        None
    )
    thin: Annotated[int | None, typer.Option("--thin", help="Of how many iterations one is kept.")] = None
    seed: Annotated[int | None, typer.Option("--seed", help="The same seed gives the same draws.")] = None
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="WORD", help="all, parameters, or a variable of deviations; can be repeated."),
    ] = None
    device: Annotated[str | None, typer.Option("--device", metavar="DEVICE", help="auto, cpu or gpu.")] = None


def records_as_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each field of the records that it takes, in the records' places."""
    takes = inspect.signature(command, eval_str=True).parameters.values()
    records: dict[str, Any] = {own.name: own.annotation for own in takes if is_dataclass(own.annotation)}
    parameters: list[inspect.Parameter] = []
    for own in takes:
        if own.name not in records:
            parameters.append(own.replace(kind=own.KEYWORD_ONLY))
            continue
        hints = get_type_hints(records[own.name], include_extras=True)
        parameters += [
            inspect.Parameter(each.name, own.KEYWORD_ONLY, default=each.default, annotation=hints[each.name])
            for each in fields(records[own.name])
        ]

    @functools.wraps(command)
    def wrapped(**options: Any) -> None:
        made = {
            name: kind(**{each.name: options.pop(each.name) for each in fields(kind)}) for name, kind in records.items()
        }
        command(**options, **made)

    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return wrapped


def refusals_on_stderr(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what a command raises into a message and an exit status: 2 a refusal, 130 Ctrl-C, 1 a defect in hier."""

    @functools.wraps(command)
    def wrapped(**options: Any) -> None:
        try:
            command(**options)
        except typer.Exit:
            raise
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except HierError as error:
            _complain(str(error), 2)
        except OSError as error:
            _complain(shown(f"the operating system refused: {error}"), 2)
        except Exception as error:
            lines = str(error).splitlines() or [""]
            what = shown(f"{type(error).__name__}: {lines[0][:300]}")
            _complain(f"This is a defect in hier, not in your model ({what}); HIER_DEBUG=1 shows where it arose.", 1)

    return wrapped


def say(text: str, *, error: bool = False) -> None:
    """Print to standard output, or error. A reader such as `head` that has gone is nobody's mistake: the work goes on,
    unread.
    """
    try:
        typer.echo(text, err=error)
    except BrokenPipeError:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), (sys.stderr if error else sys.stdout).fileno())


def _complain(message: str, status: int) -> None:
    if os.environ.get("HIER_DEBUG", "") not in ("", "0"):
        traceback.print_exc()
    say(message, error=True)
    raise typer.Exit(status)


def _model_file(
    model: str, options: ModelOptions, method: str | None = None, sampling: SamplingOptions | None = None
) -> ModelFile:
    """The model file at a path, or the one that formula and data stand for; the options given go before it."""
    from hier.jobs import from_formula, read_model_file, with_settings

    data = options.data
    if "~" in model and not model.endswith(".toml") and not is_there(model):
        if data is None:
            raise JobError(
                "a formula needs data",
                where="--data",
                expected="a CSV file, or the name of a packaged data set (see `hier datasets`)",
                hint=f'hier ... "{model}" --data FILE.csv',
            )
        found = from_formula(model, data)
    elif data is not None:
        raise JobError("a model file names its data itself", where="--data", hint="change `data` in the model file")
    else:
        found = read_model_file(model)
    settings = asdict(options) | asdict(sampling or SamplingOptions())
    # one word of hier's, or texts of the file
    na = options.na[0] if options.na in (["drop"], ["error"]) else options.na or None
    keep = settings["keep"][0] if settings["keep"] in ([word] for word in KEPT) else settings["keep"] or None
    others = {name: own for name, own in settings.items() if name != "data"}
    return with_settings(found, method, **others | {"na": na, "keep": keep})


def _refuse_taken(out: Path, force: bool) -> None:
    """Refuse a name for a file before the long work begins."""
    out = refuse_unwritable(out, "the file")
    if is_there(out) and not force:
        raise JobError(
            f"the file {out.name} exists already",
            where=str(out),
            hint="choose another name with --out, or replace it with --force",
        )


@app.callback(invoke_without_command=True)
def start(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        say(f"hier {__version__}")
        raise typer.Exit


@app.command()
@refusals_on_stderr
@records_as_options
def run(
    model: MODEL,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The run folder to make.")],
    options: ModelOptions,
    *,
    force: FORCE = False,
    method: METHOD = None,
    sampling: SamplingOptions,
) -> None:
    """Estimate, sample, compare and report.

    The run folder holds model.toml, estimate.json, posterior.nc (for ArviZ), comparison.csv, summary.txt, report.html
    and run.json. It appears when it is complete; one that exists is replaced only with --force.
    """
    from hier import jobs

    model_file = _model_file(model, options, method, sampling)
    folder = jobs.run(model_file, out, force=force, progress=True, on_block=lambda block: say(block + "\n"))
    say(shown(f"Run folder: {folder}   report: {folder / 'report.html'}"))


@app.command()
@refusals_on_stderr
@records_as_options
def estimate(model: MODEL, options: ModelOptions, method: METHOD = None) -> None:
    """Print the point estimates: REML of a Normal response, otherwise maximum likelihood."""
    from hier.estimate.progress import told_of_compiling
    from hier.jobs import build, estimate_of

    model_file = _model_file(model, options, method)
    with told_of_compiling("Estimating", shown=True):
        text = estimate_of(model_file, build(model_file)).summary()
    say(text)


@app.command()
@refusals_on_stderr
@records_as_options
def sample(
    model: MODEL,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.nc", help="The netCDF file to write, for ArviZ.")],
    options: ModelOptions,
    *,
    force: FORCE = False,
    sampling: SamplingOptions,
) -> None:
    """Draw from the posterior into a file.

    Prints the summary and the diagnosis; the draws go to a netCDF file that ArviZ, xarray and hier read.
    """
    from hier.jobs import build, sample_of

    model_file = _model_file(model, options, sampling=sampling)
    _refuse_taken(out, force)
    posterior = sample_of(model_file, build(model_file), progress=True)
    say(f"{posterior!r}\n\n{posterior.diagnose()}\n\n{shown(f'Draws: {posterior.save(out)}')}")


@app.command()
@refusals_on_stderr
@records_as_options
def compare(model: MODEL, options: ModelOptions, *, method: METHOD = None, sampling: SamplingOptions) -> None:
    """Print estimate beside posterior."""
    from hier.jobs import compare_of

    say(str(compare_of(_model_file(model, options, method, sampling), progress=True)))


@app.command()
@refusals_on_stderr
@records_as_options
def report(
    source: Annotated[str, typer.Argument(metavar="RUN_OR_MODEL", help="A run folder, a model file, or a formula.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.html", help="Default: the run's or file's name, here.")
    ] = None,
    options: ModelOptions,
    force: FORCE = False,
    method: METHOD = None,
    sampling: SamplingOptions,
) -> None:
    """Write the report as an HTML file.

    Of a run folder: from the draws kept in it, without sampling again, with the run's settings; its data must still be
    where they were. Of a model file, or a formula with --data: after fitting both ways.
    """
    from hier.jobs import compare_of, load_comparison, report_of

    stored = is_folder(place(source, "a run folder"))
    if stored and (method or options != ModelOptions() or sampling != SamplingOptions()):
        raise JobError(
            "a run folder has its data and settings already", hint="leave the options out, or give a model file"
        )
    model_file = None if stored else _model_file(source, options, method, sampling)
    if out is None and model_file is not None and model_file.path is None:
        raise JobError("the report of a formula needs a name", where="--out", hint="add --out FILE.html")
    path = out or Path(f"{Path(source).resolve().name if stored else Path(source).stem}.html")
    _refuse_taken(path, force)
    both = load_comparison(source) if model_file is None else compare_of(model_file, progress=True)
    say(shown(f"Report: {report_of(both, path)}"))


@app.command()
@refusals_on_stderr
@records_as_options
def show(
    model: MODEL,
    options: ModelOptions,
    latex: Annotated[bool, typer.Option("--latex", help="Print the equations as LaTeX.")] = False,
) -> None:
    """Print the model, with nothing fitted.

    Formula, family, rows, groups and levels, the equations, and the priors.
    """
    from hier.jobs import build

    built = build(_model_file(model, options))
    say(built.latex() if latex else repr(built))


@app.command()
@refusals_on_stderr
@records_as_options
def warm(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="Only this model, on its own data.")] = None,
    *,
    groups: Annotated[
        list[int] | None, typer.Option("--groups", min=3, help="Levels of the grouping factors; can be repeated.")
    ] = None,
    processes: Annotated[int | None, typer.Option("--processes", min=1, help="Default: one for each core.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the structures, and compile nothing.")] = False,
    options: ModelOptions,
    method: METHOD = None,
    sampling: SamplingOptions,
) -> None:
    """Compile ahead what first fits would wait for.

    Of the usual structures: estimates and posteriors, for data whose sizes round up to the same. Or of one MODEL.
    Programs are kept for this kind of processor, in the folder that `hier cache` shows.
    """
    from hier.jobs import warm as ahead
    from hier.kernel.programs import cache as kept

    if model is None and (options != ModelOptions() or sampling != SamplingOptions() or method is not None):
        raise JobError("options of a model go with a MODEL", hint="add a model file, or a formula with --data")
    model_file = None if model is None else _model_file(model, options, method, sampling)
    structures = ahead.usual(groups) if model_file is None else []
    if dry_run:
        say("\n".join(map(str, structures)) if model_file is None else shown(model_file.name))
        return
    done = ahead.warm_usual(structures, processes) if model_file is None else [ahead.warm_model(model_file)]
    say("\n".join(map(str, done)) + "\n\n" + kept.in_words())
    if any(own.refusal for own in done):
        raise typer.Exit(2)


@app.command()
@refusals_on_stderr
def cache(clear: Annotated[bool, typer.Option("--clear", help="Remove all compiled programs.")] = False) -> None:
    """Show the compiled programs that are kept: how many, their size and place."""
    from hier.kernel.programs import cache as kept

    if clear:
        say(f"Removed: {kept.clear()} compiled programs")
    say(kept.in_words())


@app.command()
@refusals_on_stderr
def datasets() -> None:
    """List the packaged data sets."""
    from hier.datasets import list_datasets

    for each in list_datasets().values():
        say(f"{each.name}: {each.rows} rows; columns {', '.join(each.columns)}")
        say(f"  {each.description}\n  Source: {each.source}\n")


def main() -> None:
    """The program `hier`."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a letter that the terminal does not have is no reason to stop
            reconfigure(errors="backslashreplace")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # under nohup it is ignored
            signal.signal(number, _stop)
    try:
        app(prog_name="hier")
    except KeyboardInterrupt:
        _leave(130)
    except SystemExit as ended:
        _leave(ended.code)


def _leave(status: Any) -> None:
    """End with this status: at once, where a signal has come while programs were compiled."""
    waiting = sys.modules.get("hier.kernel.programs.waiting")
    if waiting is not None and isinstance(status, int):
        waiting.leave(status)
    sys.exit(status)


def _stop(number: int, _: Any) -> None:
    """Leave as Ctrl-C does, with nothing half-written left behind; a second signal ends the process at once."""
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
