// The turn that must be found: nothing orders the two increments.

static int canary_counter;

extern "C" void canary_turn() { ++canary_counter; }
