"""report.html: one file with everything in it, that asks no network for anything."""

import base64
import html
import re

from . import own

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1, h2, h3 { line-height: 1.2; margin-top: 2rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.8rem; line-height: 1.3; display: block; overflow-x: auto; }
th, td { padding: 0.2rem 0.4rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #888; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { background: #f4f4f4; padding: 0.7rem; overflow-x: auto; font-size: 0.85rem; }
figure { max-width: 58rem; margin: 1.5rem 0 2.5rem; break-inside: avoid; }
figure img { width: 100%; height: auto; }
figcaption { color: #444; font-size: 0.9rem; }
"""


def write(path, title, summary, figures, notes):
    """The first screen answers the question: what is short, and the first figure.  title: of the window;
    summary: text of summary.md; figures: (name, caption, PNG) each; notes: what is not shown, and why."""
    short, verdict, tables = _split(summary)
    first, others = figures[:1], figures[1:]
    parts = [render(short), *(_figure(*figure) for figure in first), render(verdict)]
    parts += ["<h2>Figures</h2>", *(_figure(*figure) for figure in others)] if others else []
    if notes:
        items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
        parts.append(f"<h2>Not shown</h2><ul>{items}</ul>")
    parts.append(render(tables))
    head = (
        f'{own.PAGE} content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>"
    )
    own.write(path, (head + "\n".join(parts) + "</body></html>\n").encode())


def _figure(name, caption, png):
    data = base64.b64encode(png).decode()
    return (
        f'<figure id="{name}"><img alt="{html.escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption><b>{name}</b>. {html.escape(caption)}</figcaption></figure>"
    )


def _split(summary):
    """Its first section, the second, and the rest; what is missing is empty."""
    lines = summary.splitlines()
    starts = [k for k, line in enumerate(lines) if line.startswith("## ")]
    first, second = (starts[1:] + [len(lines)] * 2)[:2]
    return "\n".join(lines[:first]), "\n".join(lines[first:second]), "\n".join(lines[second:])


# ---------------------------------------------------------------------------------------------
# The part of Markdown that summary.md uses: headings, paragraphs, lists, tables, code, bold
# ---------------------------------------------------------------------------------------------


def render(text):
    lines = text.splitlines()
    parts = []
    while lines:
        take = next(take for starts, take in BLOCKS if starts(lines[0]))
        parts.append(take(lines))
    return "\n".join(parts)


def _while(lines, belongs):
    taken = []
    while lines and belongs(lines[0]):
        taken.append(lines.pop(0))
    return taken


def _heading(lines):
    marks, text = lines.pop(0).split(" ", 1)
    level = min(len(marks), 6)
    return f"<h{level}>{_inline(text)}</h{level}>"


def _code(lines):
    lines.pop(0)
    taken = _while(lines, lambda line: not line.startswith("```"))
    del lines[:1]
    return f"<pre>{html.escape(chr(10).join(taken))}</pre>"


def _list(lines):
    items = []
    for line in _while(lines, lambda line: _is_item(line) or line.startswith("  ")):
        if _is_item(line):
            items.append(line[2:])
        else:
            items[-1] += " " + line.strip()
    return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + "</ul>"


def _table(lines):
    rows = [_cells(line) for line in _while(lines, lambda line: line.startswith("|"))]
    head = "".join(f"<th>{_inline(cell)}</th>" for cell in rows[0])
    body = [row for row in rows[1:] if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]
    return f"<table><tr>{head}</tr>{''.join(map(_table_row, body))}</table>"


def _table_row(row):
    kinds = [' class="number"' if re.fullmatch(r"[-+−±\d.,()x einf]*\d[-+−±\d.,()x einf]*", cell) else "" for cell in row]
    return "<tr>" + "".join(f"<td{k}>{_inline(c)}</td>" for k, c in zip(kinds, row)) + "</tr>"


def _paragraph(lines):
    taken = [lines.pop(0)]
    taken += _while(lines, lambda line: line.strip() and not _starts_block(line))
    text = " ".join(taken).strip()
    return f"<p>{_inline(text)}</p>" if text else ""


def _cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _inline(text):
    text = html.escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)


def _is_item(line):
    return line.startswith(("* ", "- "))


BLOCKS = [
    (lambda line: re.match(r"#+ ", line), _heading),
    (lambda line: line.startswith("```"), _code),
    (_is_item, _list),
    (lambda line: line.startswith("|"), _table),
    (lambda line: True, _paragraph),
]


def _starts_block(line):
    return any(starts(line) for starts, _ in BLOCKS[:-1])
