# Asks python-tsan which interpreter is selected; used by the package and by the toolchain file.

set(PYTHON_TSAN_LANE "full" CACHE STRING "full: CPython under ThreadSanitizer; fast: a stock one with a shared library")
set_property(CACHE PYTHON_TSAN_LANE PROPERTY STRINGS full fast)
set(PYTHON_TSAN_MANIFEST "" CACHE FILEPATH "manifest.json of an interpreter; empty for the one that python-tsan selects")

# Next to the package if it was installed from a wheel, otherwise on PATH.
find_program(PYTHON_TSAN_COMMAND python-tsan HINTS "${CMAKE_CURRENT_LIST_DIR}/../../../../../../bin"
             DOC "the program python-tsan" NO_CMAKE_FIND_ROOT_PATH)

# Sets `manifest` to the interpreter's description as JSON, or `problem` to the reason why it is missing.
function(python_tsan_find_interpreter manifest problem)
  set(${problem} "" PARENT_SCOPE)
  if(PYTHON_TSAN_MANIFEST)
    if(NOT EXISTS "${PYTHON_TSAN_MANIFEST}")
      set(${problem} "PYTHON_TSAN_MANIFEST=${PYTHON_TSAN_MANIFEST} does not exist" PARENT_SCOPE)
      return()
    endif()
    file(READ "${PYTHON_TSAN_MANIFEST}" found)
  else()
    # Asked once in each run of CMake: a toolchain file is read several times.
    get_property(found GLOBAL PROPERTY PYTHON_TSAN_MANIFEST_${PYTHON_TSAN_LANE})
    if(NOT found)
      python_tsan_ask(found words)
      if(NOT found)
        set(${problem} "${words}" PARENT_SCOPE)
        return()
      endif()
      set_property(GLOBAL PROPERTY PYTHON_TSAN_MANIFEST_${PYTHON_TSAN_LANE} "${found}")
    endif()
  endif()

  foreach(field IN ITEMS library include executable prefix version toolchain instrumented cc cxx)
    string(JSON value ERROR_VARIABLE wrong GET "${found}" ${field})
    if(wrong)
      set(${problem} "the description of the interpreter has no ${field}: ${wrong}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(${manifest} "${found}" PARENT_SCOPE)
endfunction()

function(python_tsan_ask answer problem)
  set(${answer} "" PARENT_SCOPE)
  if(NOT PYTHON_TSAN_COMMAND)
    set(${problem} "the program python-tsan was not found; install the wheel and put it on PATH" PARENT_SCOPE)
    return()
  endif()
  execute_process(
    COMMAND "${PYTHON_TSAN_COMMAND}" interpreter --quiet --lane "${PYTHON_TSAN_LANE}"
    WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}" # settings are searched from there upwards
    OUTPUT_VARIABLE output
    ERROR_VARIABLE words
    RESULT_VARIABLE code)
  if(code EQUAL 0)
    set(${answer} "${output}" PARENT_SCOPE)
  else()
    string(STRIP "${words}" words)
    set(${problem} "${words}" PARENT_SCOPE)
  endif()
endfunction()
