"""Export built interpreters as archives, and restore them on other machines."""
