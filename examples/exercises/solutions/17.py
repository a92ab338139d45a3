"""Solution of exercise 17, and mistakes with what the check says of them."""

import numpy as np


# > numeric_gradient: passes
def numeric_gradient(loss, w, h=1e-3):
    gradient = np.zeros_like(w)
    for place in np.ndindex(w.shape):
        up, down = w.copy(), w.copy()
        up[place] += h
        down[place] -= h
        gradient[place] = (loss(up) - loss(down)) / (2 * h)
    return gradient


# > one_sided: the gradient of Σ exp(w) is wrong, most at [0, 2]: expected 7.389, got 7.393
# >   one-sided: the loss at w itself is no good; go to both sides
def one_sided(loss, w, h=1e-3):
    gradient = np.zeros_like(w)
    for place in np.ndindex(w.shape):
        up = w.copy()
        up[place] += h
        gradient[place] = (loss(up) - loss(w)) / h
    return gradient


# > divided_by_h: the gradient of Σ exp(w) is wrong, most at [0, 2]: expected 7.389, got 14.78
# >   the two places are 2h apart, so divide by 2h
def divided_by_h(loss, w, h=1e-3):
    return 2 * numeric_gradient(loss, w, h)


# > not_put_back: w is not as it was: put each number back before you move the next
def not_put_back(loss, w, h=1e-3):
    gradient = np.zeros_like(w)
    for place in np.ndindex(w.shape):
        w[place] += h
        up = loss(w)
        w[place] -= 2 * h
        gradient[place] = (up - loss(w)) / (2 * h)
    return gradient


# > all_moved_at_once: the gradient of Σ exp(w) is wrong, most at [0, 1]: expected 0.3679, got 15.49
# >   all numbers were moved at once: move one, and leave the others
def all_moved_at_once(loss, w, h=1e-3):
    return np.full_like(w, (loss(w + h) - loss(w - h)) / (2 * h))
