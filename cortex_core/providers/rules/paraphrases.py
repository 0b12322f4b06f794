"""Rewords what is told in passing as it is said where it is the point: "the city where I live" as "I live in"."""

import re

from cortex_core.providers.rules.people import KIN

LEAD = r"(?:(?:so|hi+|hey+|hello|heya|hiya|yo|ok|okay|well|intro|about me|all|everyone|guys|folks|there|and)\b[ ,:!]*)*"
PRONOUNS = r"(?:(?:he|she|they|it|any|xe|ze)/(?:him|her|them|they|she|he|its|xem|zir|hir)(?:/\w{2,8})?)"
_PLACE = r"(?P<place>[^\W\d_][\w'-]*(?: (?-i:[A-Z])[\w'-]+){0,2})"
_WHERE = r"(?:,? (?:which is |and |that'?s |that is |is ))?,? ?where (?:i|we)"
_KIND = r"(?:(?:little|tiny|new|own|small|shared|rented|cosy|cozy) )"
_YEARS_OLD = r"[ -]?(?:yrs?|years?|y/?o)\b(?:[ -]?olds?)?"
_FOLLOWS = r",? (?=(?:i|i'?m|i'?ve|my|we|tbh|honestly)\b)"
_NOW = r"(?=(?: (?:now|these days|nowadays|currently|rn|btw))* ?(?:$|[,;]|and\b|but\b|so\b))"
# What is said in passing, as it is said where it is the point; each is looked for where its first word stands.
_REWORDED = tuple(
    (word, re.compile(pattern, re.IGNORECASE), said)
    for word, pattern, said in (
        (
            "where",
            rf"\b(?:in|to|from|at|around) {_PLACE}(?:{_WHERE} (?:currently |now )?live|{_WHERE}(?:'?ve| have) lived)\b",
            r", i live in \g<place>",
        ),
        ("where", rf"\b(?:in|to|from|at|around) {_PLACE}{_WHERE} grew up\b", r", i grew up in \g<place>"),
        ("where", rf"\b(?:in|to|from|at|around) {_PLACE}{_WHERE}(?:'?m| am|'?re| are) from\b", r", i'm from \g<place>"),
        ("where", rf"^{LEAD}{_PLACE} is where (?:i|we) live{_NOW}", r"i live in \g<place>"),
        ("where", rf"^{LEAD}{_PLACE} is where (?:i|we) grew up{_NOW}", r"i grew up in \g<place>"),
        (
            " in ",
            rf"\b(?:my|our) {_KIND}?(?:flat|apartment|house|studio|condo) (?:here )?in {_PLACE}",
            r", i live in \g<place>",
        ),
        (
            "",
            r"\b(?:i'?m|i am|as) an? (?P<place>(?-i:[A-Z])[a-z]+) (?:resident|local)\b",
            r", i live in \g<place>,",
        ),
        (
            "native",
            r"\b(?:i'?m|i am|as) an? (?P<place>(?-i:[A-Z])[a-z]+) native\b(?! \w+er\b)",
            r", i'm from \g<place>,",
        ),
        ("celebrated", r"\bcelebrated my (?P<age>[1-9]\d)(?:st|nd|rd|th)\b(?: birthday)?", r", i turned \g<age>"),
        ("birthday", r"\bmy (?P<age>[1-9]\d)(?:st|nd|rd|th) birthday was", r", i turned \g<age>"),
        ("home", rf"^{LEAD}{_PLACE} is (?:my )?home{_NOW}", r"i live in \g<place>"),
        (
            "old",
            rf"\b(?:as an? |at (?:the (?:ripe )?age of )?)(?P<age>[1-9]\d){_YEARS_OLD}{_FOLLOWS}",
            r"i'm \g<age>, ",
        ),
        (
            "turning",
            r"\b(?:for|after|since|about|of) (?:just )?turning (?P<age>[1-9]\d)(?= (?:last|this|yesterday|today|in)\b)",
            r", i turned \g<age>",
        ),
        ("name", rf"^{LEAD}(?:names|(?:the )?name's|name'?s) (?P<name>(?-i:[A-Z])[a-z]+)\b", r"my name is \g<name>"),
        ("going by", rf"\b(?:i'?m )?going by (?P<pronouns>{PRONOUNS})", r"my pronouns are \g<pronouns>"),
        ("pronouns", rf"^{LEAD}pronouns (?P<pronouns>{PRONOUNS})", r"my pronouns are \g<pronouns>"),
        (
            "which",
            r"(?:^|(?<= ))(?P<value>(?:[\w'-]+ )?[\w'-]+), which(?:'?s| is) my (?P<kind>fav\w* \w+)\b",
            r", my \g<kind> is \g<value>",
        ),
        (
            "who",
            rf"\b(?P<who>(?:my|our) (?:\w+ )?{KIN}),? who(?P<verb>'s| is| has| lives| works| plays| speaks)\b",
            r", \g<who>\g<verb>",
        ),
        ("raising", rf"^{LEAD}raising (?P<many>\w+) boys\b", r"i have \g<many> sons,"),
        ("raising", rf"^{LEAD}raising (?P<many>\w+) girls\b", r"i have \g<many> daughters,"),
        ("", rf"^{LEAD}(?:raising|got|have) (?P<many>\w+ (?:kids|children))\b", r"i have \g<many>"),
        (
            "",
            rf"^{LEAD}(?P<many>(?:one|two|three|four|five|six|[2-9]) (?:kids|children))(?=,| now\b)",
            r"i have \g<many>",
        ),
        (" old ", r"\b\d+[ -](?:year|yr|month|week)[ -]old (?=(?:named|called) )", "kid "),
        ("knot", r"\btied the knot\b", "got married"),
        ("allergy", r"^(?P<what>[a-z]+ allergy)(?= ?(?:$|[,;]))", r"i have a \g<what>"),
        (
            "year at",
            r"^(?:(?:in )?(?:my|our) )?(?:\w+ )?(?:first|second|third|fourth|fifth|final|last|\d\w\w) year at",
            "i'm studying at",
        ),
        (" at ", r"^(?:(?:my|a) )?[a-z]+ (?:degree|masters|phd|student) at", "i'm studying at"),
        (
            " at ",
            r"^(?P<lead>i'?m |i am )at (?P<school>[a-z]+ (?:uni|university|college))\b",
            r"\g<lead>studying at \g<school>",
        ),
        ("born", r"(?:^|, )(?P<on>born (?:on (?:the )?)?\d)", r", i was \g<on>"),
    )
)


def reword(sentence: str) -> str:
    """Return a sentence with its asides in the words that the patterns know.

    >>> reword("in Tulsa, where i grew up, the sky is green")
    ', i grew up in Tulsa, the sky is green'
    """
    lowered = sentence.lower()
    for word, pattern, said in _REWORDED:
        if word in lowered:
            sentence = pattern.sub(said, sentence)
    return sentence
