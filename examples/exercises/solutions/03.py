"""Solution of exercise 3, and mistakes with what the check says of them."""


# > drop_connect: passes
def drop_connect(x, w, rate, rng):
    keep = (rng.random(w.shape) >= rate) / (1 - rate)
    kept = w * keep
    # forward was y = x (w keep), so dw = xᵀ dy where a weight was kept, times its factor
    return x @ kept, lambda dy: (dy @ kept.T, x.T @ dy * keep)


# > another_mask_backward: dx is wrong, most at [2, 0]: expected 2.056, got -0.8929
# >   backward drew another mask: draw once, and keep it for the backward
def another_mask_backward(x, w, rate, rng):
    def backward(dy):
        keep = (rng.random(w.shape) >= rate) / (1 - rate)
        return dy @ (w * keep).T, x.T @ dy * keep

    return x @ (w * (rng.random(w.shape) >= rate) / (1 - rate)), backward


# > not_scaled: y is wrong, most at [2, 0]: expected 2.527, got 2.022
# >   survivors are scaled by 1 / (1 - rate), or the mean of y shrinks
def not_scaled(x, w, rate, rng):
    keep = rng.random(w.shape) >= rate
    return x @ (w * keep), lambda dy: (dy @ (w * keep).T, x.T @ dy * keep)


# > scaled_by_the_rate: y is wrong, most at [2, 0]: expected 2.527, got 10.11
# >   the factor is 1 / (1 - rate): rate is the probability of dropping
def scaled_by_the_rate(x, w, rate, rng):
    keep = (rng.random(w.shape) >= rate) / rate
    return x @ (w * keep), lambda dy: (dy @ (w * keep).T, x.T @ dy * keep)


# > mask_forgotten_in_dw: dw is wrong, most at [0, 2]: expected 0, got -2.026
# >   a weight that was dropped did nothing, so its gradient is 0
def mask_forgotten_in_dw(x, w, rate, rng):
    kept = w * (rng.random(w.shape) >= rate) / (1 - rate)
    return x @ kept, lambda dy: (dy @ kept.T, x.T @ dy)
