import math
from itertools import pairwise

import pytest

import arraynn as nn
from arraynn.schedules import rate_at


def test_inverse_time_decay_is_the_books():
    decay = nn.InverseTimeDecay(1.0, decay=1e-3)
    assert decay(0) == 1.0
    assert decay(10_000) == pytest.approx(0.09090909, rel=1e-6)
    # the book prints the rate of the last epoch, 10000 updates after the first
    assert nn.InverseTimeDecay(0.02, decay=1e-5)(10_000) == pytest.approx(0.0181818, rel=1e-5)
    assert [nn.InverseTimeDecay(0.5)(step) for step in (0, 1000)] == [0.5, 0.5]


def test_exponential_decay_multiplies_by_the_rate_every_so_many_steps():
    decay = nn.ExponentialDecay(0.8, rate=0.5, steps=10)
    assert [decay(step) for step in (0, 10, 20)] == pytest.approx([0.8, 0.4, 0.2])
    assert decay(5) == pytest.approx(0.8 * math.sqrt(0.5))


def test_step_decay_is_a_staircase():
    decay = nn.StepDecay(1.0, factor=0.1, every=3)
    assert [decay(step) for step in range(7)] == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01])


def test_cosine_decay_falls_from_the_rate_to_the_final_one_and_stays():
    decay = nn.CosineDecay(1.0, steps=4, final=0.2)
    half = (1 + math.cos(math.pi / 4)) / 2
    assert [decay(step) for step in range(6)] == pytest.approx(
        [1.0, 0.2 + 0.8 * half, 0.6, 1.2 - (0.2 + 0.8 * half), 0.2, 0.2]
    )


def test_warm_up_rises_to_the_first_rate_and_hands_over_at_its_step_zero():
    warm = nn.LinearWarmup(nn.StepDecay(1.0, factor=0.5, every=1), steps=4)
    assert [warm(step) for step in range(7)] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.25])
    assert [nn.LinearWarmup(0.1, steps=2)(step) for step in range(4)] == pytest.approx([0.05, 0.1, 0.1, 0.1])


def test_polynomial_decay_falls_along_its_power_and_stays():
    schedule = nn.PolynomialDecay(0.1, steps=10, final=0.02, power=2.0)
    assert [schedule(step) for step in (0, 5, 10, 99)] == pytest.approx([0.1, 0.02 + 0.08 / 4, 0.02, 0.02])
    assert nn.PolynomialDecay(0.1, steps=10)(3) == pytest.approx(0.07)


def test_piecewise_constant_changes_at_its_boundaries():
    schedule = nn.PiecewiseConstant([2, 5], [0.1, 0.01, 0.0])
    assert [schedule(step) for step in range(7)] == [0.1, 0.1, 0.01, 0.01, 0.01, 0.0, 0.0]
    assert schedule == nn.PiecewiseConstant((2, 5), (0.1, 0.01, 0.0))
    assert nn.PiecewiseConstant((), (0.5,))(3) == 0.5


def test_one_cycle_rises_to_the_rate_and_falls_far_below_where_it_began():
    schedule = nn.OneCycle(0.1, steps=100)
    rates = [schedule(step) for step in range(102)]
    assert rates[0] == pytest.approx(0.1 / 25)
    assert rates[30] == 0.1 == max(rates)
    assert rates[100] == rates[101] == pytest.approx(0.1 / 250_000)
    assert all(a < b for a, b in pairwise(rates[:31]))
    assert all(a > b for a, b in pairwise(rates[30:101]))
    assert nn.OneCycle(0.1, steps=10, warmup=0.0)(0) == 0.1


def test_one_cycle_equals_torchs_except_for_the_ends():
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    # torch's peak is step pct_start · total_steps - 1, its end total_steps - 1; here they are warmup · steps and steps
    given = {"total_steps": 101, "pct_start": 31 / 101, "cycle_momentum": False}
    other = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, **given)
    schedule = nn.OneCycle(0.1, steps=100)
    for step in range(101):
        assert schedule(step) == pytest.approx(other.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        if step < 100:
            other.step()


def test_a_number_is_its_own_rate_at_every_step():
    assert rate_at(0.5, 17) == 0.5
    assert rate_at(lambda step: step / 10, 3) == 0.3


ALL = [
    nn.InverseTimeDecay(0.1, decay=0.1),
    nn.ExponentialDecay(0.1),
    nn.StepDecay(0.1),
    nn.CosineDecay(0.1),
    nn.LinearWarmup(nn.CosineDecay(0.1)),
    nn.OneCycle(0.1),
    nn.PiecewiseConstant((50, 500), (0.1, 0.01, 0)),
    nn.PolynomialDecay(0.1, power=0.9),
]


@pytest.mark.parametrize("schedule", ALL, ids=str)
def test_rates_are_python_floats_that_never_fall_below_zero(schedule):
    rates = [schedule(step) for step in (0, 1, 99, 1000, 10**6)]
    assert all(type(rate) is float and 0 <= rate <= 0.1 for rate in rates)


@pytest.mark.parametrize("schedule", ALL, ids=str)
def test_schedules_are_hashable_values(schedule):
    assert hash(schedule) == hash(schedule)
    assert schedule != nn.InverseTimeDecay(0.7)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: nn.InverseTimeDecay(-1.0), "learning_rate must be a finite number of at least 0"),
        (lambda: nn.InverseTimeDecay(math.nan), "learning_rate"),
        (lambda: nn.InverseTimeDecay(1.0, decay=-1e-3), "decay must be a finite number of at least 0"),
        (lambda: nn.ExponentialDecay(1.0, steps=0), "steps must be a finite number of at least 1"),
        (lambda: nn.ExponentialDecay(1.0, rate=-0.5), "rate must be"),
        (lambda: nn.StepDecay(1.0, every=0), "every must be"),
        (lambda: nn.StepDecay(1.0, factor=math.inf), "factor must be"),
        (lambda: nn.CosineDecay(1.0, final=-1), "final must be"),
        (lambda: nn.CosineDecay(1.0, steps=-3), "steps must be"),
        (lambda: nn.LinearWarmup(0.1, steps=0), "steps must be at least 1, got 0"),
        (lambda: nn.LinearWarmup(-0.1), "learning_rate must be"),
        (lambda: nn.OneCycle(0.1, warmup=1.0), r"warmup .* must lie in \[0, 1\), got 1.0"),
        (lambda: nn.OneCycle(0.1, start=0.5), "start divides the peak and must be a finite number of at least 1"),
        (lambda: nn.OneCycle(0.1, end=math.inf), "end divides the peak"),
        (lambda: nn.OneCycle(0.1, steps=0), "steps must be"),
        (lambda: nn.PiecewiseConstant((2,), (0.1,)), "1 boundaries need 2 values, got 1"),
        (lambda: nn.PiecewiseConstant((5, 2), (0.1, 0.2, 0.3)), r"boundaries must be increasing steps above 0"),
        (lambda: nn.PiecewiseConstant((0,), (0.1, 0.2)), r"boundaries must be increasing steps above 0"),
        (lambda: nn.PiecewiseConstant((1,), (0.1, -0.2)), "learning_rate must be a finite number of at least 0"),
        (lambda: nn.PiecewiseConstant((1,), (0.1, nn.OneCycle(0.1))), "values are numbers"),
        (lambda: nn.PolynomialDecay(0.1, power=0.0), "power must be a finite number above 0"),
    ],
)
def test_values_out_of_range_are_refused(make, what):
    with pytest.raises(ValueError, match=what):
        make()
