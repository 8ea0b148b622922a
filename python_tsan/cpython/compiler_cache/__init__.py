"""Choose a compiler cache and share it between machines; the door is :mod:`.choose`."""
