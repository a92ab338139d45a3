"""Exercise 20: attention in several heads.

One head asks one question. Several heads share the D numbers of a place: the first D / heads columns of q, k and v are
the first head's, and so on. Each head attends on its own, and the answers are put side by side again, (T, D). The block
`nn.scaled_dot_product_attention` takes any leading axes, so give it (heads, T, D / heads) and all heads are one call.
"""

# %%
import numpy as np
from _exercise import equal, run

import arraynn as nn


def in_heads(q, k, v, heads):
    """q, k, v : (T, D), where heads divides D. Returns y : (T, D)."""
    raise NotImplementedError


# %% [markdown]
# The check takes the columns of each head, one head after the other.


# %%
def check(in_heads):
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((5, 6)) for _ in range(3))

    def attend(q, k, v):
        return nn.scaled_dot_product_attention(q, k, v)[0]

    cut = [attend(*(part[:, i : i + 3] for part in (q, k, v))) for i in (0, 3)]
    reshaped = attend(*(part.reshape(2, 5, 3) for part in (q, k, v)))
    told = {
        "reshape(heads, T, -1) cuts the text into pieces; cut the columns, (T, heads, -1), then swap axes": (
            reshaped.reshape(5, 6)
        ),
        "going in the axes were swapped, going out they were not: swap them back, then reshape": (
            np.stack(cut).reshape(5, 6)
        ),
        "that is one head of all columns": attend(q, k, v),
        "the scores are divided by √(D / heads), the head's own D; the block does it": np.hstack(
            [attend(q[:, i : i + 3] / 2**0.5, k[:, i : i + 3], v[:, i : i + 3]) for i in (0, 3)]
        ),
    }
    equal("y", in_heads(q, k, v, 2), np.hstack(cut), told)
    equal("y of three heads", in_heads(q, k, v, 3)[:, 2:4], attend(*(part[:, 2:4] for part in (q, k, v))))


if __name__ == "__main__":
    run(check, in_heads)
