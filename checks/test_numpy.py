"""numpy in the embedded interpreter: the original embed_test, and GIL releases while numpy is imported."""

import pytest

pytestmark = pytest.mark.scenarios("numpy")

# numpy reads some hundred files, with several releases of the GIL for each. Far fewer mean that the counter does not
# see them, as for a libpython built without semantic interposition.
FEWEST_RELEASES = 200


def test_scenario(subject):
    """Every scenario of the group shows what it expects."""
    subject.must_pass()


@pytest.mark.scenarios("numpy", name="numpy_import_releases")
def test_only_the_first_import_releases_the_gil(subject):
    """The first import releases the GIL for its I/O; one of a module in sys.modules does not."""
    for observation in subject.observations:
        values = observation.report["values"]
        assert values["cached"] == 0, f"the cached import released the GIL {values['cached']} times"
        assert values["first"] >= FEWEST_RELEASES, f"the first import released the GIL {values['first']} times only"


@pytest.mark.scenarios("numpy", name="numpy_buffer_shared")
def test_the_half_of_numpy_is_seen(subject):
    """One side of the race is numpy's own loop, which only a numpy built under the sanitizer shows."""
    subject.must_pass()
    for observation in subject.observations:
        stacks = [access.stack for finding in observation.findings for access in finding.accesses]
        inside = [stack for stack in stacks if stack.frames and "_multiarray_umath" in stack.frames[0].module]
        assert len(inside) == 1, f"numpy is at the top of {len(inside)} of {len(stacks)} stacks"
