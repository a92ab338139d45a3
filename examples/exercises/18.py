"""Exercise 18: one epoch of mini-batches.

Lesson 18 takes the whole set at each step. Write an epoch of smaller steps: shuffle the rows, cut them into batches of
`batch_size` (the last one may be shorter), call step(x, labels) for each, which returns the mean loss of its rows, and
return the mean loss of all rows.
"""

# %%
import numpy as np
from _exercise import equal, require, run


def epoch(step, x, labels, batch_size, rng):
    """x : (N, n), labels : (N,), rng : a NumPy Generator. Returns the mean loss over the N rows."""
    raise NotImplementedError


# %% [markdown]
# The check's step writes down which rows it is given. Row i has label i, and its loss is i².


# %%
def check(epoch):
    x, labels = np.arange(10.0)[:, None] * [1.0, -1.0], np.arange(10)
    batches = []

    def step(x, labels):
        batches.append((x[:, 0].astype(int), labels))
        return float(np.mean(x[:, 0] ** 2))

    rng = np.random.default_rng(0)
    loss = epoch(step, x, labels, 4, rng)
    sizes = [len(rows) for rows, _ in batches]
    rows, seen = (np.concatenate(part) for part in zip(*batches, strict=True))
    require(sizes != [4, 4], "the short batch at the end is left out: two of ten rows were never seen")
    require(sizes == [4, 4, 2], f"the batches have {sizes} rows, expected [4, 4, 2]")
    require(len(set(rows.tolist())) == 10, "a row came twice and another never: permute the rows, do not draw them")
    require(np.array_equal(rows, seen), "labels went astray: x and labels must be taken by the same permutation")
    require(not np.array_equal(rows, np.arange(10)), "the rows are not shuffled")
    means = np.mean([np.mean(part**2) for part, _ in batches])
    equal("the mean loss", loss, 28.5, {"a mean of means: the batch of 2 weighs as much as one of 4": means})
    epoch(step, x, labels, 4, rng)
    again = np.concatenate([part for part, _ in batches[3:]])
    require(not np.array_equal(rows, again), "the second epoch has the order of the first: shuffle anew, by rng")
    require(np.array_equal(x[:, 0], np.arange(10)), "the caller's x was shuffled in place: take rows of it instead")


if __name__ == "__main__":
    run(check, epoch)
