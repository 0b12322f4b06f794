"""What questions in five languages ask about time, as a Wednesday afternoon in Berlin sees it."""

import re
import time
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cortex_core.recall.timeframe import Timeframe, read_timeframe
from cortex_core.recall.timewords import LANGUAGES, Language

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 18, 15, 30, tzinfo=BERLIN)


def a_range(text: str, *, newest: bool = False) -> Timeframe:
    """Read "2026-11-17" as that day, and "since/until" with either end left out."""
    if "/" not in text:
        day = datetime.fromisoformat(text).replace(tzinfo=BERLIN)
        return Timeframe(day, day + timedelta(days=1), newest)
    since, until = (datetime.fromisoformat(end).replace(tzinfo=BERLIN) if end else None for end in text.split("/"))
    return Timeframe(since, until, newest)


RANGES = {
    # English
    "What did I say today?": "2026-11-18",
    "what did i eat YESTERDAY": "2026-11-17",
    "Who called the day before yesterday?": "2026-11-16",
    "What did I say this morning?": "2026-11-18T04/2026-11-18T12",
    "What happened this afternoon?": "2026-11-18T12/2026-11-18T19",
    "What did I dream last night?": "2026-11-17T18/2026-11-18T06",
    "Where was I yesterday evening?": "2026-11-17T17/2026-11-18",
    "What did we plan this week?": "2026-11-16/2026-11-23",
    "What did we talk about last week?": "2026-11-09/2026-11-16",
    "And the week before last?": "2026-11-02/2026-11-09",
    "What did I read this month?": "2026-11-01/2026-12-01",
    "last month's books": "2026-10-01/2026-11-01",
    "What was my goal this year?": "2026-01-01/2027-01-01",
    "Where did I live last year?": "2025-01-01/2026-01-01",
    "What did I do last weekend?": "2026-11-14/2026-11-16",
    "what did I cook over the weekend": "2026-11-14/2026-11-16",
    "What did I say 10 minutes ago?": "2026-11-18T15:15/2026-11-18T15:25",
    "What did I say two hours ago?": "2026-11-18T12:30/2026-11-18T14:30",
    "3 days ago I told you something, what was it?": "2026-11-15",
    "What did I say a couple of days ago?": "2026-11-15/2026-11-17",
    "What did I say a few days ago?": "2026-11-12/2026-11-17",
    "Where was I a week ago?": "2026-11-07/2026-11-16",
    "What was I doing two weeks ago?": "2026-10-31/2026-11-09",
    "What did I weigh 3 months ago?": "2026-08-03/2026-09-03",
    "Where did I work two years ago?": "2024-05-19/2025-05-21",
    "What have I said in the last 3 days?": "2026-11-15/",
    "What have I said in the past two weeks?": "2026-11-04/",
    "books I read over the last six months": "2026-05-18/",
    "What have I learned in the last year?": "2025-11-18/",
    "What has changed since last week?": "2026-11-09/",
    "What have I done since Monday?": "2026-11-16/",
    "What have I read since May?": "2026-05-01/",
    "Where have I lived since 2019?": "2019-01-01/",
    "Where did I live before 2020?": "/2020-01-01",
    "Where did I work before last summer?": "/2026-06-01",
    "Where did I live until May 2023?": "/2023-06-01",
    "What did I do after 3 May 2024?": "2024-05-04/",
    "What did I say on Monday?": "2026-11-16",
    "What did I say on Wednesday?": "2026-11-11",
    "What did I say last Friday?": "2026-11-13",
    "Who came on Tuesday evening?": "2026-11-17T17/2026-11-18",
    "What did I say this Monday?": "2026-11-16",
    "Where did I live in February?": "2026-02-01/2026-03-01",
    "Where was I in December?": "2025-12-01/2026-01-01",
    "What did I say in may?": "2026-05-01/2026-06-01",
    "Where did I live in May 2023?": "2023-05-01/2023-06-01",
    "May 2023 was when I moved where?": "2023-05-01/2023-06-01",
    "What did I do last May?": "2026-05-01/2026-06-01",
    "What did I do last November?": "2025-11-01/2025-12-01",
    "Where was I in May last year?": "2025-05-01/2025-06-01",
    "Who visited in 2019?": "2019-01-01/2020-01-01",
    "Where was I on May 5?": "2026-05-05",
    "Where was I on May 5th, 2023?": "2023-05-05",
    "Where was I on the 3rd of October?": "2026-10-03",
    "Where was I on 3 Oct 2024?": "2024-10-03",
    "Where was I on December 24?": "2025-12-24",
    "Where was I on February 29?": "2024-02-29",
    "Where was I on Monday, May 4?": "2026-05-04",
    "What did I say on 2024-02-29?": "2024-02-29",
    "What did I say on 2024/02/29?": "2024-02-29",
    "What did I do on 03/04/2023?": "2023-03-04",
    "What did I do on 23/04/2023?": "2023-04-23",
    "What did I do last summer?": "2026-06-01/2026-09-01",
    "Where did I go in the spring?": "2026-03-01/2026-06-01",
    "Where did I go in the summer of 2022?": "2022-06-01/2022-09-01",
    "Where was I in winter 2024?": "2024-12-01/2025-03-01",
    "What did I do between May and July?": "2026-05-01/2026-08-01",
    "Where did I live between 2019 and 2021?": "2019-01-01/2022-01-01",
    "What did I do between November and February?": "2025-11-01/2026-03-01",
    "What did I do between May and July 2023?": "2023-05-01/2023-08-01",
    "What did I do from Monday to Tuesday?": "2026-11-16/2026-11-18",
    "What did I say on Monday and on Tuesday?": "2026-11-16/2026-11-18",
    "After May and before July, where was I?": "2026-06-01/2026-07-01",
    "Where did I live at the end of March?": "2026-03-01/2026-04-01",
    # German
    "Was habe ich heute gesagt?": "2026-11-18",
    "Was habe ich heute Morgen gesagt?": "2026-11-18T04/2026-11-18T12",
    "Was habe ich heute früh gegessen?": "2026-11-18T04/2026-11-18T12",
    "Wo war ich gestern Abend?": "2026-11-17T17/2026-11-18",
    "Wo war ich vorgestern?": "2026-11-16",
    "Was habe ich letzte Nacht geträumt?": "2026-11-17T18/2026-11-18T06",
    "Was war letzte Woche?": "2026-11-09/2026-11-16",
    "Was habe ich diesen Monat gelesen?": "2026-11-01/2026-12-01",
    "Wo habe ich letztes Jahr gewohnt?": "2025-01-01/2026-01-01",
    "Was habe ich am Wochenende gemacht?": "2026-11-14/2026-11-16",
    "Was habe ich vor drei Tagen gesagt?": "2026-11-15",
    "Wo war ich vor zwei Wochen?": "2026-10-31/2026-11-09",
    "Wo war ich vor ein paar Tagen?": "2026-11-15/2026-11-17",
    "Was habe ich in den letzten drei Tagen gesagt?": "2026-11-15/",
    "Was mache ich seit zwei Wochen?": "2026-11-04/",
    "Was habe ich seit Montag gemacht?": "2026-11-16/",
    "Was habe ich am Montag gesagt?": "2026-11-16",
    "Was war letzten Freitag?": "2026-11-13",
    "Wo war ich im Mai?": "2026-05-01/2026-06-01",
    "Wo war ich im MÄRZ 2023?": "2023-03-01/2023-04-01",
    "Wo war ich im Mai letzten Jahres?": "2025-05-01/2025-06-01",
    "Wo war ich am 3. Oktober?": "2026-10-03",
    "Wo war ich am 3. Oktober 2024?": "2024-10-03",
    "Wo war ich am 03.04.2023?": "2023-04-03",
    "Wo habe ich vor 2020 gewohnt?": "/2020-01-01",
    "Wo war ich im Sommer?": "2026-06-01/2026-09-01",
    "Wo wohnte ich 2019?": "2019-01-01/2020-01-01",
    "Was war zwischen Mai und Juli?": "2026-05-01/2026-08-01",
    "Wo habe ich bis Mai gewohnt?": "/2026-06-01",
    "In welchem Zimmer war ich Ende März?": "2026-03-01/2026-04-01",
    # Spanish
    "¿Qué dije hoy?": "2026-11-18",
    "¿Qué dije ayer?": "2026-11-17",
    "¿Qué comí ayer por la mañana?": "2026-11-17T04/2026-11-17T12",
    "¿Qué dije esta mañana?": "2026-11-18T04/2026-11-18T12",
    "¿Dónde estuve anteayer?": "2026-11-16",
    "¿Qué soñé anoche?": "2026-11-17T18/2026-11-18T06",
    "¿Qué dije la semana pasada?": "2026-11-09/2026-11-16",
    "¿Qué leí el mes pasado?": "2026-10-01/2026-11-01",
    "donde vivia el ano pasado": "2025-01-01/2026-01-01",
    "¿Qué hice el fin de semana pasado?": "2026-11-14/2026-11-16",
    "¿Qué dije hace tres días?": "2026-11-15",
    "¿Qué dije hace dos semanas?": "2026-10-31/2026-11-09",
    "¿Qué dije en los últimos 3 días?": "2026-11-15/",
    "¿Qué hice desde el lunes?": "2026-11-16/",
    "¿Qué dije el lunes?": "2026-11-16",
    "¿Qué dije el viernes pasado?": "2026-11-13",
    "¿Dónde vivía en mayo?": "2026-05-01/2026-06-01",
    "¿Dónde vivía en mayo de 2023?": "2023-05-01/2023-06-01",
    "¿Dónde estuve el 3 de octubre?": "2026-10-03",
    "¿Dónde estuve el 3 de octubre de 2024?": "2024-10-03",
    "¿Qué hice el 03/04/2023?": "2023-04-03",
    "¿Dónde vivía antes de 2020?": "/2020-01-01",
    "¿Dónde estuve el verano pasado?": "2026-06-01/2026-09-01",
    "¿Qué hice entre mayo y julio?": "2026-05-01/2026-08-01",
    "¿Dónde estuve a finales de marzo de 2023?": "2023-03-01/2023-04-01",
    # French
    "Qu'est-ce que j'ai dit aujourd'hui ?": "2026-11-18",
    "Qu’ai-je dit aujourd’hui ?": "2026-11-18",
    "Qu'est-ce que j'ai dit hier ?": "2026-11-17",
    "Où étais-je hier soir ?": "2026-11-17T17/2026-11-18",
    "Où étais-je avant-hier ?": "2026-11-16",
    "Qu'est-ce que j'ai dit ce matin ?": "2026-11-18T04/2026-11-18T12",
    "De quoi avons-nous parlé cet après-midi ?": "2026-11-18T12/2026-11-18T19",
    "Qu'ai-je fait la semaine dernière ?": "2026-11-09/2026-11-16",
    "Qu'ai-je lu le mois dernier ?": "2026-10-01/2026-11-01",
    "Où habitais-je l'année dernière ?": "2025-01-01/2026-01-01",
    "Qu'ai-je fait le week-end dernier ?": "2026-11-14/2026-11-16",
    "Qu'ai-je dit il y a trois jours ?": "2026-11-15",
    "Qu'ai-je dit il y a deux semaines ?": "2026-10-31/2026-11-09",
    "Qu'ai-je dit ces trois derniers jours ?": "2026-11-15/",
    "Qu'ai-je fait depuis lundi ?": "2026-11-16/",
    "Qu'est-ce que j'ai dit lundi ?": "2026-11-16",
    "Qu'ai-je dit vendredi dernier ?": "2026-11-13",
    "Où étais-je en mars ?": "2026-03-01/2026-04-01",
    "Où étais-je en août 2023 ?": "2023-08-01/2023-09-01",
    "Où étais-je le 1er mai 2023 ?": "2023-05-01",
    "Où étais-je le 03/04/2023 ?": "2023-04-03",
    "Où habitais-je avant 2020 ?": "/2020-01-01",
    "Où étais-je l'été dernier ?": "2026-06-01/2026-09-01",
    "Où étais-je en été ?": "2026-06-01/2026-09-01",
    "Qu'ai-je fait entre mai et juillet ?": "2026-05-01/2026-08-01",
    "Où étais-je fin mars ?": "2026-03-01/2026-04-01",
    # Russian
    "Что я говорил сегодня?": "2026-11-18",
    "Что я говорил сегодня утром?": "2026-11-18T04/2026-11-18T12",
    "Что я говорил вчера?": "2026-11-17",
    "Где я был вчера вечером?": "2026-11-17T17/2026-11-18",
    "Где я был позавчера?": "2026-11-16",
    "Что я делал на прошлой неделе?": "2026-11-09/2026-11-16",
    "Что я читал в прошлом месяце?": "2026-10-01/2026-11-01",
    "Где я жил в прошлом году?": "2025-01-01/2026-01-01",
    "Что я делал в прошлые выходные?": "2026-11-14/2026-11-16",
    "Что я говорил три дня назад?": "2026-11-15",
    "Что я говорил неделю назад?": "2026-11-07/2026-11-16",
    "Что я говорил пару дней назад?": "2026-11-15/2026-11-17",
    "Что я говорил 2 часа назад?": "2026-11-18T12:30/2026-11-18T14:30",
    "Что я говорил за последние три дня?": "2026-11-15/",
    "Что я делал с понедельника?": "2026-11-16/",
    "Что я говорил в понедельник?": "2026-11-16",
    "Что было в прошлую среду?": "2026-11-11",
    "Что было в прошлом мае?": "2026-05-01/2026-06-01",
    "Где я был в марте 2023 года?": "2023-03-01/2023-04-01",
    "Где я был 3 мая?": "2026-05-03",
    "Где я был 3 октября 2024 года?": "2024-10-03",
    "Где я был 03.04.2023?": "2023-04-03",
    "Где я жил до 2020 года?": "/2020-01-01",
    "Где я был прошлым летом?": "2026-06-01/2026-09-01",
    "Что было с 3 мая по 5 мая?": "2026-05-03/2026-05-06",
    "Где я работал в начале марта?": "2026-03-01/2026-04-01",
    "Где я был в мае прошлого года?": "2025-05-01/2025-06-01",
}

NEWEST = """
Where do I live now?|What is my current job?|What's the latest on my thesis?|Do I still live in Paris?
What am I reading these days?
What was the most recent film I saw?|What was the last film I mentioned?|What did I say last time?
What have I been up to lately?
What have I recently bought?|When did I last see Anna?|What was my last message?|Do I work there anymore?
Wo wohne ich jetzt?|Was ist mein aktueller Job?|Wohne ich immer noch in Berlin?|Arbeite ich noch bei Siemens?
Was war zuletzt?
Was war der letzte Film, den ich erwähnt habe?|Was habe ich neulich gekauft?|Wo arbeite ich zurzeit?
Was sagte ich beim letzten Mal?
¿Dónde vivo ahora?|¿Cuál es mi trabajo actual?|¿Todavía vivo en Madrid?|¿Aún trabajo allí?
¿Cuál fue la última película que vi?
¿Qué compré últimamente?|¿Sigo viviendo en Madrid?|¿Qué dije la última vez?|¿Qué leo hoy en día?
Où est-ce que j'habite maintenant ?|Quel est mon travail actuel ?|J'habite encore à Paris ?
Qu'ai-je acheté récemment ?
Quel est le dernier film que j'ai vu ?|Que lis-je en ce moment ?|Qu'ai-je dit la dernière fois ?
Где я живу сейчас?|Я всё ещё живу в Москве?|Какой последний фильм я смотрел?|Что я купил недавно?
Где я теперь работаю?
Что я читал в последнее время?|Что я сказал в последний раз?|Я до сих пор там работаю?
"""

SAY_NOTHING = """
What is my last name?|May I ask you something?|Who may know this?|It may be that I told you my name
Did I march in the protest?
Who is May?|Did I like the march?|What is the second film?|Did I fall in love?|Do I like spring rolls?
What is a spring in a watch?
Did I finish The Last of Us?|Where do I look for fun now and then?|Do I paint still life?
What present did Anna get me?
What did they buy me as a present?
What's my dog called?|Where do I live?|What is my favourite colour?|Which languages do I speak?
This may sound odd, but who am I?
Do you know my sister's name?|What is 24/7 support?|How do I install version 3.5.23?|Is 192.168.10.20 my address?
Did I write an essay in 2000 words?|Do I own a Windows 98 machine?|What did I pay, 1.5 or 2,000?
Do I like it in summer?
What am I doing tomorrow?|What do I do next Monday?|Do I work every Friday?|Do I work Monday to Friday?
Is it now that I learn it?
What did I say about time travel?|How many days does a sprint have?|When is my birthday?|What was the actual reason?
On that day, who won?
Wie heißt mein Hund?|Guten Morgen, wer bin ich?|Was mache ich morgen?|Was mache ich übermorgen?|Wer wohnt hier?
Warum bist du so still?
Weißt du noch, wie mein Hund heißt?|Was magst du noch?|Mag ich den Markt?|Wie heißt mein Mann?|Habe ich das vor?
Wer ist Herr Sommer?
Was steht in dem Buch?|Vor wem habe ich Angst?|Ist der Sommer schön?|Was ist mein Lieblingsessen?
Nach wem bin ich benannt?
¿Cómo se llama mi perro?|¿Qué hago mañana?|¿Quién es Marta?|¿Te gusta el mar?|¿Dónde está mi hermana?
¿Qué es lo que más me gusta?
¿Aun así me quieres?|¿Tengo once gatos?|¿Llego tarde?|¿Trabajo de lunes a viernes?|¿Quién vino del trabajo?
¿Cuál es mi color favorito?
Comment s'appelle mon chien ?|Où ai-je été ?|J'ai été malade ?|J'aime le foot, mais pourquoi ?
Quel présent ai-je reçu ?
Qui est ma sœur ?|Ai-je sept chats ?|Que fais-je le lundi ?|Que fais-je lundi prochain ?|C'est quoi un marché ?
Que fais-je demain ?
Qu'est-ce que j'aime manger ?|Où habite Avril ?|Suis-je avant tout un artiste ?|Depuis quand ai-je un chien ?
Как зовут мою собаку?|Это мой дом или моя квартира?|Кто такая Майя?|Что я делаю завтра?|Кто мой брат?
Какой мой любимый цвет?
С кем я живу?|До чего я договорился?|Что такое среда разработки?|Где лежит моя книга?|Сколько у меня лет опыта?
Я люблю марки?
"""


def lines_of(text: str) -> list[str]:
    return [question.strip() for line in text.strip().splitlines() for question in line.split("|")]


def in_words(phrase: str, language: Language, place: int) -> str:
    """Say a phrase with the first or last of its spellings, with what may be left out only if last."""
    phrase = re.sub(r"\[([^]]*)\]", (lambda match: match[1].split("|")[-1]) if place else "", phrase.removeprefix("~"))
    digits = {"year": "2024", "day_of_month": "9", "date": "2024-02-29", "any": "wug"}
    chosen = {slot: words.split()[place].split("|")[place].replace("_", " ") for slot, words in language.words.items()}
    said = " ".join(word.split("|")[place] for word in phrase.split())
    return re.sub(r"{(?:\w+:)?(\w+)}", lambda match: (chosen | digits)[match[1]], said)


@pytest.mark.parametrize(("question", "expected"), RANGES.items())
def test_a_range_is_read(question: str, expected: str):
    assert read_timeframe(question, NOW) == a_range(expected)


@pytest.mark.parametrize("question", lines_of(NEWEST))
def test_the_newest_is_asked_for(question: str):
    assert read_timeframe(question, NOW) == Timeframe(wants_newest=True)


@pytest.mark.parametrize("question", lines_of(SAY_NOTHING))
def test_a_question_without_time_is_open(question: str):
    assert read_timeframe(question, NOW).is_open


@pytest.mark.parametrize(
    ("language", "meaning", "phrase"),
    [
        pytest.param(language, meaning, phrase, id=f"{language.name} {phrase}")
        for language in LANGUAGES
        for meaning, phrases in language.phrases.items()
        for phrase in phrases
    ],
)
@pytest.mark.parametrize("place", [0, -1])
def test_every_phrase_of_the_tables_is_read(language: Language, meaning: str, phrase: str, place: int):
    question = f"{in_words(phrase, language, place)} ? {language.company}"

    timeframe = read_timeframe(question, NOW)

    if meaning == "newest":
        assert timeframe == Timeframe(wants_newest=True)
    elif place == 0 or meaning == "nothing":  # the last words of the lists may lie ahead
        assert timeframe.is_open == (meaning in {"nothing", "tonight"})


def test_the_newest_of_a_range_can_be_asked_for():
    assert read_timeframe("What's the latest I said this week?", NOW) == a_range("2026-11-16/2026-11-23", newest=True)


@pytest.mark.parametrize(
    "question",
    [
        "What did I do on 2023-02-30?",
        "What did I do on 0000-01-01?",
        "What did I do on 31 April?",
        "What did I do in 99999?",
        "What did I do 999999999 days ago?",
        "What did I do 999999999 years ago?",
        "What did I do 999999999 hours ago?",
        "What did I do in the last 999999999 months?",
        "What did I do on 9999-12-31?",
        f"What did I do {'9' * 5000} days ago?",
    ],
)
def test_times_that_no_calendar_has_say_nothing(question: str):
    assert read_timeframe(question, NOW).is_open


@pytest.mark.parametrize(
    "question", ["this evening", "tonight", "this Friday", "on 2030-01-01", "in May 2030", "in 2031"]
)
def test_what_lies_ahead_says_nothing(question: str):
    assert read_timeframe(question, NOW).is_open


def test_days_are_those_of_the_time_zone_of_the_question():
    late_in_berlin = datetime(2026, 11, 18, 23, 30, tzinfo=UTC)

    in_utc = read_timeframe("today", late_in_berlin)
    in_berlin = read_timeframe("today", late_in_berlin.astimezone(BERLIN))

    assert in_utc.since == datetime(2026, 11, 18, tzinfo=UTC)
    assert in_berlin.since == datetime(2026, 11, 19, tzinfo=BERLIN)
    assert in_berlin.since.tzinfo is BERLIN


def test_a_day_on_which_the_clocks_change_is_whole():
    day = read_timeframe("yesterday", datetime(2026, 10, 26, 9, tzinfo=BERLIN))

    assert day.since
    assert day.until
    assert day.until.astimezone(UTC) - day.since.astimezone(UTC) == timedelta(hours=25)


def test_hours_are_counted_through_a_change_of_the_clocks():
    asked_at = datetime(2026, 10, 25, 4, tzinfo=BERLIN)

    since = read_timeframe("4 hours ago", asked_at).since

    assert since
    assert asked_at.astimezone(UTC) - since.astimezone(UTC) == timedelta(hours=6)


MOMENTS = st.datetimes(
    timezones=st.sampled_from([UTC, BERLIN, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))]),
)
WORDS = sorted(
    {
        word.strip("[]{}~").replace("_", " ")
        for language in LANGUAGES
        for text in (
            *language.words.values(),
            *(
                phrase
                for table in (language.phrases, language.leads)
                for phrases in table.values()
                for phrase in phrases
            ),
            *language.links,
        )
        for word in text.replace("|", " ").split()
    }
    | {"1", "2", "31", "2024", "1900", "2024-02-29", "29", "999999999", "?"}
)


@given(st.text() | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), MOMENTS)
@example("\ud800 in may \ud800", NOW)
@example("²³ days ago ٣ days ago", NOW)
@example("today", datetime(9999, 12, 31, 12, tzinfo=UTC))
@example("last year", datetime(1, 1, 1, tzinfo=BERLIN))
@example("NACH/DEC", datetime(2000, 1, 1, tzinfo=UTC))
def test_any_text_is_read_alike_each_time_and_its_ends_are_in_order(question: str, asked_at: datetime):
    timeframe = read_timeframe(question, asked_at)

    assert timeframe == read_timeframe(question, asked_at)
    if timeframe.since and timeframe.until:
        assert timeframe.since.timestamp() < timeframe.until.timestamp()
    if timeframe.since:
        assert timeframe.since.timestamp() < asked_at.timestamp()


def month_of(language: str, month: int, form: int = 0) -> str:
    words = next(known.words["month"] for known in LANGUAGES if known.name == language)
    forms = words.split()[month - 1].split("|")
    return forms[min(form, len(forms) - 1)]


FORMATS = {
    "iso": lambda day: f"{day:%Y-%m-%d}",
    "slashes, from the year": lambda day: f"{day:%Y/%m/%d}",
    "dots": lambda day: f"{day.day}.{day.month}.{day.year}",
    "slashes, English": lambda day: f"what did I do on {day:%m/%d/%Y}",
    "slashes, French": lambda day: f"qu'ai-je fait le {day:%d/%m/%Y} ?",
    "day and month": lambda day: f"{day.day} {month_of('english', day.month)} {day.year}",
    "month and day": lambda day: f"{month_of('english', day.month).title()} {day.day}, {day.year}",
    "German": lambda day: f"am {day.day}. {month_of('german', day.month)} {day.year}",
    "Spanish": lambda day: f"el {day.day} de {month_of('spanish', day.month)} de {day.year}",
    "French": lambda day: f"le {day.day} {month_of('french', day.month)} {day.year}",
    "Russian": lambda day: f"{day.day} {month_of('russian', day.month, form=1)} {day.year} года",
}


@pytest.mark.parametrize("name", FORMATS)
@given(day=st.dates(date(1970, 1, 1), NOW.date()))
def test_a_date_reads_back_to_its_day(name: str, day: date):
    assert read_timeframe(FORMATS[name](day), NOW) == a_range(day.isoformat())


@pytest.mark.parametrize("asked_at", [NOW + timedelta(days=days) for days in range(0, 800, 37)])
@pytest.mark.parametrize(
    "question", ["on Monday", "in May", "last May", "last winter", "on 29 February", "last weekend"]
)
def test_what_has_no_year_lies_in_the_past_but_not_far(question: str, asked_at: datetime):
    timeframe = read_timeframe(question, asked_at)

    assert timeframe.since
    assert timeframe.until
    assert asked_at - timedelta(days=4 * 366) < timeframe.since <= asked_at


@pytest.mark.parametrize(
    "piece", ["in the last ", "a ", "5 ", "may 5 ", "since the ", "1-", "é", "9", "letzte ", "from may to "]
)
def test_long_text_is_read_in_a_blink(piece: str):
    question = (piece * 8000)[:8000]
    started_at = time.process_time()

    read_timeframe(question, NOW)

    assert time.process_time() - started_at < 0.5
