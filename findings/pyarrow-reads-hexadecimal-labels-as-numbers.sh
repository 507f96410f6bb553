#!/usr/bin/env bash
# pyarrow 26.0.1: a column of labels such as 0x1F and 12 is inferred to be int64 by `pyarrow.csv.read_csv`, and so 0x1F
# becomes 31; a cast of text to int64 does the same. pandas 3.1.1, by its own parser, keeps such a column as text.
# Whoever reads identifiers through Arrow's inference changes them without a word: plots "0x1F" and "31" become one.
# Seen 2026-11-28:
#   arrow csv: int64 [31, 12]
#   arrow cast: [31, 12]
#   pandas csv: ['0x1F', '12']
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 pandas==3.1.1
"$folder/env/bin/python" - <<'PYTHON'
import io

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

text = b"plot,y\n0x1F,1\n12,2\n"
column = csv.read_csv(io.BytesIO(text)).column("plot")
cast = pc.cast(pa.array(["0x1F", "12"]), pa.int64()).to_pylist()
plain = pd.read_csv(io.BytesIO(text))["plot"].tolist()
print("arrow csv:", column.type, column.to_pylist())
print("arrow cast:", cast)
print("pandas csv:", plain)
assert column.to_pylist() == [31, 12] and cast == [31, 12] and plain == ["0x1F", "12"], "the behaviour has changed"
PYTHON
