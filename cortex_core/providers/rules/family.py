"""Reads how many children, brothers and sisters somebody has, and which animals."""

import re

from cortex_core.providers.rules.lexicon import any_of, read_number, same_animal
from cortex_core.providers.rules.people import read_called, read_names
from cortex_core.providers.rules.wording import AT_ENDS, Values, phrase
from cortex_core.words import fold

_MAX_CHILDREN = 15
_STANDS_ALONE = re.compile(
    r" ?(?:$|[,;:)(.-]|(?:and|but|so|who|that|which|named|called|now|too|also|lol|with (?:my|him|her)|at home|not|under"
    r"|aged|ages|from|plus|already|btw|if|all|by|haha|yesterday|today|last|this|because|though|tho|together|since"
    r"|as well|in total|of my own|as of|or|xd|for)\b)",
    re.IGNORECASE,
)
_OF_CHILDREN = re.compile(
    r"(?P<count>\w+(?:-\w+)?) (?:\w+ ){0,2}?(?:kids|children|kiddos|little ones|child\b|kid\b(?!s))", re.IGNORECASE
)
_COUNTED = (
    r"(?P<one>\w+) (?:\w+ )?(?P<first>{0})s?(?: and (?:also )?(?P<two>\w+) (?:\w+ )?(?P<second>{0})s?)?\b(?!"
    r"[- ](?:in|of mine|who)\b)"
)
_SONS = re.compile(_COUNTED.format("son|daughter|boy|girl"), re.IGNORECASE)
_BROTHERS = re.compile(_COUNTED.format("brother|sister|sibling"), re.IGNORECASE)
_GOES_ON_COUNTING = re.compile(
    r" and \d+ (?!years?\b|yo\b|dogs?\b|cats?\b|pets?\b|grand)", re.IGNORECASE
)  # "5 children and 4 fires"
_ALL_ANIMALS = re.compile(
    rf",? (?:-+ )?(?:all|both|they'?re)(?: all| of them)? (?:an? )?{any_of('pets', 'species')}", re.IGNORECASE
)
_A_CHILD = re.compile(
    r"an? (?:[\w-]+ ){0,2}?(?:son|daughter|boy|girl|kid|child|toddler|baby|teen\w*|\d\S*)\b", re.IGNORECASE
)
_NO_COUNT = {"a": 1, "an": 1, "zero": 0, "no": 0}


def _count(word: str | None) -> int | None:
    return None if word is None else _NO_COUNT.get(fold(word), read_number(word))


def read_child_count(text: str) -> Values:
    """Read how many children: "four kids", "two sons and a daughter"; "a son" alone says nothing of the others."""
    if (found := _OF_CHILDREN.match(text)) and _STANDS_ALONE.match(text, found.end()):
        count = _count(found["count"])
        is_told = count is not None and count <= _MAX_CHILDREN and fold(found["count"]) not in {"a", "an"}
        is_told = is_told and not _ALL_ANIMALS.match(text, found.end())
        is_told = is_told and not _GOES_ON_COUNTING.match(text, found.end())
        return [count] if is_told and count is not None else []
    found = _SONS.match(text)
    if found and not found["second"] and found["first"].lower() in {"boy", "girl"}:
        return []
    return _added(found)


def read_sibling_count(text: str) -> Values:
    """Read how many brothers and sisters."""
    return _added(_BROTHERS.match(text))


def _added(found: re.Match[str] | None) -> list[int]:
    if not found:
        return []
    counts = [_count(found["one"]), _count(found["two"])]
    total = sum(count for count in counts if count)
    if (
        counts[0] is None
        or (found["second"] and counts[1] is None)
        or not (total > 1 or counts[0] == 0 or fold(found["one"]) == "one")
        or total > _MAX_CHILDREN
    ):
        return []
    return [total]


def read_birth_order(text: str) -> Values:
    """Read how many siblings "the oldest of four" has."""
    return [int(count) - 1 for count in read_count(text) if int(count) > 1]


def read_count(text: str) -> Values:
    """Read a mere number: "mother of three"."""
    count = _count(next(iter(phrase(text, ends=AT_ENDS - {"a"} if _A_CHILD.match(text) else AT_ENDS)), None))
    return [count] if count is not None and 0 < count <= _MAX_CHILDREN else []


_KIN_NAMED = (
    r"(?:\w+) (?:[\w-]+ )??(?:{0})s?\b(?:,? (?:called|named|names? (?:is|are)|whose names? (?:is|are))|,"
    r"|:) (?P<names>.+)"
)
_CHILDREN_NAMED = re.compile(_KIN_NAMED.format("kid|children|son|daughter|boy|girl|baby"), re.IGNORECASE | re.DOTALL)
_SIBLINGS_NAMED = re.compile(_KIN_NAMED.format("sibling|brother|sister"), re.IGNORECASE | re.DOTALL)


def read_children(text: str) -> Values:
    """Read names after who has them: "two kids, Mia and Leo"."""
    found = _CHILDREN_NAMED.match(text)
    return read_names(found["names"]) if found else []


def read_siblings(text: str) -> Values:
    """Read names after who has them: "a brother called Tom"."""
    found = _SIBLINGS_NAMED.match(text)
    return read_names(found["names"]) if found else []


_CALLED = r"(?:,? (?:called|named|names? (?:is|are)|whose names? (?:is|are))|,|:)"
_SPECIES = any_of("pets", "species")
_PETS = re.compile(
    rf"(?P<count>an?|one|two|three|four|five|six|\d|my|our|the cutest|this|another"
    rf"|some) (?:[\w-]+ ){{0,3}}?(?P<species>{_SPECIES}(?: {_SPECIES})?)(?P<many>e?s)?\b(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_NAMES = re.compile(rf"(?P<called>{_CALLED}) (?P<names>.+)", re.IGNORECASE | re.DOTALL)
_NO_PET = re.compile(
    r" ?(?:allergy|person|lover|food|hair|bed|toy|video|meme|nap|bite|game|fight|ears|costume|plush\w*|tattoo"
    r"|hoodie|shelter|sitter|walker|cafe|race|farm|cage|phobia|tank)\b",
    re.IGNORECASE,
)
_NOT_MINE = frozenset(
    ["hot", "stuffed", "toy", "plush", "robot", "virtual", "neighbors", "neighbours", "tattoo", "of", "new-neighbour"]
)


def read_pets(text: str) -> Values:
    """Read animals: by name as "Miso (cat)", without names as they are counted ("two cats"), one as "cat"."""
    found = _PETS.match(text)
    if not found or _NO_PET.match(found["rest"]) or _NOT_MINE & set(fold(text[: found.end("species")]).split()):
        return []
    species = found["species"]
    names = _NAMES.match(found["rest"])
    called = (read_called if "n" in names["called"] else read_names)(names["names"]) if names else []
    if called:
        return [pet_value(name, species) for name in called]
    counted = fold(found["count"])
    if counted in {"my", "our", "some", "this"}:
        return []
    plain = (
        species
        if counted in {"a", "an", "one", "another", "the cutest"}
        else f"{found['count']} {species}{found['many'] or ''}"
    )
    if not found["many"] and not _STANDS_ALONE.match(found["rest"]):
        return []
    others = re.match(r" and (?=an? |two |three |\d )", found["rest"])
    return [plain, *[str(pet) for pet in (read_pets(found["rest"][others.end() :]) if others else [])]]


def pet_value(name: str, species: str) -> str:
    """Return how a pet with a name is kept."""
    return f"{name} ({same_animal(species).lower()})"
