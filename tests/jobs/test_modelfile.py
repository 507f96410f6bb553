"""Model files: what is read, and the message that each mistake gets."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hier.errors import FormulaError, HierError, JobError, ModelError
from hier.jobs.job import estimate_of
from hier.jobs.keys import line_of
from hier.jobs.modelfile import Sampling, build, from_formula, read_model_file, render, with_settings

ROOT = Path(__file__).resolve().parents[2]
FULL = """\
title = "Pigs"
formula = "weight ~ week + (week | id)"
data = "pigs"

[priors]   # with a comment
week = "normal(0, 5)"
"sd_id[week]" = "half_student_t(3, 0, 2)"
cor_id = "lkj(4)"

[sample]
chains = 2
seed = 7
target_accept = 0.9

[estimate]
method = "ml"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "m.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*.toml")), ids=lambda path: path.stem)
def test_every_ready_model_file_builds_its_model(path: Path) -> None:
    model_file = read_model_file(path)
    assert model_file.title
    assert (model_file.sampling.chains, model_file.sampling.draws, model_file.sampling.seed) == (4, 1000, 1)
    assert build(model_file).design.nobs in (432, 140)


def test_a_full_file_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, FULL)
    found = read_model_file(path)
    assert (found.title, found.data, found.method) == ("Pigs", "pigs", "ml")
    assert found.sampling == Sampling(chains=2, seed=7, target_accept=0.9)
    assert found.text == FULL
    rows = dict(build(found).priors.rows())
    assert rows["week"] == "Normal(0, 5)"
    assert rows["sd_id[week]"] == "half-Student-t(3, 0, 2)"
    assert rows["cor_id"] == "LKJ(4) at the means of the columns"


def test_what_is_rendered_reads_as_the_same_model(tmp_path: Path) -> None:
    first = read_model_file(written(tmp_path, FULL))
    odd = dataclasses.replace(first, title='a "quoted" \\ title\n\twith ü and \x7f', weights="Größe [kg]")
    path = written(tmp_path, render(odd))
    again = read_model_file(path)
    assert dataclasses.replace(again, text=first.text) == odd


def test_family_link_and_formulas_of_further_parameters(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("y,x,g\n1,1,a\n0,2,a\n3,3,b\n5,1,b\n4,2,c\n2,4,c\n", encoding="utf-8")
    text = 'formula = "y ~ x + (1 | g)"\ndata = "d.csv"\nfamily = "nbinom2"\nlink = "sqrt"\n[formulas]\nshape = "~ x"\n'
    first = read_model_file(written(tmp_path, text))
    for found in (first, read_model_file(written(tmp_path, render(first)))):
        model = build(found)
        assert (model.family.name, model.link) == ("negbinomial", "sqrt")
        assert str(model.formula) == "y ~ x + (1 | g), shape ~ x"
    other = build(dataclasses.replace(with_settings(first, family="poisson"), formulas={}))
    assert (other.family.name, other.link) == ("poisson", "log")  # the link of the old family goes with it
    with pytest.raises(JobError, match=r"`shape` cannot be this(.|\n)*line 6"):
        read_model_file(written(tmp_path, text.replace('"~ x"', "3")))
    with pytest.raises(FormulaError, match=r"no parameter `shap`(.|\n)*did you mean `shape`"):
        build(read_model_file(written(tmp_path, text.replace("shape =", "shap ="))))


def test_a_csv_file_is_found_beside_the_model_file_and_rendered_in_full(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("y,g\n1,a\n2,a\n3,b\n5,b\n4,c\n2,c\n", encoding="utf-8")
    found = read_model_file(written(tmp_path, 'formula = "y ~ (1 | g)"\ndata = "d.csv"\n'))
    assert build(found).design.nobs == 6
    (tmp_path / "elsewhere").mkdir()
    moved = read_model_file(written(tmp_path / "elsewhere", render(found)))
    assert build(moved).design.nobs == 6


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 7", "sede = 7", r"table `\[sample\]` (.|\n)*no key `sede`(.|\n)*line 12(.|\n)*did you mean `seed`"),
        ('title = "Pigs"', 'titel = "Pigs"', "a model file has no key `titel`(.|\n)*line 1(.|\n)*did you mean `title`"),
        ("[estimate]", "[estimates]", "no key `estimates`(.|\n)*line 15(.|\n)*did you mean `estimate`"),
        ("[sample]", "sampl.x = 1\n[sample]", "the prior of `sampl` has to be text"),
        ('data = "pigs"', "", "the model file has no `data`"),
        ('formula = "weight ~ week + (week | id)"', "", "the model file has no `formula`"),
        ('data = "pigs"', "data = 3", "`data` cannot be this(.|\n)*line 3(.|\n)*found: +3"),
        ('data = "pigs"', 'data = " "', "`data` cannot be this"),
        ('data = "pigs"', 'data = "pgs"', "no data set or file `pgs`(.|\n)*line 3(.|\n)*did you mean `pigs`"),
        ('title = "Pigs"', "title = [1]", "`title` cannot be this"),
        ('title = "Pigs"', "weights = 1", "`weights` cannot be this(.|\n)*the name of a column"),
        ("chains = 2", "chains = 2.0", "`chains` cannot be this(.|\n)*line 11(.|\n)*a whole number, 1 or more"),
        ("chains = 2", "chains = true", "`chains` cannot be this"),
        ("chains = 2", "chains = 0", "`chains` cannot be this"),
        ("seed = 7", "seed = -1", "`seed` cannot be this(.|\n)*from 0 to 9223372036854775807"),
        ("chains = 2", 'device = "tpu"', '`device` cannot be this(.|\n)*"auto", "cpu", "gpu"'),
        ("target_accept = 0.9", "target_accept = 1.0", "`target_accept` cannot be this(.|\n)*between 0 and 1"),
        ("target_accept = 0.9", "target_accept = nan", "`target_accept` cannot be this"),
        ('method = "ml"', 'method = "lasso"', '`method` cannot be this(.|\n)*"reml", "ml", "map"'),
        ('cor_id = "lkj(4)"', "cor_id = 4", "the prior of `cor_id` has to be text(.|\n)*line 8"),
        ('"normal(0, 5)"', '"nrmal(0, 5)"', "the prior of `week`(.|\n)*line 6(.|\n)*did you mean `normal`"),
        ('"half_student_t(3, 0, 2)"', '"x(1)"', r"the prior of `sd_id\[week\]`(.|\n)*line 7"),
        ('title = "Pigs"', "title = Pigs", "is not TOML(.|\n)*line 1"),
        ('title = "Pigs"', 'data = "x"', "is not TOML(.|\n)*line 3"),
        ('title = "Pigs"', "title = " + "[" * 5000, "is not TOML(.|\n)*nested too deeply"),
        ('title = "Pigs"', "title = " + "9" * 5000, "is not TOML"),
    ],
)
def test_each_mistake_gets_its_message(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert FULL.count(old) == 1
    with pytest.raises(JobError, match=message) as refusal:
        build(read_model_file(written(tmp_path, FULL.replace(old, new))))
    assert "m.toml" in str(refusal.value)


def test_a_table_written_as_a_value_is_refused(tmp_path: Path) -> None:
    text = 'formula = "weight ~ (1 | id)"\ndata = "pigs"\npriors = 3\n'
    with pytest.raises(JobError, match=r"`priors`(.|\n)*line 3"):
        read_model_file(written(tmp_path, text))


def test_a_prior_for_a_parameter_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no parameter `wek`(.|\n)*did you mean `week`"):
        build(read_model_file(written(tmp_path, FULL.replace("week = ", "wek = "))))


def test_a_formula_that_would_run_code_is_refused(tmp_path: Path) -> None:
    text = "formula = \"weight ~ I(__import__('os').system('true')) + (1 | id)\"\ndata = \"pigs\"\n"
    with pytest.raises(FormulaError):
        build(read_model_file(written(tmp_path, text)))


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    written(tmp_path, FULL)
    with pytest.raises(JobError, match=r"no model file mm\.toml(.|\n)*did you mean `.*m\.toml`"):
        read_model_file(tmp_path / "mm.toml")
    with pytest.raises(JobError, match="is a folder, not a model file"):
        read_model_file(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "cannot be read(.|\n)*UTF-8"),
        (b"#" * 1_000_001, "too large for a model file"),
        (b"", "no `formula`"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m.toml").write_bytes(content)
    with pytest.raises(JobError, match=message):
        read_model_file(tmp_path / "m.toml")


def test_settings_given_go_before_those_of_the_file() -> None:
    first = from_formula("y ~ (1 | g)", "pigs")
    second = with_settings(first, "ml", seed=3, draws=None)
    assert (second.sampling.seed, second.sampling.draws, second.method) == (3, 1000, "ml")
    assert first.sampling.seed == 0
    for wrong in ({"seed": -1}, {"draws": 3}, {"device": "tpu"}, {"method": "x"}):
        with pytest.raises(HierError, match=f"`{next(iter(wrong))}` cannot be this"):
            with_settings(first, **wrong)


@pytest.mark.parametrize(
    ("text", "key", "table", "line"),
    [
        ("a = 1\nb = 2", "b", "", 2),
        ("[t]\nb = 1\n[u]\nb = 2", "b", "u", 4),
        ("[t]\n'a=b' = 1", "a=b", "t", 2),
        ('[t]\n"a=b" = 1', "a=b", "t", 2),
        ("t.b = 1", "b", "t", 1),
        ("bb = 1\nb=1", "b", "", 2),
        ("t = { b = 1 }", "b", "t", None),
    ],
)
def test_the_line_of_a_key(text: str, key: str, table: str, line: int | None) -> None:
    assert line_of(text, key, table) == line


def test_the_method_goes_with_the_family_unless_the_file_says_one(tmp_path: Path) -> None:
    table = tmp_path / "counts.csv"
    rows = [f"{level},{count}" for level, counts in enumerate([(0, 1, 2), (3, 5, 4), (9, 7, 8)]) for count in counts]
    table.write_text("g,count\n" + "\n".join(rows))
    counts = with_settings(from_formula("count ~ 1 + (1 | g)", str(table)), family="poisson")
    assert estimate_of(counts, build(counts)).method == "ml"
    assert estimate_of(with_settings(counts, "reml"), build(counts)).method == "reml"
    pigs = from_formula("weight ~ week + (week | id)", "pigs")
    assert estimate_of(pigs, build(pigs)).method == "reml"
    assert "method" not in render(pigs)


EUROPEAN = "y;x;g\n" + "".join(f"{k},5;{k * k % 7};{'ab'[k % 2]}\n" for k in range(8)) + "-999;1;a\n"


def test_how_the_data_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "d.txt").write_bytes(EUROPEAN.encode("utf-16-le"))
    top = 'formula = "y ~ x + (1 | g)"\ndata = "d.txt"\nsep = ";"\ndecimal = ","\nencoding = "utf-16-le"\n'
    first = read_model_file(written(tmp_path, top + 'na = ["-999"]\n'))
    for found in (first, read_model_file(written(tmp_path, render(first)))):
        design = build(found).design
        assert design.y.tolist() == [k + 0.5 for k in range(8)]
        assert design.missing == {"y": 1}
    plain = read_model_file(written(tmp_path, top.partition("sep")[0]))
    told = with_settings(plain, sep=";", decimal=",", encoding="utf-16-le", na=["-999", "error"])
    with pytest.raises(HierError, match="`y`: 1 missing"):
        build(told)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('decimal = ";"', '".", ","'),
        ('na = "-999"', "list of the texts"),
        ("na = [-999]", "list of the texts"),
        ('sep = ""', "the character between the fields"),
    ],
)
def test_how_no_data_file_can_be_read(line: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, f'formula = "y ~ 1 + (1 | g)"\ndata = "d.csv"\n{line}\n')
    with pytest.raises(JobError, match="line 3") as caught:
        read_model_file(path)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b", "y,x,g\n1,2,a\n"])
def test_what_is_no_data_file(name: str) -> None:
    with pytest.raises(JobError, match="no data set or file"):
        build(from_formula("y ~ x + (1 | g)", name))
