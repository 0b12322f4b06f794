"""No user id, whatever it is made of, names another user's key or another slot."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_core import InvalidInputError
from cortex_core.stores.keys import JOURNAL, UserKeys

user_ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200)


@given(user_ids)
def test_a_users_keys_share_one_hash_tag_and_have_nothing_of_a_pattern(user_id: str):
    keys = UserKeys(user_id).all()

    tags = {re.fullmatch(r"cortex:\{([\w.~%-]+)\}:[a-z]+", key, re.ASCII)[1] for key in keys}
    assert len(tags) == 1
    assert len(set(keys)) == len(keys)
    assert JOURNAL not in keys


@given(user_ids, user_ids)
def test_two_users_share_no_key(one: str, other: str):
    assert one == other or not set(UserKeys(one).all()) & set(UserKeys(other).all())


@pytest.mark.parametrize("user_id", ["", "x" * 201, "a\0b", "\ud800", "a\udfffb", 7, None, b"bytes"])
def test_what_cannot_be_a_user_id_is_refused(user_id: object):
    with pytest.raises(InvalidInputError, match="user id"):
        UserKeys(user_id)
