"""Solution of exercise 11, and mistakes with what the check says of them."""


# > nesterov: passes
def nesterov(w, v, g, lr, mu):
    v = mu * v - lr * g
    return w + mu * v - lr * g, v


# > two_minus_signs: w after step 1 is wrong, most at [0]: expected -0.15, got 0.15
# >   two minus signs: it climbs
def two_minus_signs(w, v, g, lr, mu):
    v = mu * v - lr * g
    return w - (mu * v - lr * g), v


# > plain_momentum: w after step 1 is wrong, most at [0]: expected -0.15, got -0.1
# >   that is w + v: momentum without looking ahead, or looking ahead along the old v
def plain_momentum(w, v, g, lr, mu):
    v = mu * v - lr * g
    return w + v, v


# > gradient_left_out: w after step 1 is wrong, most at [0]: expected -0.15, got -0.05
# >   - lr g is missing beside μ v
def gradient_left_out(w, v, g, lr, mu):
    v = mu * v - lr * g
    return w + mu * v, v
