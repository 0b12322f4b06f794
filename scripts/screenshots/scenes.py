"""The scenes of the documentation's pictures, in the order in which they build on one another."""

from .steps import Fill, Menu, Pick, Press, Say, Scene, Story, Use

_QUESTION = "Clara, what is my cat called?"
_VENUE = "Clara, where is the launch party?"

_RESTART: Story = (
    Scene((Say("Sam", "My cat is called Miso and she hates the vacuum cleaner."),)),
    Scene((Say("Sam", _QUESTION, then="You told me"),), name="playground", is_whole_page=True),
)

_OWN: Story = (
    Scene(
        tuple(
            Say("Sam", text)
            for text in (
                "My cat is called Miso and she hates the vacuum cleaner.",
                "I live in Lisbon.",
                "I'm allergic to peanuts.",
                "My favourite tea is jasmine.",
                "My sister Ines moved to Porto in May.",
                "I started cello lessons on Tuesdays.",
                "We won the quiz night with the nurses' team.",
            )
        )
    ),
    Scene(
        (
            Use(
                "Sam",
                "memory remember",
                {"text": "The spare key is with the neighbour on the second floor."},
                then="I'll remember that",
            ),
        ),
        name="memory-remember",
    ),
    Scene((Use("Sam", "memory search", {"query": "my pet"}, then="Best matches"),), name="memory-search"),
    Scene((Use("Sam", "memory list", then="newest first"),), name="memory-list"),
    Scene(
        tuple(
            step
            for name, value in (("city", "Lisbon"), ("allergy", "peanuts"))
            for step in (
                Use("Sam", "memory profile", then="What I know about you"),
                Press("Sam", "Add"),
                Fill("Sam", (name, value), then="I'll keep that in mind"),
            )
        )
    ),
    Scene((Use("Sam", "memory profile", then="Lisbon"),), name="memory-profile"),
    Scene(
        (Use("Sam", "memory profile", then="Lisbon"), Pick("Sam", "city", then="Correct")), name="memory-profile-line"
    ),
    Scene(
        (
            Say("Sam", _QUESTION, then="You told me"),
            Use("Sam", "memory why", then="drew on"),
            Pick("Sam", "Miso", then="Outdated"),
        ),
        name="memory-why",
    ),
    Scene(
        (
            Say("Sam", "I'm moving to a flat near the harbour in March."),
            Menu("Sam", "Remember this", "flat near the harbour", then="I'll remember that"),
        ),
        name="menu-remember",
    ),
    Scene(
        (
            Say("Sam", _QUESTION, then="You told me"),
            Menu("Sam", "Why did you say that?", "You told me", then="drew on"),
        ),
        name="menu-why",
    ),
    Scene(
        (
            Say("Sam", "I never liked the new head nurse."),
            Menu("Sam", "Forget this", "head nurse", then="Forget this for good?"),
        ),
        name="menu-forget",
    ),
    Scene((Use("Sam", "memory privacy", then="Opt out"),), name="memory-privacy"),
    Scene((Use("Sam", "memory export", then="This is everything"),), name="memory-export", place="dm"),
    Scene((Use("Sam", "memory forget", {"query": "cello"}, then="Forget"),), name="memory-forget"),
    Scene(
        (
            Use("Sam", "memory forget", {"query": "cello"}, then="Forget"),
            Press("Sam", "Forget 1 memory", then="Forgotten for good"),
        ),
        name="memory-forget-receipt",
    ),
    Scene((Use("Sam", "memory pause", {"until": "1 hour"}, then="/memory resume"),), name="memory-pause"),
)

_SHARED: Story = (
    Scene((Use("Ada", "project create", {"name": "Launch party"}, then="You own the project"),), name="project-create"),
    Scene(
        (Use("Ada", "project invite", {"member": "Robin", "project": "Launch party"}, then="I've invited"),),
        name="project-invite",
    ),
    Scene((Use("Robin", "project list", then="invites you"),), name="project-invitation"),
    Scene((Use("Robin", "project list", then="invites you"), Press("Robin", "Accept"))),
    Scene(
        (
            Use("Ada", "channel link", {"project": "Launch party"}, then="Link"),
            Press("Ada", "Link", then="From now on"),
        ),
        name="channel-link",
    ),
    Scene((Use("Ada", "channel status", then="is linked with"),), name="channel-status"),
    Scene(
        (
            Say("Robin", "The launch party is in the old boathouse; we have it until midnight."),
            Say("Sam", "I can bring the cake."),
            Say("Robin", "The band wants a piano on stage."),
            Say("Ada", _VENUE, then="Robin said"),
        ),
        name="group-chat",
    ),
    Scene((Use("Ada", "project search", {"query": "music on stage"}, then="Best matches"),), name="project-search"),
    Scene((Use("Ada", "project list", then="Your projects"),), name="project-list"),
    Scene((Use("Ada", "project info", then="You are its"),), name="project-info"),
    Scene(
        (
            Use("Ada", "project create", {"name": "Payroll"}, then="You own the project"),
            Use("Ada", "channel link", {"project": "Payroll"}, then="Link"),
            Press("Ada", "Link", then="From now on"),
        ),
        place="staff",
    ),
    Scene(
        (Say("Ada", _VENUE, then="remember anything"),), name="group-chat-elsewhere", place="staff", shows_place=True
    ),
    Scene(
        (Say("Sam", "Where is the launch party?", then="remember anything"),),
        name="no-member",
        place="dm",
        shows_place=True,
    ),
    Scene((Use("Ada", "channel capture", {"listen": "off"}, then="Listening is off"),), name="channel-capture-off"),
)

_FIGURES: Story = (
    Scene(
        (
            Say("Sam", "My cat is called Miso and she hates the vacuum cleaner."),
            Say("Sam", "I live in Lisbon."),
            Say("Robin", "I play the cello in the nurses' orchestra."),
            Say("Robin", "thanks!"),
            Say("Ada", "The quiz night moved to Thursday."),
            Say("Sam", _QUESTION, then="You told me"),
        )
    ),
    Scene((Use("Ada", "cortex stats", then="This server in the last"),), name="cortex-stats"),
    Scene((Use("Ada", "cortex health", then="All is well"),), name="cortex-health"),
    Scene((Use("Sam", "cortex stats", then="Everything in the last"),), name="cortex-stats-everything", place="dm"),
)

_LEARNING: Story = (
    Scene((Say("Sam", "I have two kids and I live in Lisbon."), Say("Sam", "I have three kids."))),
    Scene((), name="card", place="dm", shows_place=True),
    Scene((Use("Sam", "memory as-of", {"date": "today"}, then="What I believed on"),), name="memory-as-of"),
    Scene(
        tuple(
            step
            for name, value in (("home", "I live in Lisbon by the river."), ("flat", "I live in Porto near my sister."))
            for step in (
                Use("Sam", "memory profile", then="What I know about you"),
                Press("Sam", "Add"),
                Fill("Sam", (name, value), then="I'll keep that in mind"),
            )
        )
    ),
    Scene((Use("Sam", "cortex consolidate", then="Done with"),), place="dm"),
    Scene((Use("Sam", "contradictions review", then="Which is right?"),), name="contradictions-review"),
)

_DIGEST: Story = (
    Scene((Say("Sam", "I live in Lisbon."), Say("Sam", "I work as a nurse."))),
    Scene(
        (
            Use("Sam", "memory privacy", then="Opt out"),
            Press("Sam", "Weekly digest: off", then="Weekly digest: on"),
            Say("Sam", "I moved to Porto."),
            Say("Sam", "I have a cat called Miso."),
            Say("Sam", "I'm allergic to peanuts."),
            Say("Sam", "I quit my job as a nurse."),
        )
    ),
    Scene((), name="digest", place="dm", shows_place=True, is_next_week=True),
)

STORIES: tuple[Story, ...] = (_RESTART, _OWN, _SHARED, _FIGURES, _LEARNING, _DIGEST)
