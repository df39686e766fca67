"""The browser's door and the one API that every door uses."""
