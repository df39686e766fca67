"""One module per technology: pure parse_* functions, read verbs, plan_* verbs."""
