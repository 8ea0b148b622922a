# Turns the interpreter's manifest into the imported target python_tsan::interpreter and PYTHON_TSAN_FREE_THREADED.

function(python_tsan_read_manifest path lane)
  if(NOT EXISTS "${path}")
    message(FATAL_ERROR "PYTHON_TSAN_MANIFEST=${path} does not exist; `python -m python_tsan build` writes one")
  endif()
  file(READ "${path}" manifest)
  foreach(field IN ITEMS library include executable version instrumented free_threaded)
    string(JSON ${field} ERROR_VARIABLE problem GET "${manifest}" ${field})
    if(problem)
      message(FATAL_ERROR "${path}: ${problem}")
    endif()
  endforeach()

  if(lane STREQUAL "full" AND NOT instrumented)
    message(FATAL_ERROR "${path}: the full lane needs an instrumented interpreter, and this one is not")
  elseif(lane STREQUAL "fast" AND instrumented)
    message(FATAL_ERROR "${path}: the fast lane takes a stock interpreter, and this one is instrumented")
  endif()

  # The shared library's folder becomes the harness's rpath because its target is imported by full path.
  add_library(python_tsan::interpreter SHARED IMPORTED GLOBAL)
  set_target_properties(python_tsan::interpreter PROPERTIES IMPORTED_LOCATION "${library}")
  target_include_directories(python_tsan::interpreter SYSTEM INTERFACE "${include}")
  target_compile_definitions(python_tsan::interpreter INTERFACE "PYTHON_TSAN_EXECUTABLE=\"${executable}\"")
  set(PYTHON_TSAN_FREE_THREADED "${free_threaded}" PARENT_SCOPE)
  message(STATUS "CPython ${version}, ${lane} lane: ${library}")
endfunction()
