import math

import numpy as np
import pytest

import arraynn as nn


def test_three_steps_worked_by_hand(run, precise):
    w, m, v, u, want = 1.0, 0.0, 0.0, 0.0, []
    for t, g in enumerate([2.0, -0.1, 0.5], start=1):
        m = 0.8 * m + 0.2 * g
        v = 0.5 * v + 0.5 * g * g
        u = max(u, v)
        w = w - 0.1 * m / (1 - 0.8**t) / (math.sqrt(u / (1 - 0.5**t)) + 1e-3)
        want.append(w)
    assert u == 2.0  # v has fallen since
    optimizer = nn.AMSGrad(0.1, beta1=0.8, beta2=0.5, epsilon=1e-3)
    assert [p for (p,) in run(optimizer, [1.0], [[2.0], [-0.1], [0.5]])] == pytest.approx(want, rel=precise)


def test_the_largest_v_is_kept(xp):
    optimizer = nn.AMSGrad(0.1, beta2=0.5)
    params = nn.put({"w": np.ones(2)}, like=xp.asarray([0.0]))
    state = optimizer.init(params)
    for g in ([2.0, 1.0], [0.0, 4.0]):
        params, state = optimizer.update(params, {"w": xp.asarray(g)}, state)
    assert xp.to_numpy(state["slots"]["w"]["u"]).tolist() == [4.0, 16.5]
    assert xp.to_numpy(state["slots"]["w"]["v"]).tolist() == [2.0, 16.5]


def test_fifty_steps_equal_torchs(torch_agrees):
    torch_agrees(nn.AMSGrad(0.02), lambda torch, p: torch.optim.Adam(p, lr=0.02, amsgrad=True))
    torch_agrees(
        nn.AMSGrad(0.02, beta1=0.5, beta2=0.6, epsilon=1e-3),
        lambda torch, p: torch.optim.Adam(p, lr=0.02, betas=(0.5, 0.6), eps=1e-3, amsgrad=True),
    )


@pytest.mark.parametrize("name", ["beta1", "beta2"])
@pytest.mark.parametrize("beta", [1.0, -0.1, float("nan")])
def test_betas_outside_the_range_are_refused(name, beta):
    with pytest.raises(ValueError, match=rf"{name} must lie in \[0, 1\)"):
        nn.AMSGrad(**{name: beta})
