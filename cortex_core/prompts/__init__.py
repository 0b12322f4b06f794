"""What language models are told: one typed function per task, the words in `templates/`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from string import Template


@dataclass(frozen=True, slots=True)
class Prompt:
    """Instructions, and the data that they are about; nothing that a user said stands in the instructions."""

    system: str
    user: str = field(repr=False)


def build_reply_prompt(*, name: str, memories: str, speaker: str, text: str) -> Prompt:
    """Build the prompt for a reply in a conversation.

    Args:
        name: The bot's own.
        memories: `MemoryContext.to_prompt_string()`; may be empty.
        speaker: The display name of whoever spoke.
        text: What they said.
    """
    said = json.dumps({"speaker": speaker, "says": text}, ensure_ascii=False)
    return Prompt(system=load_template("clara").substitute(name=name).strip(), user=f"{memories}\n\n{said}".strip())


def build_topic_prompt(*, task: str, topic: str, message: str) -> Prompt:
    """Build the prompt that asks whether a message goes on with the task at hand, CONTINUE, or not, SWITCH (TDD 9.2).

    Args:
        task: What is being done; may be empty.
        topic: What is being talked about; may be empty.
        message: What was said.
    """
    data = json.dumps({"task": task, "topic": topic, "message": message}, ensure_ascii=False)
    return Prompt(system=load_template("topic").substitute().strip(), user=data)


def build_schema_prompt(schema: Mapping[str, object]) -> str:
    """Build what asks for an answer as JSON, for servers that can't be held to a schema.

    Args:
        schema: What the answer has to fit, as a JSON schema.
    """
    return load_template("schema").substitute(schema=json.dumps(schema, ensure_ascii=False)).strip()


def build_repair_prompt(problems: Sequence[str], schema: Mapping[str, object]) -> str:
    """Build what asks once more for an answer that didn't fit.

    Args:
        problems: What was wrong with it.
        schema: What the answer has to fit, as a JSON schema.
    """
    listed = json.dumps(list(problems), ensure_ascii=False)
    return load_template("repair").substitute(problems=listed, schema=json.dumps(schema, ensure_ascii=False)).strip()


@cache
def load_template(task: str) -> Template:
    """Return the words for a task, with places that `substitute` fills."""
    return Template((files("cortex_core.prompts") / "templates" / f"{task}.md").read_text("utf-8"))
