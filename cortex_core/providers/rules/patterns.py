"""The table of patterns: in which words people declare something, attribute by attribute."""

from collections.abc import Callable

from cortex_core.providers.rules import family, people, person, places, tastes, work
from cortex_core.providers.rules.grammar import LOOSE, Pattern
from cortex_core.providers.rules.lexicon import any_of
from cortex_core.providers.rules.wording import Values

_NAMED = "(?:'s| is|s| are|:)"
_BIRTHDAY = "(?:birthday|bday|b-day|birthdate|date of birth|dob)"
_RELATION = r"(?: (?:happily|newly|recently|very much|legally|finally))?"
_STARTED = r"(?:{I}|i'?ve|i have|we'?ve)(?: (?:just|recently|finally))*"
_WITHOUT_IT = r"(?:(?! (?:at|for)\b)[^,.]){2,40}"
_WITHOUT_AS = r"(?:(?! as\b)[^,.]){2,40}"
_HOURS = r"(?: (?:full|part)[- ]?time| remotely| freelance| nights| days)?"
_OF_CHILDREN = (
    r"(?: an?| the)?(?: proud| single| stay[- ]at[- ]home| busy| tired)* (?:mom|mum|mother|dad|father|parent"
    r"|mama|papa|momma)"
)

# Who somebody is ------------------------------------------------------------------------------------------------------
_PERSON = (
    Pattern(
        "name",
        r"my (?:(?:real|actual|full|first|given|legal|new) )?name(?:'?s| is|:)(?: (?:legally|officially"
        r"|actually|now))*",
        people.read_name,
        of_others=False,
    ),
    Pattern(
        "name",
        r"{I} (?:officially |legally )?changed my name(?: officially| legally)? to",
        people.read_parted_name,
        of_others=False,
    ),
    Pattern("name", r"{am} (?:called|named)", people.read_name, of_others=False),
    Pattern("name", "{am}", people.read_bare_name, LOOSE, of_others=False),
    Pattern("name", "{am}", people.read_greeting_name, LOOSE, of_others=False, in_greetings=True),
    Pattern("nickname", r"(?:you|u|y'?all|people|everyone) can call me", people.read_nickname, of_others=False),
    Pattern(
        "nickname",
        r"(?:(?:you can|u can|please|pls|just|everyone|everybody|people|friends|my friends|most people|they|all"
        r"|y'?all can|my family|usually|mostly|irl|in real life|at work|at home|at school|online|on here|else"
        r"|still) )*calls? me",
        people.read_said_nickname,
        of_others=False,
    ),
    Pattern(
        "nickname",
        r"{I}(?: (?:usually|mostly|normally))? go by(?! (?:he|she|they|it|any|xe|ze)\b)",
        people.read_nickname,
        of_others=False,
    ),
    Pattern("nickname", rf"my nickname{_NAMED}", people.read_name, of_others=False),
    Pattern(
        "nickname", r"i(?:'d)? prefer (?:to be called|being called|to go by)", people.read_nickname, of_others=False
    ),
    Pattern("pronouns", r"{my} (?:preferred )?pronouns(?: are|'re|:|'s| is)?", person.read_pronouns),
    Pattern("pronouns", r"{I} (?:use|uses|go by|goes by|prefer|prefers)(?: the pronouns)?", person.read_pronouns),
    Pattern("pronouns", r"(?:{am}|pronouns(?: are)?)", person.read_pronouns),
    Pattern("age", r"{am}(?: (?:turning|now|only|about to be))?", person.read_age),
    Pattern("age", "{am} an?", person.read_years),
    Pattern("age", r"{I}(?: (?:just|recently|have|'ve))* turned", person.read_age),
    Pattern("age", r"(?:{am}|{I} turned)(?: now| only)?", person.read_age_of_other, of_speaker=False),
    Pattern("age", rf"{{my}} age{_NAMED}", person.read_age),
)
# Where ----------------------------------------------------------------------------------------------------------------
_PLACES = (
    Pattern(
        "location",
        r"{I} live{s}(?: (?:here|alone|happily|over here|up|down|out|with my \w+(?: and \w+)?))? (?:in|over in)",
        places.read_place,
    ),
    Pattern(
        "location",
        r"{am}(?: (?:living|based|located|residing|settled))(?: (?:here|out|up|down|over))? (?:in|out of|out in)",
        places.read_place,
    ),
    Pattern(
        "location",
        r"(?:{been} in(?=.* (?:since (?:(?:19|20)\d\d|\w+(?:uary|ember|ober)\b|march|april|may|june|july|august|last)"
        r"|for (?:\w+ ){0,2}(?:years|months)))|{been} living in|i(?:'?ve"
        r"| have)(?: always)? lived in)(?=.* (?:since|for|all my life|my whole life)\b)",
        places.read_place,
    ),
    Pattern("location", r"{I} reside{s} in", places.read_place),
    Pattern("location", r"{I} live{s}(?: (?:out|up|down|over|somewhere))?", places.read_nearby),
    Pattern(
        "location",
        r"(?:{I}|i'?ve|i have|we'?ve)(?: (?:just|recently|finally))* (?:moved|relocated"
        r"|settled(?: down)?(?= in\b)|emigrated"
        r"|immigrated)(?: (?:back|over|out|up|down|here|house|away))*(?: from [^,.]{2,30}?)? (?:to"
        r"|(?<=settled )in|(?<=settled down )in)",
        places.read_place,
        tells_when=True,
    ),
    Pattern("location", rf"{{my}} (?:(?:current )?location|home ?city|current city){_NAMED}", places.read_place),
    Pattern("hometown", r"{am}(?: (?:originally|proudly|born))? from", places.read_place),
    Pattern("hometown", "{am}", work.read_origin, LOOSE),
    Pattern("hometown", r"{I}(?: originally)? (?:come{s}|came|hail{s})(?: originally)? from", places.read_place),
    Pattern("hometown", rf"{{my}} (?:hometown|home town){_NAMED}", places.read_place),
    Pattern(
        "hometown", r"{I}(?: (?:mostly|actually))? grew up(?: (?:around|over|down|up|out|here))? in", places.read_place
    ),
    Pattern(
        "hometown",
        r"(?:{I}(?: was| were)?|{am}) (?:born and (?:raised|bred)|raised|born & raised|born n raised) in",
        places.read_place,
    ),
    Pattern("hometown", r"(?:{I}(?: was| were)|{am}) born in", places.read_place, LOOSE),
    Pattern(
        "timezone", rf"{{my}} (?:time ?zone|tz)(?:{_NAMED}| changed to| switched to)(?: now)?", places.read_timezone
    ),
    Pattern("timezone", r"{am}(?: (?:in|on)(?: the)?)?", places.read_timezone),
)
# Work and school ------------------------------------------------------------------------------------------------------
_WORK = (
    Pattern("job", "{am}", work.read_occupation),
    Pattern("job", r"{am}(?: in [^,.]{2,25}?)? (?:working|employed)" + _HOURS + " as", work.read_job),
    Pattern("job", "{I} (?:work{s}" + _HOURS + "|make{s} a living) as", work.read_job),
    Pattern("job", rf"(?:{{I}} work{{s}}|{{am}} working) (?:at|for|in) {_WITHOUT_AS}? as", work.read_job),
    Pattern("job", rf"{{my}} (?:day ?job|job|profession|occupation|job title){_NAMED}(?: as)?", work.read_job),
    Pattern(
        "job",
        _STARTED + r" (?:started|got|landed|found)(?: an?)?(?: new)?(?: (?:job|work|working|gig|position|role))? as",
        work.read_job,
        tells_when=True,
    ),
    Pattern(
        "job",
        _STARTED + r" (?:became|got promoted to|got hired as|was promoted to|qualified as)",
        work.read_occupation,
        tells_when=True,
    ),
    Pattern("job", r"{been}(?: working as)?", work.read_occupation),
    Pattern("job", r"{I} work{s} in", work.read_field, LOOSE),
    Pattern("job", r"{I}", work.read_trade, LOOSE, of_others=False),
    Pattern("job", "{am}", work.read_out_of_work, of_others=False),
    Pattern("employer", r"{I} work{s}" + _HOURS + " in", work.read_workplace, LOOSE),
    Pattern("employer", r"{I} work{s}" + _HOURS + r"(?: over)? (?:at|for)", work.read_employer),
    Pattern("employer", r"{am} (?:working|employed)" + _HOURS + " (?:at|for|by)", work.read_employer),
    Pattern("employer", r"{been} (?:working )?(?:at|for|with)", work.read_named_employer),
    Pattern(
        "employer",
        rf"(?:{{I}} work{{s}} as|{{am}}(?: working as)?) an? (?![^,.]*\bstudent){_WITHOUT_IT}? (?:at|for|with)",
        work.read_named_employer,
        LOOSE,
    ),
    Pattern(
        "employer",
        _STARTED + rf" (?:started|got)(?: an?)?(?: new)? job as an? {_WITHOUT_IT}? (?:at|for|with)",
        work.read_named_employer,
        tells_when=True,
    ),
    Pattern(
        "employer",
        _STARTED + r" started (?:working |work )?(?:at|for|with)",
        work.read_new_employer,
        tells_when=True,
    ),
    Pattern(
        "employer",
        _STARTED
        + (
            r" (?:joined|got(?: an?)?(?: new)? job (?:at|with)"
            r"|got hired (?:at|by)|started (?:my|a) (?:new )?job at|landed a job at)"
        ),
        work.read_named_employer,
        tells_when=True,
    ),
    Pattern("employer", rf"{{my}} employer{_NAMED}", work.read_employer),
    Pattern("school", r"{I} (?:go|goes) to(?: the)?", work.read_sure_school),
    Pattern("school", r"{I} attend{s}", work.read_school),
    Pattern("school", "{am} at", work.read_sure_school, LOOSE),
    Pattern(
        "school",
        r"(?:{I} stud(?:y|ies)|{am} studying|{am} doing (?:my|a|an)(?: \w+){1,2})(?: (?!at\b)[\w']+){0,4}? at",
        work.read_attended,
    ),
    Pattern(
        "school",
        r"{am} an? (?:(?!at\b)[\w-]+ ){0,3}?(?:student|undergrad|freshman|sophomore|junior|senior|postgrad) at",
        work.read_attended,
    ),
    Pattern("school", rf"{{my}} (?:school|uni|university|college){_NAMED}(?: called)?", work.read_school),
)
# Family and animals ---------------------------------------------------------------------------------------------------
_FAMILY = (
    Pattern("relationship", r"{am}" + _RELATION, person.read_relationship),
    Pattern("relationship", _STARTED + " got" + _RELATION, person.read_relationship, tells_when=True),
    Pattern("relationship", "{been}" + _RELATION, person.read_relationship),
    Pattern(
        "partner",
        r"{am}"
        + _RELATION
        + (
            r" (?:married to|engaged to|dating|seeing|going out with)(?: (?:a|this) (?:\w+ )?(?:guy|girl|man|woman"
            r"|dude|person))?(?: (?:named|called))?"
        ),
        people.read_partner,
    ),
    Pattern("partner", r"{I} (?:just )?(?:married|got (?:married|engaged) to)", people.read_partner, tells_when=True),
    Pattern("partner", r"{been} (?:dating|seeing|engaged to|married to)", people.read_partner),
    Pattern("number of children", "{have}", family.read_child_count),
    Pattern(
        "number of children",
        r"(?:i|we)(?: do not|'?ve not| have not|\s?don'?t| haven'?t)(?: have| got)?(?: any)? (?:kids"
        r"|children)(?! (?:of|right)\b)",
        lambda _: [0],
        of_others=False,
    ),
    Pattern("number of children", "{am}" + _OF_CHILDREN + " (?:of|to)(?: the)?", family.read_count),
    Pattern("number of siblings", "{have}", family.read_sibling_count),
    Pattern("number of siblings", r"{am} an only child", lambda _: [0]),
    Pattern(
        "number of siblings",
        r"{am} (?:the )?(?:oldest|eldest|youngest|middle)(?: child| kid)? of",
        family.read_birth_order,
        LOOSE,
    ),
    Pattern(
        "number of siblings",
        r"(?:i|we)(?: do not|\s?don'?t| haven'?t)(?: have| got)?(?: any)? (?:siblings|brothers or sisters)",
        lambda _: [0],
        of_others=False,
    ),
    Pattern("children", "{have}", family.read_children),
    Pattern("siblings", "{have}", family.read_siblings),
    Pattern("pets", "(?:{have}|{I} own{s})", family.read_pets),
    Pattern(
        "pets",
        r"(?:{I}|i'?ve|we'?ve)(?: (?:just|recently|finally))* (?:adopted|got|rescued)(?: (?:myself|us))?",
        family.read_pets,
        tells_when=True,
    ),
)
# What somebody eats, speaks and does ----------------------------------------------------------------------------------
_WAYS = (
    Pattern(
        "diet",
        r"{am}(?: (?:strictly|strict|on|eating))*(?: an?)?(?: (?:strict|lifelong|proud|committed))?",
        person.read_diet,
    ),
    Pattern(
        "diet",
        _STARTED + r" (?:went|became|turned|switched to|started eating|gone)(?: fully| an?)?",
        person.read_diet,
        tells_when=True,
    ),
    Pattern(
        "diet",
        r"i(?:'?ve| have)(?: (?:just|recently))* (?:gone|become|turned)(?: an?)?",
        person.read_diet,
        tells_when=True,
    ),
    Pattern("diet", r"{been}(?: (?:on|eating))?(?: an?)?", person.read_diet),
    Pattern("diet", r"{I} (?:eat|keep|follow){s}(?: only| strictly| an?)*", person.read_diet),
    Pattern("diet", rf"{{my}} diet{_NAMED}", person.read_diet),
    Pattern("languages", r"{I}(?: can)? speak{s}(?: (?:fluent|fluently|mainly|mostly))?", tastes.read_languages),
    Pattern("languages", r"{am}(?: (?:fluent|bilingual|trilingual|proficient))+(?: in|:)?", tastes.read_languages),
    Pattern(
        "languages",
        rf"{{my}} (?:native language|first language|mother tongue|native tongue|main language"
        rf"|second language){_NAMED}",
        tastes.read_languages,
    ),
    Pattern("languages", r"{am} an? native(?= \w+ speaker)", tastes.read_languages),
    Pattern("instruments", r"{I} play{s}(?: (?:the|a bit of|a little|some))*", tastes.read_instruments),
    Pattern(
        "instruments",
        r"(?:i'?ve|i have) played(?: the)?(?=.* (?:since|for|all my life)\b)",
        tastes.read_instruments,
        of_others=False,
    ),
    Pattern("instruments", r"{been} (?:playing|learning|practi[sc]ing)(?: the)?", tastes.read_instruments),
    Pattern(
        "instruments",
        _STARTED + r" (?:took up|picked up|started (?:learning|playing))(?: the)?",
        tastes.read_instruments,
        tells_when=True,
    ),
    Pattern("hobbies", r"{I} play{s}(?: (?:competitive|casual|some|a lot of))?", tastes.read_games),
    Pattern("hobbies", r"{been} playing", tastes.read_games),
    Pattern(
        "hobbies", r"{I} (?:do|does|practi[sc]e{s}|go|goes)(?: (?:a lot of|some|lots of))?", tastes.read_habits, LOOSE
    ),
    Pattern("hobbies", r"{been}(?: (?:doing|into|practi[sc]ing))?", tastes.read_long_pastimes, LOOSE),
    Pattern(
        "hobbies",
        _STARTED + r" (?:took up|picked up|got into|started)",
        tastes.read_begun_pastimes,
        LOOSE,
        tells_when=True,
    ),
    Pattern("hobbies", r"{am}(?: (?:big|deep))? into", tastes.read_sports),
    Pattern(
        "hobbies",
        r"{my} (?:(?:main|biggest|other|only|new) )?(?:hobby|hobbies|pastimes?|passions?)(?: is| are|'s|:"
        r"| include| includes)",
        tastes.read_named_pastimes,
    ),
)
# What somebody likes --------------------------------------------------------------------------------------------------
_TASTES = (
    Pattern(
        "likes",
        r"{I} (?:love{s}|like{s}|enjoy{s}|adore{s})(?: (?:eating|drinking|listening to|playing(?= video)))?",
        tastes.read_likes,
    ),
    Pattern(
        "likes",
        r"{am}(?: an?)?(?: (?:big|huge|massive|real|die-?hard|total|major|such an?))* (?:fan of|obsessed with"
        r"|sucker for|in love with|crazy about|hooked on|into)(?: (?:eating|drinking))?",
        tastes.read_likes,
        LOOSE,
    ),
    Pattern(
        "dislikes",
        r"{I} (?:hate{s}|dislike{s}|despise{s}|detest{s}|loathe{s}|can'?t stand|cannot stand|can not stand"
        r"|can'?t bear)(?: (?:eating|drinking))?",
        tastes.read_likes,
    ),
    Pattern(
        "dislikes",
        r"{I} (?:don'?t|do not|doesn'?t|does not)(?: (?:really|particularly|even|actually))? (?:like|enjoy"
        r"|care for)(?: (?:eating|drinking))?",
        tastes.read_likes,
    ),
    Pattern(
        "dislikes",
        r"{am} not(?: an?)?(?: (?:big|huge|massive|really))*(?: an?)? (?:fan of|into|keen on)",
        tastes.read_likes,
    ),
    Pattern(
        "favorite {kind}",
        r"{my}(?: (?:all[- ]?time|absolute|personal|current|new))? (?:favou?rites?|favs?|faves?|favourtie"
        r"|favorit) (?P<kind>(?!thing|part|place to|one|of)\w+(?: (?!is|are|has|of)\w+)?)(?: (?:of all time"
        r"|ever))?(?:'s|:| is| are| has to be| has always been| would be| must be)(?: (?:still|now|probably|definitely"
        r"|always|def|prob|easily|currently|by far|hands down))*",
        tastes.read_favorite,
    ),
    Pattern(
        "allergies",
        r"{am}(?: (?:very|severely|deathly|highly|super|mildly|slightly|terribly|badly|sadly"
        r"|extremely))* allergic to",
        tastes.read_allergies,
    ),
    Pattern(
        "allergies",
        r"{have}(?: an?)?(?: (?:severe|bad|mild|serious|nasty|terrible|deadly"
        r"|slight))*(?= [\w-]+(?: [\w-]+)? allerg(?:y|ies))",
        lambda rest: [rest.split(" allerg")[0]],
    ),
    Pattern("allergies", r"{my} allergies(?: are|:)", tastes.read_allergies),
)
BIRTHDAYS = (
    Pattern(
        "birthday", r"mine(?:'?s| is)(?: (?:on|the))*(?= .*\b[a-z]{3,9} \d|.*\d)", lambda _: [], LOOSE, of_others=False
    ),
    Pattern("birthday", rf"tomorrow(?:'?s| is) (?:also )?my {_BIRTHDAY}", lambda _: [], of_others=False),
    Pattern(
        "birthday", rf"{{my}} {_BIRTHDAY}(?:'s| is|s|:| falls)?(?: (?:on|in|the|actually|coming up on))*", lambda _: []
    ),
    Pattern("birthday", rf"{_BIRTHDAY}(?:'s| is|:)(?: (?:on|the))*", lambda _: [], of_others=False),
    Pattern("birthday", r"{I} (?:was|were) born(?: (?:on|the))*", lambda _: []),
    Pattern(
        "birthday", rf"(?:it'?s|it is|today'?s|today is)(?: (?:actually|literally))? {{my}} {_BIRTHDAY}", lambda _: []
    ),
)
"""Apart from the others, for what they read depends on the day."""

PATTERNS = _PERSON + _PLACES + _WORK + _FAMILY + _WAYS + _TASTES

READERS: dict[str, Callable[[str], Values]] = {
    "name": people.read_name,
    "nickname": people.read_nickname,
    "pronouns": person.read_pronouns,
    "age": person.read_age,
    "location": places.read_place,
    "hometown": places.read_place,
    "timezone": places.read_timezone,
    "job": work.read_occupation,
    "employer": work.read_employer,
    "school": work.read_school,
    "partner": people.read_name,
    "relationship": person.read_relationship,
    "diet": person.read_diet,
    "number of children": family.read_count,
    "number of siblings": family.read_count,
    "children": people.read_names,
    "siblings": people.read_names,
    "languages": tastes.read_languages,
    "likes": tastes.read_likes,
    "dislikes": tastes.read_likes,
    "hobbies": tastes.read_named_pastimes,
    "instruments": tastes.read_instruments,
    "allergies": tastes.read_allergies,
}
"""What reads the value of an attribute where the pattern for it was left out, as in a correction."""

COUNTED = {
    "number of children": r"(?:kids|children|kid)",
    "number of siblings": r"(?:siblings|brothers|sisters)",
}
ANIMAL = any_of("pets", "species")
