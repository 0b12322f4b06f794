"""Makes text fit for every tier."""


def clean_text(text: str) -> str:
    """Return the text without what no store can hold: NUL is dropped, halves of surrogate pairs become U+FFFD.

    By way of UTF-16, so that two surrogates which make up one character become that character.
    """
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
