SELECT set_config('cortex.actor', $1, true)
