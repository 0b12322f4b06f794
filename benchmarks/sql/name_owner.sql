SELECT set_config('cortex.owner', $1, true)
