"""What a recorder saw of locks in one process, and the deadlocks that follow from it."""
