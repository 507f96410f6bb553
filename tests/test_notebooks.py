"""The notebooks run from top to bottom, and their kept outputs are there."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore::RuntimeWarning:zmq")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_says_what_it_said(path):
    kept = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in code), "run `make notebook`: an output is missing"

    def printed(notebook, word):
        texts = [o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", [])]
        return next(text for text in texts if word in text)

    # REML is deterministic; draws differ in their last digits between machines
    assert printed(kept, "REML criterion").split("Search")[0] == printed(fresh, "REML criterion").split("Search")[0]
    assert "all checks passed" in printed(fresh, "Diagnosis")
