"""hier in a Python that makes an error of every warning, or that has no streams to write to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALL_OF_IT = """
import hier
pigs = hier.load_dataset("pigs")
model = hier.Model("weight ~ week + (week | id)", pigs)
print(model)
fit = model.estimate()
post = model.sample(chains=2, draws=100, seed=1)
both = hier.compare(fit, post)
for shown in (fit, fit.anova(), fit.confint(), fit.emmeans("week"), post, post.diagnose(), post.tidy(), both):
    print(shown)
post.save("pigs.nc")
print(hier.load_posterior("pigs.nc").summary())
for plot in ("plot_data", "plot_group_effects", "plot_group_fits", "plot_parameters", "plot_shrinkage"):
    getattr(hier.plots, plot)(both).savefig(plot + ".png")
hier.report(both, "pigs.html")
"""


def in_a_process(tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": ""}
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=tmp_path, env=environment)


@pytest.mark.slow
def test_no_step_of_the_way_warns(tmp_path: Path) -> None:
    done = in_a_process(tmp_path, sys.executable, "-W", "error", "-c", ALL_OF_IT)
    assert done.returncode == 0, done.stderr
    assert "Fixed effects:" in done.stdout
    assert (tmp_path / "pigs.html").stat().st_size > 100_000


@pytest.mark.slow
def test_closed_streams_stop_nothing(tmp_path: Path) -> None:
    done = in_a_process(tmp_path, "sh", "-c", 'exec "$@" >&- 2>&-', "sh", sys.executable, "-c", ALL_OF_IT)
    assert done.returncode == 0
    assert (tmp_path / "pigs.html").stat().st_size > 100_000
