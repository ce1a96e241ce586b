"""Tables in plain text: columns aligned, units in the head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    unit: str = ""
    is_text: bool = False  # left-aligned


def render(columns: Sequence[Column], blocks: Sequence[Sequence[Sequence[str]]]) -> list[str]:
    """Write rows in blocks, with an empty line between blocks.

    Returns:
        Lines without trailing spaces.
    """
    heads = [[column.title for column in columns], [column.unit for column in columns]]
    rows = [row for block in blocks for row in block]
    widths = [max(len(row[index]) for row in [*heads, *rows]) for index in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cell.ljust(width) if column.is_text else cell.rjust(width)
            for cell, width, column in zip(cells, widths, columns, strict=True)
        ).rstrip()

    lines = [line(head) for head in heads if any(head)]
    lines.append("-" * (sum(widths) + 2 * (len(widths) - 1)))
    for index, block in enumerate(blocks):
        lines += [""] * bool(index) + [line(row) for row in block]
    return lines


def number(value: float | None, digits: int = 1) -> str:
    """Write a number, with thin groups of thousands; a dash for none."""
    return "-" if value is None else f"{value:,.{digits}f}"
