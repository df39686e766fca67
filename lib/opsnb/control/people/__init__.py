"""WHO: users, departments, roles, delegates, and what each may do."""
