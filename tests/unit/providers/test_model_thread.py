from hypothesis import given
from hypothesis import strategies as st

from cortex_core.providers._model_thread import MAX_SLICE_TEXTS, plan_slices


@given(st.lists(st.integers(2, 256), max_size=200), st.integers(1, 512))
def test_slices_hold_every_text_once_within_the_budget(lengths: list[int], budget: int) -> None:
    slices = plan_slices(lengths, budget=budget)
    assert sorted(index for indices in slices for index in indices) == list(range(len(lengths)))
    for indices in slices:
        assert len(indices) == 1 or len(indices) * max(lengths[index] for index in indices) <= budget
        assert 1 <= len(indices) <= MAX_SLICE_TEXTS


def test_texts_of_like_length_share_a_slice() -> None:
    assert plan_slices([9, 100, 10, 90, 300], budget=200) == [[0, 2], [3, 1], [4]]
