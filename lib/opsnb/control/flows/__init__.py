"""One file, one story. The only place where the services meet."""
