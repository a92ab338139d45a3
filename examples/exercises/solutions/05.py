"""Solution of exercise 5, and mistakes with what the check says of them."""

import numpy as np


# > capped_relu: passes
def capped_relu(x):
    y = np.minimum(np.maximum(x, 0), 6)
    return y, lambda dy: dy * ((x > 0) & (x < 6))


# > masked_by_dy: dx is wrong, most at [2]: expected 0, got 5
# >   the mask is made from the signs of dy; what counts is where x lies
def masked_by_dy(x):
    return capped_relu(x)[0], lambda dy: dy * (dy > 0)


# > ceiling_forgotten_backward: dx is wrong, most at [2]: expected 0, got 5
# >   at x = 7 the output is 6, whatever x does: nothing passes there
def ceiling_forgotten_backward(x):
    return capped_relu(x)[0], lambda dy: dy * (x > 0)


# > dy_overwritten: backward wrote into dy, which belongs to the caller: make a new array
def dy_overwritten(x):
    def backward(dy):
        dy *= (x > 0) & (x < 6)
        return dy

    return capped_relu(x)[0], backward


# > dy_forgotten: dx is wrong, most at [1]: expected -4, got 1
# >   dx is the slope alone; the chain rule multiplies it by dy
def dy_forgotten(x):
    return capped_relu(x)[0], lambda dy: ((x > 0) & (x < 6)).astype(dy.dtype)
