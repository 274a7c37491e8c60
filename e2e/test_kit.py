"""What a template's author meets: the kit says what is wrong with a call, and text stands beside rows as it should."""

import json
import shutil
import subprocess

import pytest

from printed import read
from typist import TEMPLATES

HEAD = '#import "/kit/kit.typ": *\n#show: document-page.with(locale: "en-GB", title: "T")\n'
ROWS = '#rows(((text: "jumps"),), locale: "en-GB", columns: ((field: "text", label: "Agency"),))\n'


@pytest.fixture
def make(program, tmp_path):
    """Makes a report of a template with this text."""
    (tmp_path / "own").mkdir()
    shutil.copytree(TEMPLATES / "kit", tmp_path / "kit")
    for name in ("schema", "sample"):
        (tmp_path / "own" / f"{name}.json").write_text(json.dumps({}))

    def make(text: str, *options: str) -> subprocess.CompletedProcess:
        (tmp_path / "own" / "main.typ").write_text(HEAD + text, encoding="utf-8")
        command = [program, "render", "own", "--templates", tmp_path, "-o", tmp_path / "out.pdf", *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    make.file = tmp_path / "out.pdf"
    return make


@pytest.mark.parametrize(
    "call, said",
    [
        ('warn("Odd", "It is odd.")', "`code` of a warning is \"Odd\", not lower-case letters"),
        ('warn("odd", 5)', "`message` of a warning is 5, not a sentence"),
        ('warn("odd", "It is odd.", pointer: "due_date")', "`pointer` of a warning is \"due_date\", not a JSON Pointer"),
        ('warn("odd", "It is odd.", row: "1")', "`row` of a warning is \"1\", not the number of a row"),
        ('warn("odd", "It is odd.", count: 0)', "`count` of a warning is 0, not a number of times"),
    ],
)
def test_a_warning_that_would_be_lost_is_an_error_of_the_template(make, call, said):
    made = make(f"#{call}\nText.")
    assert made.returncode != 0 and said in made.stderr, made.stderr


def test_a_warning_is_told(make):
    made = make('#warn("odd", "It is odd.", pointer: "/total")\nText.')
    assert made.returncode == 0 and "at /total: It is odd." in made.stderr, made.stderr


@pytest.mark.parametrize("options", [[], ["--no-tags"]], ids=["tagged", "untagged"])
def test_text_before_and_after_rows_keeps_its_distance(make, options):
    made = make(f"#at-start[Before.]\n{ROWS}#at-end[After.]", *options)
    assert made.returncode == 0, made.stderr
    (page,) = read(make.file)
    before, label, row, after = (word for word in page.words() if page.is_body(word))
    assert [word.text for word in (before, label, row, after)] == ["Before.", "Agency", "jumps", "After."]
    assert label.top - before.baseline > 5 and after.top - row.baseline > 5
