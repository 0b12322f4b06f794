"""The commands of the `cortex` program: they parse, call the manager and show; each module is one group of them."""
