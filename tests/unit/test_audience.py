"""Who may hear what: the one predicate that keeps private words private."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_core import Audience, InvalidInputError
from cortex_core.audience import is_persons_account

OWNER, ANYWHERE = Audience.owner(), Audience.everywhere()
GUILD, OTHER_GUILD = Audience.guild(1), Audience.guild(2)
STAFF, OTHER_ROOM, SAME_ID_ELSEWHERE = Audience.channel(1, 10), Audience.channel(1, 11), Audience.channel(2, 10)
ALL = [OWNER, ANYWHERE, GUILD, OTHER_GUILD, STAFF, OTHER_ROOM, SAME_ID_ELSEWHERE]

ids = st.integers(min_value=0, max_value=2**63 - 1)
audiences = st.one_of(
    st.just(OWNER), st.just(ANYWHERE), st.builds(Audience.guild, ids), st.builds(Audience.channel, ids, ids)
)


@pytest.mark.parametrize("said_in", ALL)
def test_the_owner_alone_hears_everything_of_theirs(said_in: Audience):
    assert OWNER.may_hear(str(said_in))


@pytest.mark.parametrize(
    ("place", "hears"),
    [
        (GUILD, {GUILD, ANYWHERE}),
        (STAFF, {STAFF, GUILD, ANYWHERE}),
        (SAME_ID_ELSEWHERE, {SAME_ID_ELSEWHERE, OTHER_GUILD, ANYWHERE}),
        (ANYWHERE, {ANYWHERE}),
    ],
)
def test_a_place_hears_only_what_all_its_readers_could_have_heard(place: Audience, hears: set[Audience]):
    assert {said_in for said_in in ALL if place.may_hear(str(said_in))} == hears


@given(audiences)
def test_the_written_form_comes_back(audience: Audience):
    assert Audience.parse(str(audience)) == audience


@given(audiences, audiences)
def test_nobody_but_the_owner_hears_what_was_said_privately(place: Audience, said_in: Audience):
    if place != OWNER and said_in == OWNER:
        assert not place.may_hear(str(said_in))


@pytest.mark.parametrize(
    "text", ["", "guild", "guild:x", "guild:1:2", "channel:1", "owner:1", "GUILD:1", "guild:-1", "guild: 1", "everyone"]
)
def test_what_is_not_an_audience_is_refused(text: str):
    with pytest.raises(InvalidInputError):
        Audience.parse(text)


@pytest.mark.parametrize(
    ("place", "account"),
    [(OWNER, "owner:42"), (ANYWHERE, "owner:42"), (GUILD, "1"), (STAFF, "1"), (Audience.channel(0, 10), "owner:42")],
)
def test_a_server_pays_for_all_that_is_said_in_it_and_elsewhere_everybody_for_themselves(place: Audience, account: str):
    assert place.account_of("42") == account
    assert is_persons_account(account) == (place not in {GUILD, STAFF})


def test_an_unreadable_audience_is_heard_by_the_owner_only():
    assert OWNER.may_hear("nonsense")
    assert not any(place.may_hear("nonsense") for place in ALL if place != OWNER)
