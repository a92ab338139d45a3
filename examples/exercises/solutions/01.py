"""Solution of exercise 1, and mistakes with what the check says of them."""


# > merged: passes
def merged(w1, b1, w2, b2):
    # (x w1 + b1) w2 + b2 = x (w1 w2) + (b1 w2 + b2)
    return w1 @ w2, b1 @ w2 + b2


# > biases_added: b is wrong, most at [0]: expected 4.782, got 0.101
# >   b1 goes through the second layer too: what becomes of it there?
def biases_added(w1, b1, w2, b2):
    return w1 @ w2, b1 + b2


# > order_reversed: w is wrong, most at [2, 0]: expected -4.015, got -0.006495
# >   the order: x meets w1 first, so w1 stands on the left
def order_reversed(w1, b1, w2, b2):
    return w2 @ w1, b1 @ w2 + b2


# > products_by_element: w is wrong, most at [2, 0]: expected -4.015, got 0.5368
# >   * multiplies number by number; the product of matrices is @
def products_by_element(w1, b1, w2, b2):
    return w1 * w2, b1 @ w2 + b2
