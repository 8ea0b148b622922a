// Memory that is reclaimed after a grace period of liburcu: its queues and counters are inline assembly.
#include "../programs/twin.hpp"

#include <urcu/urcu-memb.h>

static rcu_head head;

static void reclaim(rcu_head*) {
    ++g_handed_over;
    race();
}

int main() {
    urcu_memb_register_thread();
    ++g_handed_over;
    urcu_memb_call_rcu(&head, reclaim);
    urcu_memb_barrier();
    ++g_handed_over;
    race();
    urcu_memb_unregister_thread();
    return end();
}
