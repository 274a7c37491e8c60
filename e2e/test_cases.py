"""What went wrong once, each as the smallest input that shows it: it is printed right, or refused in words.

A case has a `template`; its `data`, or changes to the template's sample (`set`), or the text of it (`json`), and for a list
`rows` of CSV; and what must come of it: `prints`, `lacks`, `copies` (in one piece), `words` (not broken), `figures`
(all right), `warns` or `refused` (what is said).
"""

import json
from pathlib import Path

import pytest

import figures
import layout
import layouts
from printed import Page, body
from typist import Rendered, render

CASES = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted((Path(__file__).parent / "cases").glob("*.json"))}
DATA_ERROR = 3


def data_of(case: dict) -> dict:
    """A case's data."""
    if "json" in case:
        return json.loads(case["json"])
    data = case.get("data") or layouts.sample(case["template"])
    for pointer, value in case.get("set", {}).items():
        change(data, [int(step) if step.isdigit() else step for step in pointer.split("/")[1:]], value)
    return data


def change(data: dict, path: list, value) -> None:
    """Sets a value, or removes it."""
    *parents, last = path
    for step in parents:
        data = data[step]
    if value is None:
        del data[last]
    else:
        data[last] = value


def make(program: Path, case: dict, folder: Path, tagged: bool) -> Rendered:
    """What comes of a case."""
    text = case.get("json") or json.dumps(data_of(case), ensure_ascii=False)
    file, rows = folder / "data.json", folder / "rows.csv"
    file.write_text(text, encoding="utf-8-sig" if case.get("bom") else "utf-8")
    rows.write_text(case.get("rows", ""), encoding="utf-8")
    given = ["--head", file, "--data", rows] if "rows" in case else ["--data", file]
    return render(program, case["template"], folder, *given, *case.get("options", []), *([] if tagged else ["--no-tags"]))


def faults(case: dict, pages: list[Page]) -> list[str]:
    """What is wrong with a report."""
    text = body(pages)
    places = [text, *(page.text for page in pages)]
    copied = "".join(glyph.text for page in pages for glyph in page.glyphs)
    words = {word.text for page in pages for word in page.words()}
    found = layout.faults(pages)
    found += [f"{wanted!r} is not printed" for wanted in case.get("prints", []) if max(p.find(wanted) for p in places) < 0]
    found += [f"{unwanted!r} is printed" for unwanted in case.get("lacks", []) if unwanted in str(text)]
    found += [f"{wanted!r} is not copied in one piece" for wanted in case.get("copies", []) if wanted not in copied]
    found += [f"{wanted!r} is not a word" for wanted in case.get("words", []) if wanted not in words]
    if case.get("figures"):
        try:
            figures.CHECKS[case["template"]](data_of(case), text)
        except figures.Wrong as wrong:
            found.append(str(wrong))
    return found and [*found, f"in {str(text)[:1500]!r}"]


@pytest.mark.parametrize("tagged", [False, True], ids=["untagged", "tagged"])
@pytest.mark.parametrize("name", CASES)
def test_what_went_wrong_once_is_right(program, tmp_path, name, tagged):
    case = CASES[name]
    if not tagged and "ua-1" in case.get("options", []):
        pytest.skip("PDF/UA is tagged")
    made = make(program, case, tmp_path, tagged)
    if "refused" in case:
        missing = [words for words in case["refused"] if words not in made.said]
        assert made.status == DATA_ERROR and not missing, f"{case['is']}: no {missing} in {made.status}: {made.said}"
        return
    found = faults(case, made.pages())
    found += [f"{words!r} is not in {made.said!r}" for words in case.get("warns", []) if words not in made.said]
    assert not found, f"{case['is']}:\n  " + "\n  ".join(found)
