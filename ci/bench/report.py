"""What was measured as text, JSON and a picture."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from .measure import Times
from .peers import OWN
from .workloads import Workload


def table(rows: list[list[str]]) -> str:
    """Markdown, the first column to the left, the others to the right; the first row is the head."""
    head, *body = rows
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def times(found: Mapping[str, Times], title: str) -> str:
    """A row for each peer, the fastest first: median, quartiles, ratio to the fastest rival and to the products.

    A ratio is the median of the rounds' own ratios, so that what disturbed a round disturbs both its parts.
    """
    rivals = [peer for peer in found if peer not in OWN]
    best = min(rivals, key=lambda peer: found[peer].median) if rivals else ""
    rows = [[title, "ms", "quartiles", f"/ {best or 'fastest peer'}", "/ products"]]
    for peer in sorted(found, key=lambda peer: found[peer].median):
        low, high = found[peer].quartiles
        against = [ratio(found[peer], found[other]) if other in found else "" for other in (best, "products")]
        name = f"**{peer}**" if peer.startswith("arraynn") else peer
        rows.append([name, short(found[peer].median), f"{short(low)} to {short(high)}", *against])
    return table(rows)


def ratio(a: Times, b: Times) -> str:
    return f"{Times([x / y for x, y in zip(a.rounds, b.rounds, strict=True)], []).median:.2f}"


def short(ms: float) -> str:
    return f"{ms:.3f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:,.0f}"


def growth(found: Mapping[str, list[tuple[Any, Workload, Mapping[str, Times]]]]) -> str:
    """For each sweep: milliseconds, and how many times those of the line above, beside how many times its work."""
    texts = []
    for what, points in found.items():
        peers = [peer for peer in points[0][2] if all(peer in times for _, _, times in points)]
        rows = [[what, "work", *(cell for peer in peers for cell in (peer, "×"))]]
        before: tuple[Workload, Mapping[str, Times]] | None = None
        for value, work, times in points:
            line = [str(value), f"× {work.products / before[0].products:.1f}" if before else ""]
            for peer in peers:
                line += [short(times[peer].median)]
                line += [f"{times[peer].median / before[1][peer].median:.1f}" if before else ""]
            rows.append(line)
            before = work, times
        texts.append(table(rows))
    return "\n\n".join(texts)


def machine(threads: int) -> dict[str, Any]:
    """What it ran on, without names."""
    import os

    versions = {}
    for name in ("numpy", "torch", "jax", "scikit-learn", "thinc", "numba"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    load = os.getloadavg() if hasattr(os, "getloadavg") else ()
    found = {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()}
    return found | {"threads": threads, "python": platform.python_version(), "load": load, "versions": versions}


def picture(found: Mapping[str, Mapping[str, Times]], path: Path) -> None:
    """Bars of each workload's median steps against the fastest rival's, on a logarithmic scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(found), 4.2), layout="constrained")
    for axes, (name, own) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        peers = sorted(own, key=lambda peer: -own[peer].median)
        fastest = min((own[peer].median for peer in peers if peer not in OWN), default=own[peers[-1]].median)
        values = [own[peer].median / fastest for peer in peers]
        colours = ["#D55E00" if p.startswith("arraynn") else "#7F7F7F" if p in OWN else "#0072B2" for p in peers]
        spread = [[abs(q / fastest - v) for q, v in zip(ends, values, strict=True)] for ends in _ends(own, peers)]
        axes.barh(peers, values, color=colours, xerr=spread, ecolor="#333333")
        for place, value in enumerate(values):
            axes.annotate(f" {value:.2f}", (value, place), va="bottom", fontsize=8)
        axes.set(xscale="log", title=name, xlabel="time / fastest other library")
        axes.axvline(1.0, color="#333333", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def _ends(own: Mapping[str, Times], peers: list[str]) -> list[list[float]]:
    return [[own[peer].quartiles[i] for peer in peers] for i in (0, 1)]
