"""TELL: whom something has to be told, kept with what it is about. Channels take it from here."""
