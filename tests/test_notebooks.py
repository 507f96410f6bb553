"""The notebooks run from top to bottom, their kept outputs are there, and say what the fresh ones say."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
LECTURE = [path for path in NOTEBOOKS if path.stem[0].isdigit()]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore::RuntimeWarning:zmq")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_says_what_it_said(path):
    kept = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in code), "run `make notebook`: an output is missing"
    assert not any(output.get("name") == "stderr" for cell in fresh.cells for output in cell.get("outputs", []))

    def printed(notebook, word):
        found = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        texts = [own.get("text", "") or own.get("data", {}).get("text/plain", "") for own in found]
        return [text for text in texts if word in text]

    # REML is deterministic; draws differ in their last digits between machines
    reml = [[text.split("Search")[0] for text in printed(each, "REML criterion")] for each in (kept, fresh)]
    assert reml[0] == reml[1]
    assert all("all checks passed" in text for text in printed(fresh, "Diagnosis"))


def test_the_lecture_is_there_in_order():
    assert [path.stem[0] for path in LECTURE] == list("1234567")
    for path in LECTURE:
        cells = nbformat.read(path, as_version=4).cells
        assert cells[0].source.startswith(f"# {path.stem[0]}. ")
        assert any("assert" in cell.source for cell in cells if cell.cell_type == "code")
        assert any("**Exercise.**" in cell.source for cell in cells if cell.cell_type == "markdown")
