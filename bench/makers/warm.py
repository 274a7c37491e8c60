"""Makes invoices one after the other in one process, and prints how many seconds each took: TOOL COUNT FOLDER.

What the first one costs, such as imports and fonts, is not counted. FOLDER is this program's own.
"""

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import invoice

# Until fonts are read and caches are filled.
UNCOUNTED = 3


def typst_py(folder: Path) -> Callable[[int], bytes]:
    import typst

    from bench.makers import typst_folder

    main = typst_folder.lay_out(folder / "typst", invoice.varied(0))
    compiler = typst.Compiler(main, root=main.parent, font_paths=[main.parent / "kit/fonts"], ignore_system_fonts=True)

    def make(number: int) -> bytes:
        (main.parent / "data.json").write_text(json.dumps(invoice.varied(number)))
        return compiler.compile()

    return make


def reportlab(_: Path) -> Callable[[int], bytes]:
    from bench.makers import reportlab_invoice

    def make(number: int) -> bytes:
        out = io.BytesIO()
        reportlab_invoice.build(invoice.varied(number), out)
        return out.getvalue()

    return make


def weasyprint(_: Path) -> Callable[[int], bytes]:
    from weasyprint import HTML
    from weasyprint.text.fonts import FontConfiguration

    fonts = FontConfiguration()
    return lambda number: HTML(string=invoice.as_html(invoice.varied(number))).write_pdf(font_config=fonts)


def chromium(folder: Path) -> Callable[[int], bytes]:
    from bench.makers import chromium_page

    page = chromium_page.Page(folder)
    return lambda number: page.print(invoice.as_html(invoice.varied(number)))


MAKERS = {"typst-py": typst_py, "ReportLab": reportlab, "WeasyPrint": weasyprint, "Chromium": chromium}


def main() -> None:
    make = MAKERS[sys.argv[1]](Path(sys.argv[3]))
    taken = []
    for number in range(int(sys.argv[2]) + UNCOUNTED):
        started = time.perf_counter()
        made = make(number)
        taken.append(time.perf_counter() - started)
        if not made.startswith(b"%PDF-"):
            sys.exit(f"{sys.argv[1]} made no PDF")
    print(json.dumps(taken[UNCOUNTED:]))


if __name__ == "__main__":
    main()
