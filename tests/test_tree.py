import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import arraynn as nn
from arraynn import tree

NEST = [{"weight": 1, "bias": 2}, {}, {"scale": 3, "statistics": {"mean": 4, "count": 5}}, (6, [7])]

nests = st.recursive(
    st.integers(-9, 9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.tuples(inner)
    ),
    max_leaves=12,
)


def test_paths_and_leaves_go_depth_first():
    assert tree.leaves(NEST) == [1, 2, 3, 4, 5, 6, 7]
    assert tree.paths(NEST) == [
        *("0.weight", "0.bias", "2.scale", "2.statistics.mean", "2.statistics.count", "3.0", "3.1.0"),
    ]


def test_a_single_leaf_is_a_nest():
    assert tree.leaves(5) == [5]
    assert tree.paths(5) == [""]
    assert tree.map(lambda a: a + 1, 5) == 6


def test_map_keeps_the_structure_and_takes_leaves_of_several_nests():
    assert tree.map(lambda a: 10 * a, NEST)[3] == (60, [70])
    assert tree.map(lambda a, b, c: a + b * c, {"x": [1, 2]}, {"x": [3, 4]}, {"x": [5, 6]}) == {"x": [16, 26]}


def test_map_visits_keys_in_the_order_of_the_first_nest():
    seen = []
    tree.map(lambda a, b: seen.append((a, b)), {"x": 1, "y": 2}, {"y": 20, "x": 10})
    assert seen == [(1, 10), (2, 20)]


def test_map_passes_deeper_structure_of_other_nests_whole():
    assert tree.map(lambda p, slots: (p, slots), {"w": 1}, {"w": {"m": 2, "v": 3}}) == {"w": (1, {"m": 2, "v": 3})}


@pytest.mark.parametrize("other", [{"w": 1}, {"w": 1, "b": 2, "c": 3}, {"w": 1, "c": 2}, [1, 2], 5])
def test_nests_of_another_structure_are_refused(other):
    with pytest.raises(nn.ShapeError, match=r"nests differ: expected the keys \['w', 'b'\], got"):
        tree.map(lambda a, b: a, {"w": 1, "b": 2}, other)


@pytest.mark.parametrize("other", [[1], [1, 2, 3], {"0": 1, "1": 2}, 5])
def test_lists_of_another_length_are_refused(other):
    with pytest.raises(nn.ShapeError, match="nests differ: expected 2 items, got"):
        tree.map(lambda a, b: a, [1, 2], other)


@given(nests)
def test_mapping_the_identity_changes_nothing(nest):
    assert tree.map(lambda leaf: leaf, nest) == nest


@given(nests)
def test_map_visits_each_leaf_once_in_order(nest):
    seen = []
    tree.map(seen.append, nest)
    assert seen == tree.leaves(nest)
    assert len(tree.paths(nest)) == len(seen)


@given(nests, nests)
def test_statistics_are_split_off_and_merged_back(inner, statistics):
    nest = [{"scale": inner, "statistics": statistics}, inner]
    without = tree.trained(nest)
    assert without == [{"scale": inner}, inner]
    assert tree.with_statistics(without, nest) == nest


def test_new_statistics_come_from_the_second_nest():
    old, new = {"w": 1, "statistics": {"m": 2}}, {"w": 10, "statistics": {"m": 20}}
    assert tree.with_statistics(tree.trained(old), new) == {"w": 1, "statistics": {"m": 20}}


def test_add_takes_parts_without_some_leaves():
    nest = [{"weight": 1.0, "bias": 2.0}, {}, {"weight": 3.0}]
    assert tree.add(nest, None) is nest
    assert tree.add(nest, [{"weight": 10.0}, None, None]) == [{"weight": 11.0, "bias": 2.0}, {}, {"weight": 3.0}]


def test_add_writes_to_the_part_and_never_to_the_nest(xp):
    nest, part = {"w": xp.asarray([1.0, 2.0])}, nn.put({"w": np.asarray([10.0, 20.0])}, like=xp.asarray(0.0))
    total = tree.add(nest, part)
    assert xp.to_numpy(total["w"]).tolist() == [11.0, 22.0]
    assert xp.to_numpy(nest["w"]).tolist() == [1.0, 2.0]
