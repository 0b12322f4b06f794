"""Where memories live: Redis (hot), the journal between the tiers, Postgres (warm), and the embedded servers."""
