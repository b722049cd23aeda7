"""Tables of figures that read the same on a terminal and in a Markdown file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """One table: a title, columns, rows of text, and a sentence on how to read it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def __str__(self) -> str:
        """Return it as Markdown with aligned columns: words to the left, figures to the right."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"### {self.title}\n"
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        figures = [all(_is_figure(row[index]) for row in self.rows) for index in range(len(widths))]
        yield _line(self.columns, widths, figures)
        rules = [
            "-" * (width - is_figure) + ":" * is_figure
            for width, is_figure in zip(widths, figures, strict=True)
        ]
        yield _line(rules, widths, figures)
        for row in self.rows:
            yield _line(row, widths, figures)
        if self.note:
            yield f"\n{self.note}"


def count(figure: float) -> str:
    """Return a count with its thousands apart."""
    return f"{figure:,.0f}"


def fine(figure: float) -> str:
    """Return a figure with three significant digits, as far as they lie behind the point."""
    if figure >= 100:
        return f"{figure:.0f}"
    return f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"


def times(figure: float) -> str:
    """Return a ratio."""
    return f"{fine(figure)}x"


def _is_figure(text: str) -> bool:
    return text[:1].isdigit()


def _line(cells: Sequence[str], widths: Sequence[int], figures: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if is_figure else cell.ljust(width)
        for cell, width, is_figure in zip(cells, widths, figures, strict=True)
    ]
    return f"| {' | '.join(padded)} |"
