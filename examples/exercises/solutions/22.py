"""Solution of exercise 22, and mistakes with what the check says of them."""


# > taken_over: passes
def taken_over(kernel, linear, height, width):
    filters, outputs = kernel.shape[0], linear.shape[0]
    rows = linear.reshape(outputs, filters, height, width).transpose(2, 3, 1, 0)
    return kernel.transpose(2, 3, 1, 0), rows.reshape(-1, outputs)


# > rows_not_reordered: the dense weight is wrong, most at [16, 4]: expected 1.816, got -1.474
# >   its rows still follow C, H, W; what comes in follows H, W, C
def rows_not_reordered(kernel, linear, height, width):
    return kernel.transpose(2, 3, 1, 0), linear.T


# > reshaped: the kernel is wrong, most at [1, 0, 1, 3]: expected -1.288, got 1.493
# >   reshape moves no number, it only counts anew: transpose the axes
def reshaped(kernel, linear, height, width):
    filters, channels, kh, kw = kernel.shape
    return kernel.reshape(kh, kw, channels, filters), taken_over(kernel, linear, height, width)[1]


# > filters_for_channels: the kernel is wrong, most at [0, 0, 0, 3]: expected 1.802, got -2.325
# >   filters and channels are exchanged: (kh, kw, C, filters)
def filters_for_channels(kernel, linear, height, width):
    return kernel.transpose(2, 3, 0, 1), taken_over(kernel, linear, height, width)[1]
