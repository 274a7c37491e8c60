"""The invoice's own template as a folder that typst-py can compile: what Pressrun puts around it stands in files."""

import json
import shutil
from pathlib import Path

from bench.settings import TEMPLATES

# What Pressrun tells a template of a report that is typeset whole.
WHOLE = {
    "first": True, "last": True, "first_row": 1, "rows": None, "first_page": 1, "pages": None, "before": {}, "totals": {},
    "page_rows": None, "measure": False, "tagged": True,
}


def lay_out(folder: Path, data: dict) -> Path:
    """Makes the folder with this data; returns its `main.typ`."""
    shutil.copytree(TEMPLATES / "invoice", folder, dirs_exist_ok=True)
    shutil.copytree(TEMPLATES / "kit", folder / "kit", dirs_exist_ok=True)
    (folder / "section.json").write_text(json.dumps(WHOLE))
    (folder / "data.json").write_text(json.dumps(data))
    return folder / "main.typ"

