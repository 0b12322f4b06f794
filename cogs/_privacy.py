"""The dialog of `/memory privacy`, and how long a pause is."""

from datetime import UTC, datetime, time, timedelta
from typing import Literal
from weakref import WeakSet

import discord
from discord.ui import Button

from cortex_core import MemoryManager, Preferences

from ._errors import Interaction
from ._forgetting import ForgetEverything
from ._messages import owner_id_of
from ._projects import Confirmation
from ._views import OwnedView
from ._wording import count_of

Until = Literal["1 hour", "today", "7 days", "until I resume"]

FOR_EVER = datetime.max.replace(tzinfo=UTC)

_OPTED_OUT = (
    "You've opted out: I neither keep what you say nor recall it. What I kept before is still there, unheard; "
    "`/memory forget` erases it."
)
_OPTED_IN = "Welcome back: from now on I remember what you say."


def end_of_pause(until: Until, now: datetime) -> datetime:
    """Return when a pause that begins now ends; a day ends at midnight UTC, since Discord tells nobody's time zone."""
    match until:
        case "1 hour":
            return now + timedelta(hours=1)
        case "today":
            return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
        case "7 days":
            return now + timedelta(days=7)
        case _:
            return FOR_EVER


def pause_text(paused_until: datetime) -> str:
    """Return until when nothing is kept, as the end of a sentence."""
    if paused_until == FOR_EVER:
        return "until you use `/memory resume`"
    return f"until {discord.utils.format_dt(paused_until, 'f')}, or until you use `/memory resume`"


class Privacy(OwnedView):
    """Tells what is kept, why, how long and who hears it, and lets the person decide."""

    def __init__(
        self, interaction: Interaction, open_views: WeakSet[OwnedView], memory: MemoryManager, wishes: Preferences
    ) -> None:
        super().__init__(interaction, open_views)
        self._open_views = open_views
        self._memory = memory
        self._wishes = wishes
        self._relabel()

    async def ask(self) -> None:
        """Show it."""
        sees_leaving = self.interaction.client.intents.members
        await self.show(content=f"{_policy(self._memory, sees_leaving=sees_leaving)}\n\n{_describe(self._wishes)}")

    @discord.ui.button(custom_id="cortex:v1:privacy:private")
    async def keep_private(self, interaction: Interaction, _: Button["Privacy"]) -> None:
        """Turn it on or off."""
        await self.accept(interaction)
        owner, keeps_private = owner_id_of(interaction.user.id), not self._wishes.keeps_private
        self._wishes = await self._memory.change_preferences(owner, keeps_private=keeps_private)
        self._relabel()
        await self.ask()

    @discord.ui.button(custom_id="cortex:v1:privacy:digest")
    async def digest(self, interaction: Interaction, _: Button["Privacy"]) -> None:
        """Turn it on or off."""
        await self.accept(interaction)
        owner, wants_digest = owner_id_of(interaction.user.id), not self._wishes.wants_digest
        self._wishes = await self._memory.change_preferences(owner, wants_digest=wants_digest)
        self._relabel()
        await self.ask()

    @discord.ui.button(custom_id="cortex:v1:privacy:opt")
    async def opt(self, interaction: Interaction, _: Button["Privacy"]) -> None:
        """Ask whether to opt out or in."""
        opted_out = not self._wishes.opted_out

        async def act(pressed: Interaction) -> str:
            await self._memory.change_preferences(owner_id_of(pressed.user.id), opted_out=opted_out)
            return _OPTED_OUT if opted_out else _OPTED_IN

        await self.accept(interaction)
        self.stop()
        label = "Opt out" if opted_out else "Opt in"
        await Confirmation(interaction, self._open_views, label, act).ask(
            "Opt out? I'll keep nothing more of what you say, anywhere, and recall nothing of it; what you told "
            "projects becomes yours alone again."
            if opted_out
            else "Opt in? I'll remember what you say again, and recall what I kept before."
        )

    @discord.ui.button(
        label="Forget everything …", style=discord.ButtonStyle.danger, custom_id="cortex:v1:privacy:forget"
    )
    async def forget(self, interaction: Interaction, _: Button["Privacy"]) -> None:
        """Ask whether everything should go."""
        await self.accept(interaction)
        count = await self._memory.count_memories(owner_id_of(interaction.user.id))
        self.stop()
        await ForgetEverything(interaction, self._open_views, self._memory, count).ask()

    def _relabel(self) -> None:
        self.keep_private.label = f"Keep what I say between us: {'on' if self._wishes.keeps_private else 'off'}"
        self.digest.label = f"Weekly digest: {'on' if self._wishes.wants_digest else 'off'}"
        self.opt.label = "Opt in …" if self._wishes.opted_out else "Opt out …"


def _policy(memory: MemoryManager, *, sees_leaving: bool) -> str:
    days = count_of(memory.config.forgetting.retention_days, "day")
    left = (
        f"{days} after you, or I, left it."
        if sees_leaving
        else f"{days} after I left it; that you leave it I'm not told, so forget it yourself."
    )
    worded = " and a language model that my operator chose words my answers from them" if memory.llm else ""
    return (
        "**What I keep:** what you write where I can read it, with time and place, what I learn about you from it, and "
        "what you tell me to keep.\n"
        f"**Why:** to answer you from it{worded}; in the channels of a project, to answer its members too. I train "
        "nothing with it.\n"
        "**How long:** until you forget it (`/memory forget`) or delete the message. What was said in a server goes "
        f"{left} Our current conversation stays at hand until it ends.\n"
        "**Who hears it:** what you said in a channel comes up only where everybody who reads along could read it "
        "there; what you said in direct messages, only there. What members of a project say in its channels comes up "
        "for all of its members.\n"
        "**Your say:** `/memory list`, `profile` and `why` show what I have, and let you put it right; `export` gives "
        "you all of it; while you `pause` I keep nothing new, and may still recall what I know."
    )


def _describe(wishes: Preferences) -> str:
    now = discord.utils.utcnow()
    lines = []
    if wishes.opted_out:
        lines.append("You've **opted out**: I keep and recall nothing of yours.")
    elif wishes.paused_until is not None and now < wishes.paused_until:
        lines.append(f"Remembering is **paused** {pause_text(wishes.paused_until)}.")
    else:
        lines.append("I remember what you say.")
    if wishes.keeps_private:
        lines.append("What you say in channels comes up only in direct messages between us.")
    if wishes.wants_digest and not wishes.opted_out:
        lines.append("Once a week I write to you what I learned about you.")
    return "**Now:** " + " ".join(lines)
