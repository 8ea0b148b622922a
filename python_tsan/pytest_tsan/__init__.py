"""``@pytest.mark.tsan`` for other people's tests. What runs this project's checks is in ``checking``."""
