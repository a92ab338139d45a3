"""Solution of exercise 4, and mistakes with what the check says of them."""


# > tied: passes
def tied(x, w):
    h = x @ w

    def backward(dy):
        dh = dy @ w  # forward was y = h wᵀ; the transpose of wᵀ is w
        return dh @ w.T, x.T @ dh + dy.T @ h

    return h @ w.T, backward


# > product_transposed: dw is wrong, most at [0, 3]: expected 1.038, got 4.662
# >   the way up is y = h wᵀ, so its part is dyᵀ h; hᵀ dy is the gradient of wᵀ
def product_transposed(x, w):
    y, backward = tied(x, w)
    return y, lambda dy: (backward(dy)[0], x.T @ (dy @ w) + (x @ w).T @ dy)


# > way_up_forgotten: dw is wrong, most at [3, 0]: expected 4.868, got 0.56
# >   that is the way down alone; w is used in y = h wᵀ too
def way_up_forgotten(x, w):
    y, backward = tied(x, w)
    return y, lambda dy: (backward(dy)[0], x.T @ (dy @ w))


# > way_down_forgotten: dw is wrong, most at [1, 0]: expected -2.999, got 0.5769
# >   that is the way up alone; w is used in h = x w too
def way_down_forgotten(x, w):
    y, backward = tied(x, w)
    return y, lambda dy: (backward(dy)[0], dy.T @ (x @ w))


# > dx_without_transpose: dx is wrong, most at [2, 3]: expected 4.042, got -0.232
# >   dx = dh wᵀ: going back, w is transposed
def dx_without_transpose(x, w):
    y, backward = tied(x, w)
    return y, lambda dy: (dy @ w @ w, backward(dy)[1])
