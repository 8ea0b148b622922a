"""numpy in the embedded interpreter: the original embed_test, and where the GIL goes while numpy is imported."""

import pytest

pytestmark = pytest.mark.scenarios("numpy")

# numpy reads some hundred files, and lets go of the GIL several times for each. Far fewer would mean that the counter
# does not see them: a libpython built without semantic interposition, say.
FEWEST_RELEASES = 200


def test_scenario(subject):
    """Every scenario of the group does as it says of itself."""
    subject.must_pass()


@pytest.mark.scenarios("numpy", name="numpy_import_releases")
def test_only_the_first_import_lets_go_of_the_gil(subject):
    """The first import releases the GIL for its I/O; one of what is in sys.modules releases nothing."""
    for observation in subject.observations:
        values = observation.report["values"]
        assert values["cached"] == 0, f"the cached import let go of the GIL {values['cached']} times"
        assert values["first"] >= FEWEST_RELEASES, f"the first import let go of the GIL {values['first']} times only"
