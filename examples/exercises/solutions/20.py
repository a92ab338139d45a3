"""Solution of exercise 20, and mistakes with what the check says of them."""

import arraynn as nn


# > in_heads: passes
def in_heads(q, k, v, heads):
    T, D = q.shape
    q, k, v = (part.reshape(T, heads, D // heads).swapaxes(0, 1) for part in (q, k, v))
    y, _ = nn.scaled_dot_product_attention(q, k, v)
    return y.swapaxes(0, 1).reshape(T, D)


# > reshaped_only: y is wrong, most at [3, 3]: expected -1.2, got 0.2503
# >   reshape(heads, T, -1) cuts the text into pieces; cut the columns, (T, heads, -1), then swap axes
def reshaped_only(q, k, v, heads):
    T, D = q.shape
    y, _ = nn.scaled_dot_product_attention(*(part.reshape(heads, T, D // heads) for part in (q, k, v)))
    return y.reshape(T, D)


# > not_swapped_back: y is wrong, most at [4, 0]: expected 0.3403, got -1.2
# >   going in the axes were swapped, going out they were not: swap them back, then reshape
def not_swapped_back(q, k, v, heads):
    T, D = q.shape
    q, k, v = (part.reshape(T, heads, D // heads).swapaxes(0, 1) for part in (q, k, v))
    y, _ = nn.scaled_dot_product_attention(q, k, v)
    return y.reshape(T, D)


# > one_head: y is wrong, most at [2, 5]: expected 0.2547, got 0.787
# >   that is one head of all columns
def one_head(q, k, v, heads):
    return nn.scaled_dot_product_attention(q, k, v)[0]


# > scaled_by_all_columns: y is wrong, most at [3, 3]: expected -1.2, got -0.9949
# >   the scores are divided by √(D / heads), the head's own D; the block does it
def scaled_by_all_columns(q, k, v, heads):
    return in_heads(q / heads**0.5, k, v, heads)
