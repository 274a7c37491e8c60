"""Compiles a Typst file with typst-py: MAIN OUT."""

import sys
from pathlib import Path

import typst

main, out = map(Path, sys.argv[1:])
fonts = main.parent / "kit/fonts"
options = {"font_paths": [fonts], "ignore_system_fonts": True} if fonts.is_dir() else {}
typst.compile(main, output=out, root=main.parent, **options)
