# The CMake package of python-tsan: find_package(python_tsan) with the components
#
#   headers       python_tsan::headers: python_tsan/attach.hpp, barrier.hpp, checked_refs.hpp, safe_import.hpp
#   sanitizer     python_tsan::sanitizer: the options that compile and link under ThreadSanitizer
#   instrumented  python_tsan::instrumented: the sanitizer, the headers, and the interpreter to embed
#   check         python_tsan_add_check(): a run under `python-tsan run`, registered with CTest
#
# Without a component, all of them. Only `instrumented` needs an interpreter; only `check` and `instrumented` need the
# program python-tsan.
cmake_policy(PUSH)
cmake_policy(VERSION 3.25)

set(python_tsan_known headers sanitizer instrumented check)
set(python_tsan_requested ${python_tsan_FIND_COMPONENTS})
if(NOT python_tsan_requested)
  set(python_tsan_requested ${python_tsan_known})
  foreach(component IN LISTS python_tsan_known)
    set(python_tsan_FIND_REQUIRED_${component} TRUE)
  endforeach()
endif()

include("${CMAKE_CURRENT_LIST_DIR}/python_tsan-targets.cmake")

set(python_tsan_FOUND TRUE)
foreach(component IN LISTS python_tsan_requested)
  if(component IN_LIST python_tsan_known)
    cmake_language(CALL python_tsan_provide_${component} python_tsan_problem)
  else()
    set(python_tsan_problem "there is no component ${component}; there are: headers, sanitizer, instrumented, check")
  endif()
  if(NOT python_tsan_problem)
    set(python_tsan_${component}_FOUND TRUE)
    continue()
  endif()
  set(python_tsan_${component}_FOUND FALSE)
  if(python_tsan_FIND_REQUIRED_${component})
    if(python_tsan_FOUND) # the first problem is mostly the cause of the others
      set(python_tsan_NOT_FOUND_MESSAGE "${python_tsan_problem}")
    endif()
    set(python_tsan_FOUND FALSE)
  elseif(NOT python_tsan_FIND_QUIETLY)
    message(STATUS "python_tsan: no ${component}: ${python_tsan_problem}")
  endif()
endforeach()

cmake_policy(POP)
