"""The page: whole, closed in itself, escaped, with the numbers of the fit and every picture in it."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.image import imread

import hier
from hier.estimate.text_columns import significant
from hier.reporting import write, write_report
from hier.reporting.pictures import LARGEST_SVG

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """The elements of a page; refuses tags that are not closed where they should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return "".join(self.text)


def page_of(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(params=["pigs_page", "hostile_page", "crossed_page"])
def page(request: pytest.FixtureRequest) -> Page:
    return page_of(request.getfixturevalue(request.param))


def test_the_parser_of_these_tests_sees_a_tag_left_open():
    with pytest.raises(AssertionError):
        Page("<div><p>text</div>")
    with pytest.raises(AssertionError):
        Page("<div><p>text</p>")


def test_a_page_is_whole_and_has_no_script(page):
    assert page.all("html") == [{"lang": "en"}]
    assert not page.all("script")
    assert len(page.all("title")) == len(page.all("h1")) == len(page.all("main")) == 1
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    assert {each["href"] for each in page.all("a")} == {f"#{name}" for name in names}


def test_a_page_loads_nothing(page):
    for _, attributes in page.elements:
        assert not (attributes.get("href") or "#").startswith(("http", "//", "file"))
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
        assert not any(name.startswith("on") for name in attributes)
    assert "url(" not in page.words
    assert "@import" not in page.words
    (policy,) = [each for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy["content"]).startswith("default-src 'none';")


def test_all_pictures_are_in_the_page_with_a_text_for_who_cannot_see_them(page):
    images = page.all("img")
    sections = [each for each in page.all("section") if str(each["id"]).startswith("levels")]
    assert len(images) == 3 + 4 * len(sections)
    assert len({image["alt"] for image in images}) == len(images)
    for image in images:
        assert len(image["alt"] or "") > 30
        head, data = str(image["src"]).split(",")
        content = base64.b64decode(data)
        if "svg" in head:
            assert len(content) <= LARGEST_SVG
            root = ElementTree.fromstring(content)
            assert root.tag == "{http://www.w3.org/2000/svg}svg"
            assert not [each for each in root.iter() if each.tag.endswith(("script", "foreignObject"))]
            links = re.findall(rb'(?:href|src)="([^"]*)"', content)
            assert all(link.startswith((b"#", b"data:image/png;base64,")) for link in links)
        else:
            assert imread(io.BytesIO(content)).std() > 0.02


def test_the_numbers_are_those_of_the_fit(pigs, pigs_page):
    page = page_of(pigs_page)
    for value in (*pigs.estimate.fixef, *pigs.posterior.fixef, pigs.estimate.sigma, pigs.posterior.sigma):
        assert significant(value, 4) in page.words
    assert pigs.estimate.summary() in page.words
    assert pigs.posterior.summary() in page.words
    for parameter, prior in pigs.estimate.model.priors.rows():
        assert parameter in page.words
        assert prior in page.words
    first = pigs.table.iloc[0]
    row = ["1", "Intercept", *(significant(first[c], 4) for c in first.index[:5]), *(f"{v:.3f}" for v in first[5:])]
    assert "".join(row) in page.words
    assert page.words.count("432 of 432 in the table") == 1
    assert "seed 1" in page.words
    assert hier.__version__ in page.words


def test_a_verdict_for_each_check(pigs, pigs_page):
    words = page_of(pigs_page).words
    assert "✓ REML converged" in words
    assert "✓ not singular" in words
    usable = pigs.posterior.diagnose().ok
    assert ("✓ draws usable" in words) == usable
    assert ("! draws not yet usable" in words) == (not usable)
    assert all(problem in words for problem in pigs.posterior.diagnose().problems)


def test_a_section_for_each_grouping_factor(crossed_page):
    source, page = crossed_page.read_text(encoding="utf-8"), page_of(crossed_page)
    assert "<b>" not in source
    assert page.words.index("Levels of h") < page.words.index("Levels of <b>g")
    assert [each["id"] for each in page.all("section")] == [
        "model",
        "parameters",
        "levels",
        "levels-2",
        "draws",
        "made",
    ]
    for words in ("h, 11 levels with", "~h (Number of levels: 11)", "<b>g, 7 levels with", "Levels of <b>g"):
        assert words in page.words
    assert page.words.count("There are 2 grouping factors") == 1


def test_names_are_text(hostile_page):
    source, page = hostile_page.read_text(encoding="utf-8"), page_of(hostile_page)
    assert "<script" not in source
    assert "<b>" not in source
    assert [line for line in source.split("\n") if not line.isprintable()] == []
    for level in ("<script>alert(1)</script>", "$\\bad{$", "a & \"b\" 'c'", "--><b>bold</b>", "line\\nbreak\\x00"):
        assert level in page.words


def test_what_was_left_out_is_said(hostile_page):
    words = page_of(hostile_page).words
    assert "71 of 72 in the table" in words
    assert "1 of 72 rows dropped for missing values (`y` 1)" in words
    assert "1 unused level of `g` dropped" in words
    assert "precision weights from 2 to 2" in words


def test_the_file_is_replaced_whole_or_not_at_all(pigs, tmp_path, monkeypatch):
    path = tmp_path / "new" / "folder" / "pigs.html"
    monkeypatch.setattr(write, "render", lambda comparison: "first \ud800")
    assert write_report(pigs, path) == path
    assert path.read_text(encoding="utf-8") == "first &#55296;"

    def fail(comparison):
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "render", fail)
    with pytest.raises(KeyboardInterrupt):
        write_report(pigs, path)
    assert [each.name for each in path.parent.iterdir()] == ["pigs.html"]
    assert path.read_text(encoding="utf-8") == "first &#55296;"


def test_a_name_that_cannot_be_written_is_refused(pigs, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "render", lambda comparison: "page")
    with pytest.raises(hier.JobError, match="the report cannot be written") as caught:
        write_report(pigs, tmp_path)
    assert "is a folder" in str(caught.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(hier.JobError, match="the report cannot be written"):
        write_report(pigs, tmp_path / "file" / "page.html")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
