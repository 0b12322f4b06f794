"""Words as they are compared, and those that say little, in the languages that Cortex is measured in."""

import re
import unicodedata

QUESTION_MARKS = ("?", "\N{FULLWIDTH QUESTION MARK}", "\N{ARABIC QUESTION MARK}")

_WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """Return the text in lower case and without accents.

    >>> fold("José, ÉTÉ")
    'jose, ete'
    """
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize(
        "NFKD", text.casefold()
    ).casefold()  # again, for styled letters are plain only now
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def split_words(text: str) -> list[str]:
    """Return the folded words of a text in their order.

    >>> split_words("What's José's?")
    ['what', 's', 'jose', 's']
    """
    return _WORD.findall(fold(text))


_ENGLISH = """
a about after again all also am an and any are as at be because been before being but by can could did do does doing
don down for from had has have having he her here him his how i if in into is it its just ll m me might mine more
most my no nor not of off on or our out over own re s she should so some such t than that the their them then there
these they this those to too up us ve very was we were what when where which while who whom whose why will with
would you your ever tell know remember say said told mention mentioned talk talked called
"""
_GERMAN = """
aber als am an auch auf aus bei bin bis da dann das dass dein deine dem den der des dich die dir doch du ein eine
einem einen einer er es euch fur habe haben hast hat hatte hatten ich ihm ihn ihr ihre im in ist ja jetzt kann kein
keine man mein meine meinem meinen meiner mich mir mit nach nicht noch nur oder ob schon sein seine sich sie sind so
um und uns unser vom von vor war waren warum was weil welche welchem welchen welcher welches wem wen wenn wer werden
wie wir wird wo woher wohin zu zum zur gesagt erzahlt
"""
_SPANISH = """
a al algo ante como con cual cuales cuando cuanto de del desde donde dijo dije el ella ellos en entre era eran es
esa ese eso esta estaba estan este esto fue fueron ha habia han hay he la las le les lo los mas me mi mis muy ni no
nos o os para pero por porque que quien quienes se ser si sin sobre son soy su sus te tengo tiene tienen tu tus un
una uno y ya yo
"""
_FRENCH = """
a ai as au aux avec avait avez ce ces cet cette comment d dans de des dit du elle elles en es est et etait etaient
eu il ils j je l la le les leur leurs lui m ma mais me mes moi mon n ne nos notre nous on ont ou par pas pour
pourquoi qu quand que quel quelle quelles quels qui quoi s sa se ses son sont suis sur t ta te tes toi ton tu un une
vos votre vous y
"""
_RUSSIAN = """
а бы был была были было в вам вас ведь во вот все всего вы где да для до его ее ей ему если есть еще же за и из или
им их к как какая какие какой какое когда кого ком кому который кто куда ли меня мне мной мои мой моя мое мы на над
нас не него нее ней нет ни них но ну о об он она они оно от откуда по под почему при про с сам свой своя себя со так
также там те тебе тебя то тоже только том ты у уже чего чей чем что чтобы эта эти это этот я
"""

_ENGLISH_CONTENT = """
aux bin con den die dos era fur hat los main man mas mes par pas pour sea sera sin sind son sous ton uno une war
"""

STOP_WORDS = frozenset(split_words(_ENGLISH + _GERMAN + _SPANISH + _FRENCH + _RUSSIAN)) - set(_ENGLISH_CONTENT.split())
"""Folded, but for those that say something in English ("my son", "a hat", "the war")."""
