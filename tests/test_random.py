import math

import numpy as np
import pytest

import arraynn as nn
from arraynn.random import quantized

X = np.zeros(0)  # whose library bits are made in

# Published vectors of our own: they hold on every backend and in every release. Also in the docstring of Key.bits.
BITS = {
    (0, (), 0): [[-1431205178, -1259605963, -931533931], [1016047580, 1984976890, -2010569871]],
    (1, (2, 3), 0): [[1762214913, 538282040, 1408899887], [1198098135, -956024572, 1890861749]],
    (2**40 + 1, (7,), 100): [[-138114218, -441381924, -1831465242], [1782214908, 1851670052, 1016645619]],
}
KEEP = "0010100001 0111100110 0010110001"


def reference_bits(key: nn.Key, rows: int, count: int) -> np.ndarray:
    """The formula in the module's docstring, in Python integers modulo 2**32, one word after another."""

    def mix(x: int, y: int = 0) -> int:
        x ^= x >> 16
        x = x * 0x7FEB352D % 2**32
        x ^= y
        x ^= x >> 15
        x = x * 0x846CA68B % 2**32
        return x ^ (x >> 16)

    k0, k1 = (word % 2**32 for word in key.words)
    words = np.zeros((rows, count), dtype=np.int64)
    for i in range(rows):
        r = key.row0 + i
        a = mix(mix((r + k0) % 2**32) ^ k1)
        b = mix(mix((r + k1) % 2**32) ^ k0)
        for c in range(count):
            words[i, c] = mix((c + a) % 2**32, b)
    return words.astype(np.uint32).view(np.int32)


def ones(words: np.ndarray) -> np.ndarray:
    """The words' 32 bits, as a last axis."""
    return (words[..., None] >> np.arange(32, dtype=np.int32)) & 1


# ---------------------------------------------------------------- the formula


@pytest.mark.parametrize(("seed", "folds", "row"), BITS)
def test_the_published_vectors_hold(xp, seed, folds, row):
    key = nn.Key(seed)
    for number in folds:
        key = key.fold_in(number)
    found = key.rows(row).bits(2, 3, like=xp.asarray(0.0))
    assert xp.to_numpy(found).tolist() == BITS[seed, folds, row]
    assert "int32" in str(found.dtype)


def test_the_published_mask_holds(xp):
    mask = xp.to_numpy(nn.Key(0).keep((3, 10), 0.4, like=xp.asarray(0.0)))
    assert ["".join(map(str, row)) for row in mask.astype(int).tolist()] == KEEP.split()


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1, 2**40 + 17, 10**30])
def test_bits_are_the_formula_in_the_docstring(xp, seed):
    key = nn.Key(seed).fold_in(5).rows(123)
    assert np.array_equal(xp.to_numpy(key.bits(4, 5, like=xp.asarray(0.0))), reference_bits(key, 4, 5))


def test_rows_may_be_counted_beyond_two_to_the_thirty_one_less_the_batch():
    key = nn.Key(3).rows(2**31 - 5)
    assert np.array_equal(key.bits(4, 2, like=X), reference_bits(key, 4, 2))


def test_words_given_as_arrays_make_the_same_bits_under_jit():
    jax = pytest.importorskip("jax")
    key = nn.Key(3).fold_in(1)

    def mask(words):
        return nn.Key.of(words).fold_in(2).keep((5, 7), 0.3, like=jax.numpy.zeros(()))

    assert np.array_equal(np.asarray(jax.jit(mask)(key.words)), key.fold_in(2).keep((5, 7), 0.3, like=X))


# ---------------------------------------------------------------- keys


def test_keys_are_hashable_values():
    assert nn.Key(3) == nn.Key(3)
    assert hash(nn.Key(3)) == hash(nn.Key(3))
    assert nn.Key(3) != nn.Key(4)
    assert nn.Key(3) != nn.Key(3).rows(1)
    assert nn.Key(3).rows(2).rows(3) == nn.Key(3).rows(5)
    assert repr(nn.Key.of((1, -2), 3)) == "Key(words=(1, -2), row0=3)"


def test_folding_is_done_in_order_and_keeps_the_rows():
    assert nn.Key(0).fold_in(1).fold_in(2) != nn.Key(0).fold_in(2).fold_in(1)
    assert nn.Key(0).fold_in(0) != nn.Key(0)
    assert nn.Key(0).rows(7).fold_in(1) == nn.Key(0).fold_in(1).rows(7)


def test_no_two_of_many_keys_are_the_same():
    keys = {
        nn.Key(seed).fold_in(step).fold_in(layer).words
        for seed in range(20)
        for step in range(50)
        for layer in range(20)
    }
    assert len(keys) == 20 * 50 * 20


def test_numbers_beyond_32_bits_are_folded_whole():
    keys = {nn.Key(0).fold_in(n).words for n in (1, 2**32, 2**32 + 1, 2**64, 2**64 + 1, 1 + 2**33)}
    assert len(keys) == 6


@pytest.mark.parametrize("number", [-1, 1.0, True, "1", None])
def test_only_integers_of_at_least_zero_are_folded_in(number):
    with pytest.raises(ValueError, match="integers of at least 0, got"):
        nn.Key(0).fold_in(number)
    with pytest.raises(ValueError, match="at least 0"):
        nn.Key(number)


# ---------------------------------------------------------------- masks


@pytest.mark.parametrize("shape", [(6, 1), (6, 2), (6, 7), (6, 3, 5), (6,), (6, 0)])
def test_rows_split_anywhere_have_the_same_bits(xp, shape):
    key, like = nn.Key(11).fold_in(4), xp.asarray(0.0)
    whole = xp.to_numpy(key.keep(shape, 0.3, like=like))
    assert whole.shape == shape
    for cut in range(7):
        first = key.keep((cut, *shape[1:]), 0.3, like=like)
        second = key.rows(cut).keep((6 - cut, *shape[1:]), 0.3, like=like)
        assert np.array_equal(np.concatenate([xp.to_numpy(first), xp.to_numpy(second)]), whole)


def test_columns_are_decided_by_halves_of_words_as_the_docstring_says():
    key, threshold = nn.Key(2), quantized(0.3)[0]
    words = key.bits(50, 4, like=X).view(np.uint32)
    # a half read as signed, at least threshold - 2**15
    lower, upper = (
        half.astype(np.uint16).view(np.int16) >= threshold - 2**15 for half in (words & 0xFFFF, words >> 16)
    )
    assert np.array_equal(key.keep((50, 7), 0.3, like=X), np.stack([lower, upper], axis=2).reshape(50, 8)[:, :7])


def test_the_mask_is_that_of_the_flattened_row(xp):
    key, like = nn.Key(5), xp.asarray(0.0)
    flat = xp.to_numpy(key.keep((4, 12), 0.5, like=like))
    assert np.array_equal(xp.to_numpy(key.keep((4, 3, 4), 0.5, like=like)), flat.reshape(4, 3, 4))


def test_a_rate_of_zero_keeps_all_and_the_largest_keeps_some(xp):
    like = xp.asarray(0.0)
    assert np.all(xp.to_numpy(nn.Key(0).keep((50, 50), 0.0, like=like)))
    assert quantized(1 - 1e-12) == (65535, 65536.0)
    share = np.mean(nn.Key(0).keep((2000, 500), 1 - 1e-12, like=X))
    assert 0 < share < 5 / 65536


# ---------------------------------------------------------------- statistics, with fixed seeds: |z| < 5 throughout


@pytest.fixture(scope="module")
def words():
    return nn.Key(2024).fold_in(0).bits(1024, 256, like=X)


def z(shares, count):
    """How many deviations shares of `count` fair coins lie from a half, at most."""
    return float(np.max(np.abs(np.asarray(shares) - 0.5)) * 2 * math.sqrt(count))


def test_each_of_the_32_bits_is_balanced(words):
    assert z(np.mean(ones(words), axis=(0, 1)), words.size) < 5


def test_rows_and_columns_are_balanced(words):
    bits = ones(words)
    assert z(np.mean(bits, axis=(1, 2)), 256 * 32) < 5
    assert z(np.mean(bits, axis=(0, 2)), 1024 * 32) < 5


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_masks_keep_their_rate_in_every_row_and_column(rate):
    mask = nn.Key(9).keep((800, 600), rate, like=X)
    p = 1 - quantized(rate)[0] / 65536
    for axis in (None, 0, 1):
        shares = np.mean(mask, axis=axis)
        deviation = math.sqrt(p * (1 - p) * np.size(shares) / mask.size)
        assert np.max(np.abs(shares - p)) < 5 * deviation


@pytest.mark.parametrize(("down", "along"), [(0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (0, 16), (16, 0), (0, 128)])
def test_neighbours_are_independent(words, down, along):
    other = words[down:, along:]
    differing = ones(words[: other.shape[0], : other.shape[1]] ^ other)
    assert z(np.mean(differing, axis=(0, 1)), other.size) < 5


@pytest.mark.parametrize(("down", "along"), [(0, 1), (1, 0), (0, 2)])
def test_bits_of_a_word_are_uncorrelated_with_those_of_its_neighbour(words, down, along):
    one, other = words[: words.shape[0] - down, : words.shape[1] - along], words[down:, along:]
    first, second = (2.0 * np.reshape(ones(part), (-1, 32)) - 1 for part in (one, other))
    correlations = first.T @ second / math.sqrt(one.size)
    assert np.max(np.abs(correlations)) < 5.5  # of 1024 pairs
    assert abs(np.mean(correlations**2) - 1) < 5 * math.sqrt(2 / 1024)


def test_the_two_halves_of_a_word_are_independent(words):
    assert z(np.mean(ones((words >> 16) ^ words)[..., :16], axis=(0, 1)), words.size) < 5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (nn.Key(0), nn.Key(1)),
        (nn.Key(0).fold_in(0), nn.Key(0).fold_in(1)),  # steps
        (nn.Key(0).fold_in(3).fold_in(0), nn.Key(0).fold_in(3).fold_in(2)),  # layers of a step
        (nn.Key(0).fold_in(1).fold_in(2), nn.Key(0).fold_in(2).fold_in(1)),
        (nn.Key(0), nn.Key(2**32)),
    ],
)
def test_steps_layers_and_seeds_are_independent(one, other):
    first, second = (key.bits(512, 128, like=X) for key in (one, other))
    for shift in (0, 1, 7):  # nor is one the other, some rows or columns later
        rows = ones(first[: 512 - shift] ^ second[shift:])
        columns = ones(first[:, : 128 - shift] ^ second[:, shift:])
        assert z(np.mean(rows, axis=(0, 1)), rows[..., 0].size) < 5
        assert z(np.mean(columns, axis=(0, 1)), columns[..., 0].size) < 5


def test_the_same_word_at_consecutive_steps_is_serially_uncorrelated():
    series = np.stack([nn.Key(1).fold_in(step).bits(1, 64, like=X)[0] for step in range(1000)]) / 2**31
    assert abs(np.mean(series)) < 5 * math.sqrt(1 / 3 / series.size)
    for lag in (1, 2, 10):
        correlation = np.mean(series[:-lag] * series[lag:]) * 3  # variance of a uniform on ±1 is 1/3
        assert abs(correlation) < 5 / math.sqrt(series[lag:].size)


def test_words_of_two_keys_are_not_permutations_of_each_other():
    # an xor of the key into the counter alone would only permute the same values
    first, second = (np.sort(nn.Key(seed).bits(1, 4096, like=X)[0]) for seed in (0, 1))
    assert np.intersect1d(first, second).size < 5


def test_repeated_words_are_as_frequent_as_by_chance(words):
    # birthdays: n² / 2 / 2**32 pairs of equal words are expected, with about that variance
    expected = words.size**2 / 2 / 2**32
    repeated = words.size - np.unique(words).size
    assert abs(repeated - expected) < 5 * math.sqrt(expected)


def test_one_changed_bit_of_the_key_changes_half_of_the_bits():
    base, changed = nn.Key(0), []
    k0, k1 = base.words
    for bit in range(31):
        changed += [nn.Key.of((k0 ^ (1 << bit), k1)), nn.Key.of((k0, k1 ^ (1 << bit)))]
    start = base.bits(64, 16, like=X)
    for key in changed:
        assert z(np.mean(ones(start ^ key.bits(64, 16, like=X))), 64 * 16 * 32) < 5
