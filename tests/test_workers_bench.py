"""The model of what a step costs on several workers: it finds the costs that made the figures, and carries them on."""

import pytest

from ci.bench.workers import WORKLOADS, Cost, fitted, report, table

COSTS = {"mnist": Cost(6e-3, 2e-3, 40e-6, 0.5e-9), "million": Cost(20e-3, 3e-3, 40e-6, 0.5e-9)}
WEIGHTS = {"mnist": 669_706, "million": 1_076_010}


def figures(cores):
    """What would be measured, in ms, if the model were exact."""
    found = []
    for workload in WORKLOADS:
        for count in (1, 2, 4):
            for reduction in ("exact", "fast"):
                comm = COSTS[workload].exchanging(WEIGHTS[workload], count, cores) * (
                    1 if reduction == "exact" else 0.3
                )
                step = COSTS[workload].computing(count, cores) + comm
                row = {"workload": workload, "workers": count, "reduction": reduction, "weights": WEIGHTS[workload]}
                found.append({**row, "step": step * 1e3, "comm": comm * 1e3})
    return found


@pytest.mark.parametrize("cores", [2, 8])
@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_fit_finds_the_costs_that_made_the_figures(workload, cores):
    found, cost = fitted(figures(cores), workload, cores), COSTS[workload]
    assert [found.gradient, found.update] == pytest.approx([cost.gradient, cost.update], rel=1e-6)
    assert [found.round, found.byte] == pytest.approx([cost.round, cost.byte], rel=1e-6)


def test_the_report_has_a_row_for_each_figure_and_for_each_network():
    told = report(figures(2), 2)
    assert told.count("| exact |") == told.count("| fast |") == 6
    assert told.count(" machines | ") == 2 * 9
    assert "fits 40 µs a round and 0.50 ns a byte, on 2 cores" in told
    assert "mnist: 6.0 ms of computing shared out, 2.0 ms on every worker." in told


def test_costs_are_never_below_zero():
    rows = [{**row, "comm": 1.0} if row["workers"] > 1 else row for row in figures(8)]
    found = fitted(rows, "mnist", 8)
    assert min(found.gradient, found.update, found.round, found.byte) >= 0


def test_local_steps_take_over_where_links_are_slow():
    told = table("mnist", 669_706, Cost(6.5e-3, 0.0))
    assert "| 8 machines | 1 | 37.86 | 15% | 53 |" in told
    assert "at 1 Gb/s from 8 machines on; at 10 Gb/s from 8 machines on; at 100 Gb/s nowhere here." in told
