"""Keep the handle of a daemon thread that has ended, as an extension that leaks a reference does."""

import ctypes
import sys
import threading
import time

thread = threading.Thread(target=time.time, daemon=True)
thread.start()
while thread.is_alive():
    time.sleep(0.01)
if "kept" in sys.argv:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thread._handle))
