"""The report of the streaming bench as a picture; the only part that needs matplotlib."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.figures import FORMS, Row
from bench.report import Report


# Blue and orange: told apart by everybody, and in grey as well.
_COLOURS = {"msgpack": "#2a6fbb", "json": "#e08a1e"}
_NAMES = {"msgpack": "psyche.v1.msgpack", "json": "base64 JSON"}
_BAR = 0.38  # of the room for a case


def check_plot(path: Path) -> None:
    """Make sure that a picture can be drawn, before anything is measured for it.

    Raises:
        BenchError: If it cannot.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise BenchError("--plot needs matplotlib: pip install matplotlib, or leave --plot out")
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise BenchError(f"--plot {path}: the name must end in .png, .svg or .pdf")
    if not path.parent.is_dir():
        raise BenchError(f"--plot {path}: there is no folder {path.parent}")


def plot(report: Report, path: Path) -> None:
    """Draw weight, CPU and age of both forms.

    Raises:
        BenchError: If the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.0, 8.6), layout="constrained")
    figure.suptitle(_title(report), fontsize=12, x=0.012, ha="left")
    panels = figure.subplots(2, 2)
    forms = [form for form in FORMS if any(row.form == form for row in report.rows)]
    cases = _cases(report.rows)
    weights = [_values(report.rows, cases, form, lambda row: row.bytes_per_frame) for form in forms]
    _bars(panels[0][0], "Weight of a frame, kB", cases, forms, weights, scale=1e-3, digits=0)
    net = [_values(report.rows, cases, form, lambda row: row.cpu_net_ms) for form in forms]
    _bars(panels[0][1], "Server CPU per delivered frame, ms: net", cases, forms, net)
    gross = [_values(report.rows, cases, form, lambda row: row.cpu_gross_ms) for form in forms]
    _bars(panels[1][0], "Server CPU per delivered frame, ms: with receiving the push", cases, forms, gross)
    ages = [_values(report.rows, cases, form, lambda row: row.age_p50_ms) for form in forms]
    late = [_values(report.rows, cases, form, lambda row: row.age_p99_ms) for form in forms]
    _bars(panels[1][1], "Age at receipt, ms: p50, and p99 as a line", cases, forms, ages, whiskers=late)
    panels[0][0].legend([_NAMES[form] for form in forms], frameon=False, loc="upper left")
    try:
        figure.savefig(path, dpi=110)
    except OSError as exc:
        raise BenchError(f"--plot {path}: {exc.strerror or exc}") from exc


Case = tuple[str, int, int]
"""Size, canvases, subscribers."""


def _cases(rows: Sequence[Row]) -> list[Case]:
    return list(dict.fromkeys((row.size, row.canvases, row.subscribers) for row in rows))


def _values(
    rows: Sequence[Row], cases: Sequence[Case], form: str, read: Callable[[Row], float | None]
) -> list[float]:
    """Return a figure of each case; 0 draws nothing where there is none."""
    found = {(row.size, row.canvases, row.subscribers): read(row) for row in rows if row.form == form}
    return [found.get(case) or 0.0 for case in cases]


def _bars(
    panel: Any,
    title: str,
    cases: Sequence[Case],
    forms: Sequence[str],
    series: Sequence[Sequence[float]],
    *,
    whiskers: Sequence[Sequence[float]] | None = None,
    scale: float = 1.0,
    digits: int = 2,
) -> None:
    """Draw bars side by side with their figures above them."""
    for index, (form, values) in enumerate(zip(forms, series, strict=True)):
        places = [place + (index - (len(forms) - 1) / 2) * _BAR for place in range(len(cases))]
        heights = [value * scale for value in values]
        panel.bar(places, heights, _BAR * 0.94, color=_COLOURS[form])
        tops = heights
        if whiskers is not None:
            tops = [max(top, value * scale) for top, value in zip(heights, whiskers[index], strict=True)]
            reach = [top - height for top, height in zip(tops, heights, strict=True)]
            panel.errorbar(places, heights, [[0.0] * len(reach), reach], fmt="none", ecolor="#444", capsize=3)
        labels = [f"{height:,.{digits}f}" for height in heights]
        for place, top, label in zip(places, tops, labels, strict=True):
            panel.annotate(
                label, (place, top), (0, 2), textcoords="offset points", ha="center", va="bottom", fontsize=8
            )
    panel.set_title(title, fontsize=10.5, loc="left")
    panel.set_xticks(range(len(cases)), [_case_name(case) for case in cases], fontsize=9)
    panel.margins(y=0.14)
    panel.set_ylim(bottom=0)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#ddd", linewidth=0.7)
    panel.set_axisbelow(True)


def _case_name(case: Case) -> str:
    size, canvases, subscribers = case
    screens = f"{subscribers} screen" + "s" * (subscribers > 1)
    return f"{size}\n{screens}" + (f" on each of {canvases}" if canvases > 1 else "")


def _title(report: Report) -> str:
    machine = report.machine
    return (
        f"Psyche: pushed JPEG passed through at {report.options.fps:g} frames/s per canvas\n"
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, commit {machine['commit']}"
    )
