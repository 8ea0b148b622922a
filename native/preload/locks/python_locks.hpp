// Locks of Python code: threading.Lock and RLock, the lock of each module that is being imported, the import lock.
//
// They are recognised in every version and build by the tables of methods that CPython has for them, which need no
// symbol. The functions in these tables are replaced, so that a lock is seen however CPython implements it.

#pragma once

#include "objects.hpp"

namespace lock_recorder {

/// An object that exports Python's functions, or its program: replace the methods in its tables, once.
void python_locks_redirect(const Loaded& object);

} // namespace lock_recorder
