"""The ledger with ReportLab: a LongTable with a repeated header. ROWS OUT."""

import json
import sys
from pathlib import Path

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate

rows, out = sys.argv[1:]
table = LongTable(
    [["Date", "Document", "Description", "Debit", "Credit"], *json.loads(Path(rows).read_text(encoding="utf-8"))],
    colWidths=[18 * mm, 20 * mm, 84 * mm, 24 * mm, 24 * mm], repeatRows=1,
)
table.setStyle([
    ("FONTSIZE", (0, 0), (-1, -1), 9),
    ("ALIGN", (3, 0), (-1, -1), "RIGHT"),
    ("LINEBELOW", (0, 0), (-1, -1), 0.5, colors.lightgrey),
])
edges = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), 20 * mm)
document = SimpleDocTemplate(out, pagesize=A4, title="General ledger", **edges)
document.build([Paragraph("General ledger", getSampleStyleSheet()["Title"]), table])
