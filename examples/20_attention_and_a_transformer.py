"""Lesson 20: attention by hand, and a character transformer that learns to write Python's documentation.

Exercise: `examples/exercises/20.py`.
"""

# %%
import pydoc_data.topics
import textwrap

import numpy as np
from _lesson import caught, drawing, host, lesson, save, show

import arraynn as nn

backend, dtype, put = lesson()

# %% [markdown]
# Each place of a text asks a question, its query q, and offers a key k and a value v. Attention is a mean of the
# values, weighted by how well the query fits the keys:
#
#     A = softmax(q kᵀ / √D),  y = A v
#
# Every row of A sums to 1. √D keeps the scores near 1: a sum of D products of random numbers is about √D large.
# Three places, D = 1, so √D is 1:

# %%
q, k, v = (np.asarray(numbers).reshape(3, 1) for numbers in ([0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [1.0, 2.0, 6.0]))


def softmax(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


A = softmax(q @ k.T)
show("A", A)
print("y:", *np.round((A @ v).ravel(), 4))
# > A (3, 3)
# >   0.3333   0.3333   0.3333
# >   0.4223   0.1554   0.4223
# >   0.4683   0.0634   0.4683
# > y: 3.0 3.267 3.4049

# %% [markdown]
# A text is written from left to right, so a place may see itself and what stands before it, and nothing behind it. What
# it may not see gets the score -inf, whose exp is 0. The first place sees itself alone.

# %%
causal = np.where(np.tri(3) == 1, q @ k.T, -np.inf)
A = softmax(causal)
y, backward = nn.scaled_dot_product_attention(put(q), put(k), put(v), causal=True)
show("A, causal", A)
print("the block gives the same:", np.allclose(host(y), A @ v))
# > A, causal (3, 3)
# >   1.0000   0.0000   0.0000
# >   0.7311   0.2689   0.0000
# >   0.4683   0.0634   0.4683
# > the block gives the same: True

# %% [markdown]
# Backward, product by product, last first. y = A v, so dv = Aᵀ dy and da = dy vᵀ. A is a softmax of s, so row by row
# ds = A (da - Σ A da): what all scores have in common changes nothing. s = q kᵀ, so dq = ds k and dk = dsᵀ q.

# %%
dy = np.asarray([[1.0], [0.0], [-1.0]])
dv, da = A.T @ dy, dy @ v.T
ds = A * (da - (A * da).sum(axis=1, keepdims=True))
dq, dk = ds @ k, ds.T @ q
print("dq:", *(f"{d:.4f}" for d in dq.ravel() + 0.0))
ours = zip(backward(put(dy)), (dq, dk, dv), strict=True)
print("the block's backward gives the same:", all(np.allclose(host(one), other) for one, other in ours))
# > dq: 0.0000 0.0000 -0.0890
# > the block's backward gives the same: True

# %% [markdown]
# The common mistake: the softmax's gradient without its sum, as if each weight were alone.


# %%
def attention_without_the_sum(v, k):
    q = nn.put(put([[0.0], [1.0], [2.0]]), like=v)
    y, _ = nn.scaled_dot_product_attention(q, k, v)
    A, _ = nn.softmax(q @ k.T)
    return y, lambda dy: (A.T @ dy, (A * (dy @ v.T)).T @ q)


caught(attention_without_the_sum, put(v), put(k))

# %% [markdown]
# A transformer in five lines. Each character becomes a vector, and so does its place; two blocks follow. A block has
# two parts, each with a way around it (Residual): attention, in four heads, looks at other places; two dense layers
# think about what was found, at each place alone. Norms keep the numbers near 1. The last layer has an output for each
# character: how likely it is to come next.

# %%
length, units, heads = 48, 64, 4


def transformer(characters):
    return nn.Sequential(
        nn.Embedding(characters, units, weight_initializer=nn.initializers.normal(0.1)),
        nn.PositionalEmbedding(length),
        *(part for _ in range(2) for part in transformer_block()),
        *(nn.LayerNorm(), nn.Dense(characters)),
    )


def transformer_block():
    think = nn.Dense(2 * units, weight_initializer=nn.initializers.he_normal), nn.ReLU(), nn.Dense(units)
    return nn.Residual(nn.LayerNorm(), nn.MultiHeadAttention(heads, causal=True)), nn.Residual(nn.LayerNorm(), *think)


# %% [markdown]
# The text ships with every Python: what `help("for")` and its like print. A character's number is its place in the
# alphabet of the text. A row is 48 characters, and its targets are the same, one further on: at each place the network
# is asked for what comes next, and thanks to the causal mask it cannot look it up.

# %%
text = "".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))
alphabet = sorted(set(text[:200_000]))
number = {character: i for i, character in enumerate(alphabet)}
codes = np.asarray([number[character] for character in text[:200_000]])
steps = 400 if backend.name == "numpy" else 40  # other libraries, uncompiled, take longer for each
starts = np.random.default_rng(0).integers(0, len(codes) - length - 1, 32 * steps)
rows = codes[starts[:, None] + np.arange(length + 1)]

network = transformer(len(alphabet))
model = nn.Model(network, optimizer=nn.Adam(0.003), backend=backend, dtype="float32", clip_norm=1.0, seed=0)
model.build((length,))

# %% [markdown]
# To write, the network is asked for the next character, one is drawn by its probabilities, and it is asked again with
# that one at the end. Untrained, it draws any character.


# %%
def written(start, count=160, temperature=0.7):
    rng, line = np.random.default_rng(1), [number[character] for character in start]
    for _ in range(count):
        seen = np.asarray([line[-length:]])
        outputs, _ = network(model.params, backend.asarray(seen, backend.index_dtype))
        p = np.exp(host(outputs)[0, -1].astype(float) / temperature)
        line.append(int(rng.choice(len(alphabet), p=p / p.sum())))
    return "".join(alphabet[i] for i in line)


def sample(name):
    print(f"{name}:", textwrap.shorten(repr(written("The statement ")), 240, placeholder="…"))


sample("before")
before = model.evaluate(rows[:64, :-1], rows[:64, 1:])["loss"]
print("at first as good as guessing:", abs(before - np.log(len(alphabet))) < 0.5)
# > at first as good as guessing: True

# %% [markdown]
# 400 steps of 32 rows: it learns which characters are common, then pairs of them, words, and how lines are indented.
# Steps are few and the network is small: it writes words, and no sense. The perplexity, exp(loss), says between how
# many characters it still wavers.

# %%
history = model.fit(rows[:, :-1], rows[:, 1:], epochs=1, batch_size=32, verbose=0)
after = model.evaluate(rows[:64, :-1], rows[:64, 1:])["loss"]
print(f"{len(alphabet)} characters; perplexity {np.exp(before):.1f} before, {np.exp(after):.1f} after")
print("wavers between fewer than a quarter of them:", np.exp(after) < len(alphabet) / 4)
# > wavers between fewer than a quarter of them: True
sample("after")

# %% [markdown]
# Where the second block looks: a row is a place of the line, a column what it may see, and dark is a large weight. Each
# head has found something of its own to look at. Above the diagonal is what comes later: there all is 0.

# %%
if figure := drawing(heads, width=2.4, height=2.7):
    line = "the statement is executed"
    given = backend.asarray(np.asarray([[number[character] for character in line]]), backend.index_dtype)
    below, _ = nn.Sequential(*network.layers[:4])(model.params[:4], given)
    norm, weights = model.params[4]
    normed = nn.LayerNorm()(norm, below)[0][0, ...]
    q, k = (
        host(nn.dense(normed, weights[f"{name}_weight"], weights[f"{name}_bias"])[0]).reshape(len(line), heads, -1)
        for name in ("query", "key")
    )
    for i, axes in enumerate(figure.axes):
        scores = q[:, i] @ k[:, i].T / (units / heads) ** 0.5
        axes.imshow(softmax(np.where(np.tri(len(line)) == 1, scores, -np.inf)), cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(line)), line, fontsize=6)
        axes.set_yticks(range(len(line)), line, fontsize=6)
        axes.tick_params(length=0)
        axes.set(title=f"head {i + 1}")
    save(figure)
