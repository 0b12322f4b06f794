"""Finding what was said: rejection, candidates, ranking, and the context that goes into a prompt."""
