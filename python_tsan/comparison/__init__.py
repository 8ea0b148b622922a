"""Runs side by side: what differs between them, what it comes from, and what that means for someone who migrates."""
