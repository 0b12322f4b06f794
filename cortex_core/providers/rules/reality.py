"""Tells what isn't so, though it is said: irony, fiction, wishes, hearsay, questions, plans, and other languages."""

import re

from cortex_core.providers.rules.lexicon import any_of, words
from cortex_core.words import split_words

_MAX_FOREIGN_LETTERS = 0.3
_MIN_FOREIGN_WORDS = 2
_LAST_LATIN_LETTER = "\u024f"


def phrases(lines: str) -> str:
    """Return a group that is any of the phrases, which commas or ends of lines part; each may be a pattern."""
    return (
        "(?:"
        + "|".join(phrase.strip() for line in lines.split("\n") for phrase in line.split(", ") if phrase.strip())
        + ")"
    )


def _search(lines: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){phrases(lines)}(?!\w)", re.IGNORECASE)


_IRONY = r"""
/s, /j, /jk, /sarcasm, j/k, jk, jks, kidding, joking, sarcasm, sarcastic, sarcastically, yeah right, yeah\
right, said no ?one ever, april fools?, psych, as if, \U0001F643
""".replace(r"\,", ",?")
_FICTION = r"""
picture this, the moon, mars, outer space, atlantis, narnia, hogwarts, azeroth, hyrule, westeros, mordor, valhalla
the void
for the vibes, of vibes, you wouldn'?t know (?:her|him|them), not a real, they(?:'re| are) all, by \w+ i mean
proud owner of zero
(?:\d+|two|three|four|five|six|seven|eight|nine|ten|twelve) (?:wives|husbands|girlfriends|boyfriends|mothers|fathers)
asking for a friend, fellow humans, mortals, my uncle works at nintendo
the (?:fbi|cia|kgb|nsa|mafia|illuminati|government of)
two truths and (?:a|one) lie, never have i ever, truth or dare, would you rather
i(?:'?m| am) (?:a |an )?(?:robot|bot|clara|ai)
pov, (?:this|my|our|the|last) (?:round|run|match|playthrough|lobby|save|savegame|campaign|session|season of), elf, elves
dwar(?:f|ves), orcs?, goblins?, vampires?, werewol(?:f|ves), wizards?, witch(?:es)?, sorcer\w+, dragons?
(?:an?|the|your|brave|noble) knights?, paladins?
necromancers?, mermaids?, kingdoms?, realms?, thrones?, taverns?, swords?, potions?, mana, quests?, lore, backstory
villains?, centuries, immortal, spaceship, pirates?, haunted, demons?, emperor, duke, baron, princess, peasants?
raccoons?
(?:lvl|level) \d+, respawn\w*, spawn(?:ed|s)?, the village, lord \w+, (?:your|thy) majesty, \w+ years young, monologues?
role-?play\w*, in[- ]game
in th(?:e|is) (?:\w+ )?(?:game|movie|film|book|show|story|novel|anime|campaign|series), as my character, npc
my (?:\w+ ){0,2}(?:character|oc|avatar|persona|sim|avi|villager|paladin|rogue|wizard|bard|cleric)(?:'s|s)?
dungeon master, pretend\w*, imagin(?:e|ing)
in (?:minecraft|skyrim|the sims|animal crossing|stardew(?: valley)?|d&d|dnd|gta|wow|eve online|roblox)
(?:in )?(?:my|a|the) dreams?, (?:i'?m|i am|i'?ll be) playing (?:as )?(?:an?|the), once upon a time, plot of
i dream(?:t|ed), fan ?fic\w*, \(?(?:rp|ooc|ic)[:)]
"""
_WRITTEN_BY_OTHERS = r"""
lyrics?, song (?:goes|says|that goes), the song, copypasta, memes? (?:says|goes|like), quote:
prompts?, horoscope, the quiz, fortune cookie, script, trailer, subtitles?, quote, poem, novel, spam\w*, scam\w*
chatgpt
the (?:ad|email|e-mail|letter|poster|sign|narrator|text|message|form|bio|caption|tagline)
(?:tinder|dating|linkedin) (?:bio|profile)
as the saying goes, mom said it'?s my turn, and this is deep, trust me,? i'?m an?
call me ishmael, inigo montoya, slim shady
[\u266a\u266b\u266c].*
"""
_SARCASM = re.compile(
    r"(?:^|[.!?\n,] ?)(?:oh|ah|aw+|ugh|wow|yay|great|totally|clearly|obviously),? "
    r"(?:(?:but )?(?:sure|yes|yeah|yea|right|of course|great|totally)\b"
    r"|(?:how |boy |man )?(?:do )?i (?:just |really |totally |absolutely |so |do )*(?:love|adore|enjoy)\b)"
    r"|\b(?:i just|gotta|don'?t (?:you|u) just|i so) (?:love|adore)\b"
    r"|\((?:not|it isn'?t|isn'?t|they|i am|of|from (?-i:[a-z])\w*|ok not|well not|kidding|unpaid|metaphor\w*"
    r"|emotionally|spiritually|i|no)\b",
    re.IGNORECASE,
)
_UNREAL = _search(_IRONY + _FICTION + _WRITTEN_BY_OTHERS)
_NOT_AT_THE_END = re.compile(r"\bnot!+\s*$|\bjokes?[.! ]*$", re.IGNORECASE)
_LAUGH = r"(?:lol+|lmf?ao+|(?:ha){2,}h?|(?:he){2,}|xd+|rofl|:?p)"
_TAKES_ALL_BACK = re.compile(
    rf"\W*(?:(?:{_LAUGH}|ok(?:ay)?|no+|nah|naw|wait|sorry|but|omg|guys|alright|fine|oh|well|yeah|so|uh+|um+"
    rf"|ok so)[ ,.!]+)*"
    r"(?:(?:i'?m|i am|i was|was|that was|it was|that'?s|it'?s)(?: (?:just|only|totally|obviously|clearly))* )?"
    r"(?:(?:just|only|totally|obviously) )*"
    r"(?:jk+s?|j/k|/j|/s|kidding|joking|a joke|messing(?: with (?:you|u|ya|yall|y'all))?|trolling|teasing|not serious"
    r"|psych|sike|sarcasm|being sarcastic|pulling (?:your|ur) legs?|made (?:that|it|all of that) up|lying|i lied|a lie"
    r"|i made (?:that|it|all of that) up|(?:ignore|disregard|forget) (?:that|what i (?:just )?said|my last message)"
    r"|(?:my \w+|\w+) (?:was )?(?:on|using|stole|took|grabbed|had|got (?:on|into|hold of)) my (?:phone|laptop"
    r"|pc|computer|account"
    r"|keyboard|discord)(?: (?:this|earlier|just now|again|last)\b[^.!,]{0,20})?"
    rf"|not (?:really|actually|true)[ ,.!]+{_LAUGH}|no,? (?:i'?m|i am|i do|i did|i have|i was)(?: not|n'?t)"
    rf"|(?:none|not a word) of (?:that|this) (?:is|was) true)"
    rf"(?:[ ,.!]+(?:{_LAUGH}|though|tho|btw|ofc|of course|obviously|guys|clara|everyone|sorry|again))*"
    r"(?:\W*$|[,.!:;-]+| (?=(?:i'?m|i|my|we|it'?s|never|not|no|actually)\b))",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"^\W*(?:(?:lol|lmao|haha|ok|okay|no|nah|but),? )?(?:jk|jks|j/k|just kidding|just joking|kidding)[ ,.!:-]+(?=\w)",
    re.IGNORECASE,
)  # "jk, I'm 30" is meant, and what was said before was not
_SCRIPT = re.compile(r"^\w[\w ]{0,20}: .*\n\w[\w ]{0,20}: ", re.MULTILINE)  # "me: … / him: …"
_THEY_ARE = re.compile(
    rf"\bthey(?:'re| are) (?:all |both )?(?:\w+ )?(?:{any_of('pets', 'species')}|plant|duck|cacti|cactus"
    rf"|fern)(?:e?s)?\b",
    re.IGNORECASE,
)  # "I have three sons. They are ducks"
_MEME = re.compile(
    r"^[^\w\n]*(?:(?:absolutely |literally )?(?:nobody|no ?one)|me(?: (?:at|when|after|to|with|trying"
    r"|in)\b[^:\n]{0,60})?|also me"
    r"|(?:my|the) (?:brain|boss|doctor|therapist|mom|mum|cat|dog|teacher|villain))\s*: ?(?!\))",
    re.IGNORECASE | re.MULTILINE,
)
_SPOKEN = re.compile(  # "overheard: I have four kids"
    r"^[^:\n]{0,40}\b(?:guy|man|lady|woman|girl|kid|dude|person|boss|coworker|colleague|customer|waiter|teacher|neighbou?r"
    r"|friend|someone|people|him|her|them|mom|mum|dad|cat|dog|brain|unlocked|ad)\b[^:\n]{0,20}: ?"
    r"(?:i'?m|i am|i'?ve|i)\b"
    r"|^(?:teen|old|young|past|future|drunk|sleepy|\d+ year old|(?:\w+ )?diary|overheard|affirmations?"
    r"|manifesting)\b[^:\n]*:",
    re.IGNORECASE | re.MULTILINE,
)
_MUSIC = re.compile("[\u266a\u266b\u266c\U0001f3b5\U0001f3b6\U0001f643]")

_MARKS = (_UNREAL, _SARCASM, _NOT_AT_THE_END, _MUSIC)
_MARKS_WITH_COLON = (_SCRIPT, _MEME, _SPOKEN)

_FINE_IFS = _search(r"""
if (?:anyone|anybody)(?:'s| is)? (?:wondering|curious)
(?:in case|if) (?:you|u)(?:'re|'s| are| is|'d)? ?(?:ever |were |was )?(?:wonder\w*|curious|ask\w*)
(?:in case|if) (?:you|u|anyone|anybody) (?:wanna|wants?|needs?|must know|forgot|cares?|missed it|didn'?t know)
if (?:that|it) (?:helps|matters), if i remember (?:right|rightly|correctly)
""")
_SUPPOSED = _search(r"""
suppose, supposing, let'?s say, wish\w*, as though, hypothetical\w*, would'?ve, in theory, once i
(?<!which )according to, at heart, in spirit
in (?:my|a|an|another) (?:next |past |other |alternate |parallel )?(?:life|universe|world|timeline|reality|head|mind)
in disguise, for halloween, when i (?:was|were|lived|worked|used|grow|get|move|retire|turn|become|had|did)
back then, back when, back in the day, as a (?:kid|child|teen\w*|student|baby)
in my (?:teens|twenties|20s|childhood), honorary, might as well, feels? like, secretly, allegedly, used to think
for (?:a|the) (?:day|night|weekend|week|month|summer)
""")
_CONDITIONAL = _search(r"""
if, unless, no idea, not sure, dunno, don'?t know
until (?:last|i|we|recently|\d{4}), till (?:last|i|we|recently|\d{4})
""")
_AWAY = _search(r"""
holidays?, vacation, trip, visiting, airport, hotel, layover, conference, travel\w*, honeymoon, tour
""")
_TAKES_BACK = _search(r"""
(?:that'?s|that is|that was|it'?s|it was|is|was|which (?:is|was)|i was|i got (?:it|that)|got (?:that|it|my \w+)) wrong
(?:that'?s|that is|that was|is|was|which (?:is|was)) (?:a typo|a mistake|a lie|not (?:right|true|correct)|incorrect)
scratch that, correction, i misspoke, my mistake, i mistyped, i lied, ignore what i said
mixed (?:that|it|them|those|these) up, by mistake, i never said, i didn'?t say
""")
_FUTURE = _search(r"""
next (?:week|month|year|spring|summer|autumn|fall|winter|semester|term|\w+day), soon, tomorrow, will, gonna
going to, \w+'ll, starting (?:in|from|on)
in (?:a|two|three|four|five|six|a few|\d\d?) (?:days?|weeks?|months?|years?), someday, one day, eventually
by the end of
""")
_HEDGES = _search(r"""
i think, i guess, maybe, probably, prolly, perhaps, i suppose, i believe, possibly, might, supposedly
apparently, or something, or so, i reckon, kinda, kind of, sort of, sorta, iirc, afaik, more or less, mostly
""")

_MOSTLY_ELSE = re.compile(r", [^,]*?\bmostly\b(?: [\w']+)*", re.IGNORECASE)  # "I work for an NGO, rescue dogs mostly"

_SAYS = r"""
said, says, say, told, tells, thinks?, thought, claim(?:s|ed)?, goes, went like
(?:was|were|is|are) (?:all )?like, insist(?:s|ed)?, swears?, swore, believe[sd]?, assume[sd]?, joke[sd]?, wrote
texted, messaged, keeps? (?:saying|telling|joking), reckons?, (?:is|are) convinced, pretends?, suggested
"""
_HEARSAY = re.compile(
    r"(?<!\w)(?:(?:he|she|they|it|you|u|ppl|people|someone|everyone|everybody|somebody|who"
    r"|(?P<own>my (?:\w+ )?\w+(?: (?-i:[A-Z])\w+)?)|the \w+|a \w+|(?-i:[A-Z])\w+)"
    rf"(?: (?:just|always|once|also|still|literally|even|all|actually|jokingly))? {phrases(_SAYS)}"
    r"|i (?:told|convinced) (?:him|her|them|everyone|people|some\w+|(?:my|the) \w+))(?!\w)",
    re.IGNORECASE,
)

_LED = r"(?:(?:and|so|but|well|or|hey|ok|okay|wait|hmm?|btw|lol|also|like|clara|yo|oh|just|then|now),? ?\b)*"
_QUESTION = re.compile(
    _LED
    + phrases(r"""
whats?(?:'s)?, whos?(?:'s)?, wheres?(?:'s)?, when, why, hows?(?:'s)?, which, whose, wbu, hbu, do, does, did
don'?t, doesn'?t, didn'?t, am i, is, isn'?t, are, aren'?t, was, were, can, could, should, would, will, won'?t
have you, has, any(?:one|body), you, u, ur, yours?, yourself, got any, any \w+, tell me, remember
""")
    + r"(?!\w)",
    re.IGNORECASE,
)
_QUESTION_WITHOUT_MARK = re.compile(
    _LED
    + phrases(r"""
(?:what if|why|how come|how|who|where|what|when) (?:do|am|is|are|was|can|should|would|did)(?!\w).*
do (?:i|you|u|we), am i, should i, is my, is it, are my, can i, could i, did i, does my, does anyone, would i
guess (?:what|where|who|how) (?:i|my), have i
""")
    + r"(?!\w)",
    re.IGNORECASE,
)
_ENGLISH = frozenset(
    split_words(
        "I I'm I've my the is are am a in to of and have live work like love at for with on it you we this that name"
    )
)


def is_unreal(message: str) -> bool:
    """Tell whether a message is a joke, a tale or somebody else's words; then nothing in it counts."""
    message = _TAKEN_BACK.sub("", message)
    marks = _MARKS + (_MARKS_WITH_COLON if ":" in message else ()) + ((_THEY_ARE,) if "they" in message.lower() else ())
    return any(mark.search(message) for mark in marks)


def takes_all_back(message: str) -> bool:
    """Tell whether a message begins by saying that the one before it was not meant: "jk", "just kidding, I'm 30"."""
    return bool(_TAKES_ALL_BACK.match(message))


def is_supposed(sentence: str) -> bool:
    """Tell whether a sentence says what would be, seems to be or was, rather than what is."""
    return bool(_SUPPOSED.search(_FINE_IFS.sub(" ", sentence)))


def is_away(message: str) -> bool:
    """Tell whether a message is sent from a journey, so that where it comes from isn't home."""
    return bool(_AWAY.search(message))


def takes_back(sentence: str) -> bool:
    """Tell whether a sentence says that something was wrong, so that what comes next puts it right."""
    return bool(_TAKES_BACK.search(sentence))


def is_conditional(clause: str) -> bool:
    """Tell whether a clause depends on something, or says that its speaker doesn't know."""
    return bool(_CONDITIONAL.search(_FINE_IFS.sub(" ", clause)))


def is_future(text: str) -> bool:
    """Tell whether it is only going to be so."""
    return bool(_FUTURE.search(text))


def is_hedged(text: str) -> bool:
    """Tell whether the speaker isn't sure."""
    return bool(_HEDGES.search(_MOSTLY_ELSE.sub("", text)))


def before_hearsay(sentence: str) -> str:
    """Return what comes before the words of somebody else, with who that is ("my wife Ann" of "my wife Ann says …")."""
    heard = _HEARSAY.search(sentence)
    return sentence[: heard.end("own") if heard["own"] else heard.start()] if heard else sentence


def is_question(text: str) -> bool:
    """Tell whether what a question mark ends is a question by its own words; else the mark covers what is before."""
    return bool(_QUESTION.match(text))


def is_question_without_mark(sentence: str) -> bool:
    """Tell whether a sentence asks though no mark ends it."""
    return bool(_QUESTION_WITHOUT_MARK.match(sentence))


def is_foreign(sentence: str) -> bool:
    """Tell whether a sentence is in another language than English, by its letters and small words."""
    letters = [character for character in sentence if character.isalpha()]
    if sum(character > _LAST_LATIN_LETTER for character in letters) > _MAX_FOREIGN_LETTERS * len(letters):
        return True
    spoken = split_words(sentence)
    foreign = sum(word in words("foreign", "words") for word in spoken)
    return foreign >= _MIN_FOREIGN_WORDS and foreign >= sum(word in _ENGLISH for word in spoken)
