"""A process that takes what is to be sent to people, tells so, and never sends it: it waits until it is killed.

With `--forgetful` it is a deliberately broken one, which notes that it was sent before it is.
"""

import asyncio
import sys
from datetime import datetime

from cortex_core import PostgresConfig, PostgresStore
from cortex_core.config import CorrectionsConfig
from cortex_core.consolidation.corrections import CorrectionAsker
from cortex_core.consolidation.digest import DigestKeeper

AT_ANY_HOUR = CorrectionsConfig(quiet_from_hour=0, quiet_until_hour=0)


def tell(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def main(database_url: str, now: datetime, *, is_forgetful: bool) -> None:
    postgres = PostgresStore(PostgresConfig(url=database_url))
    await postgres.connect()
    asker = CorrectionAsker(AT_ANY_HOUR, postgres, None)
    digests = DigestKeeper(AT_ANY_HOUR, postgres, None, None)
    for keeper in (asker, digests):
        async for letter in keeper.claim_due(now=now):
            if is_forgetful:
                await keeper.note_sent(letter)
            tell(type(letter).__name__)
    tell("ready")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], datetime.fromisoformat(sys.argv[2]), is_forgetful="--forgetful" in sys.argv))
