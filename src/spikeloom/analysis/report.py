"""Reports: one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile

from matplotlib.figure import Figure

from ..errors import StorageError
from ..storage import atomic_file


@dataclass(frozen=True)
class Picture:
    """A figure of a report, with the caption below it and the text in its place for those who cannot see it."""

    figure: Figure
    caption: str
    alt: str


@dataclass(frozen=True)
class Table:
    """A table of a report: the names of its columns, and rows of as many cells."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Section:
    """A part of a report: a heading, and below it what there is of cards, text, pictures and a table.

    Cards are short values under a label, such as {'test accuracy': '97.2 %'}; blank lines part paragraphs of the text.
    `warnings` are sentences on what a reader must not overlook. Pictures in `row` are small ones that stand side by
    side where there is room, after the others. `details` are tables that open with a click, by what they hold.
    """

    heading: str = ""
    text: str = ""
    figures: Sequence[Picture] = ()
    row: Sequence[Picture] = ()
    table: Table | None = None
    cards: Mapping[str, object] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    details: Mapping[str, Table] = field(default_factory=dict)


def write_report(path: str | Path, title: str, sections: Iterable[Section]) -> Path:
    """The path, after the sections have been written there as one self-contained HTML file; folders are made.

    Of many sections the page begins with a list. A section may be made when it is asked for: one is held at a time,
    with its figures, and none of the page.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {path.parent}: {error.strerror or error}") from error
    headings = []
    with atomic_file(path) as page, TemporaryFile(dir=path.parent) as body:
        for number, section in enumerate(sections, start=1):
            headings.append(section.heading)
            body.write(_section(section, number).encode() + b"\n")
        body.seek(0)
        page.write(_HEAD.format(title=escape(title), style=_STYLE, contents=_contents(headings)).encode())
        copyfileobj(body, page)
        page.write(_FOOT.encode())
    return path


def _contents(headings: Sequence[str]) -> str:
    """Links to the sections, where there are more than fit on a screen or two."""
    links = [f'<a href="#s{k}">{escape(name)}</a>' for k, name in enumerate(headings, start=1) if name]
    return f"<nav>{''.join(links)}</nav>" if len(headings) > _FEW else ""


def _section(section: Section, number: int) -> str:
    parts = [f"<h2>{escape(section.heading)}</h2>"] if section.heading else []
    parts += [f'<p class="warning">{escape(sentence)}</p>' for sentence in section.warnings]
    if section.cards:
        parts.append(
            f'<div class="cards">{"".join(_card(label, value) for label, value in section.cards.items())}</div>'
        )
    parts += [f"<p>{escape(paragraph)}</p>" for paragraph in section.text.split("\n\n") if paragraph.strip()]
    parts += [_picture(picture) for picture in section.figures]
    if section.row:
        parts.append(f'<div class="row">{"".join(map(_picture, section.row))}</div>')
    if section.table is not None:
        parts += _table(section.table)
    for name, table in section.details.items():
        parts += [f"<details><summary>{escape(name)}</summary>", *_table(table), "</details>"]
    return "\n".join([f'<section id="s{number}">', *parts, "</section>"])


def _card(label: str, value: object) -> str:
    return f'<div class="card"><span>{escape(label)}</span><strong>{escape(str(value))}</strong></div>'


def _picture(picture: Picture) -> str:
    buffer = io.BytesIO()
    picture.figure.savefig(buffer, format="png", dpi=130)
    data = base64.b64encode(buffer.getvalue()).decode()
    width = picture.figure.get_figwidth()
    kind = ' class="wide"' if width > _WIDE else ""
    image = f'<img{kind} alt="{escape(picture.alt)}" src="data:image/png;base64,{data}">'
    return f'<figure><div class="scroll">{image}</div><figcaption>{escape(picture.caption)}</figcaption></figure>'


def _table(table: Table) -> Iterator[str]:
    yield (
        '<div class="scroll"><table><thead><tr>'
        + "".join(f"<th>{escape(column)}</th>" for column in table.columns)
        + "</tr></thead><tbody>"
    )
    for row in table.rows:
        yield "<tr>" + "".join(map(_cell, row)) + "</tr>"
    yield "</tbody></table></div>"


def _cell(value: object) -> str:
    text = str(value)
    kind = ' class="text"' if len(text) > _LONG else ""
    return f"<td{kind}>{escape(text)}</td>"


_FEW = 4
"""Of as many sections or fewer, a page has no list."""
_LONG = 40
"""A cell of more characters may be broken into lines."""
_WIDE = 6.5
"""Wider figures, in inches, are scrolled on a narrow screen: shrunk, their words could not be read."""


_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{contents}
"""

_FOOT = """</main>
</body>
</html>
"""

_STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #f5f7fa; color: #1f2933; line-height: 1.55;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; overflow-wrap: anywhere; }
@media (max-width: 30rem) { main { padding: 1.25rem .5rem 2rem; } section { padding: 1rem !important; } }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1.5rem; }
h2 { font-size: 1.2rem; margin: 0 0 .75rem; }
section { background: #fff; border: 1px solid #e4e7eb; border-radius: 10px; padding: 1.5rem; margin: 0 0 1.25rem; }
p { margin: 0 0 1rem; max-width: 46rem; }
.warning { background: #fff5eb; border-left: 4px solid #d55e00; border-radius: 6px; padding: .6rem .9rem;
  max-width: none; }
nav { display: flex; flex-wrap: wrap; gap: .4rem; margin: 0 0 1.25rem; max-height: 11rem; overflow-y: auto; }
nav a { background: #fff; border: 1px solid #cbd2d9; border-radius: 999px; padding: .15rem .7rem; font-size: .86rem;
  color: #003a5d; text-decoration: none; }
nav a:hover, nav a:focus { border-color: #0072b2; background: #e8f3fa; }
details { margin: 1rem 0 0; }
summary { cursor: pointer; color: #003a5d; font-size: .92rem; }
details table { margin-top: .5rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.4rem, 1fr)); gap: .75rem;
  margin: 0 0 1.25rem; }
.card { background: #f5f7fa; border-left: 4px solid #0072b2; border-radius: 6px; padding: .7rem .9rem; }
.card span { display: block; font-size: .8rem; color: #52606d; }
.card strong { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.scroll { overflow-x: auto; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; margin: 0 0 1.25rem; }
.row figure { flex: 1 1 20rem; max-width: 27rem; margin: 0; }
figure { margin: 0 0 1.25rem; }
figure:last-child { margin-bottom: 0; }
img { display: block; max-width: 100%; height: auto; }
img.wide { min-width: 38rem; }
figcaption { font-size: .86rem; color: #52606d; margin-top: .35rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th { text-align: left; color: #52606d; font-weight: 600; border-bottom: 2px solid #cbd2d9; padding: .45rem .6rem; }
td { border-bottom: 1px solid #e4e7eb; padding: .45rem .6rem; }
th, td { white-space: nowrap; }
td.text { white-space: normal; min-width: 12rem; }
@media print { body { background: #fff; } nav { display: none; } figure { break-inside: avoid; } }
"""
