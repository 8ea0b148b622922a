# python_tsan_add_check(TARGET EXPECT clean|race|hang|RULE|FILE [NAME name] [ARGS arg...] [REPEAT n] [UNTIL_FOUND]
#                       [TIMEOUT seconds] [OWN path...] [OPTIONS option...])
#
# Registers a CTest test that runs the executable TARGET under `python-tsan run` and passes if the outcome is as
# expected: in each of n runs, or with UNTIL_FOUND in one of them. TIMEOUT is the limit of each run, after which it
# counts as hung (60 s, 10 s for EXPECT hang). OWN names the sources whose findings are "yours" (the project's). OPTIONS
# are passed to `python-tsan run`. The results of each run are in python_tsan/<name> of the build folder.
# RULE is the id of a rule that `python-tsan explain` lists, such as c-api-without-gil.
set(PYTHON_TSAN_RULES
    possible-deadlock
    c-api-without-gil
    c-api-before-initialization
    c-api-after-finalization
    thread-ended-with-gil
    gil-state-never-released
    thread-state-never-deleted
    thread-state-attached-twice
    gil-state-release-unmatched
    interpreter-never-ended
    thread-inside-at-finalization
    object-of-another-interpreter
    called-with-exception-set
    exception-lost)

function(python_tsan_add_check target)
  cmake_parse_arguments(PARSE_ARGV 1 check "UNTIL_FOUND" "EXPECT;NAME;REPEAT;TIMEOUT" "ARGS;OWN;OPTIONS")
  if(NOT TARGET ${target})
    message(FATAL_ERROR "python_tsan_add_check: there is no target ${target}")
  endif()
  get_target_property(type ${target} TYPE)
  if(NOT type STREQUAL "EXECUTABLE")
    message(FATAL_ERROR "python_tsan_add_check: ${target} is not an executable (${type})")
  endif()
  if(check_UNPARSED_ARGUMENTS OR check_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "python_tsan_add_check(${target}): cannot read ${check_UNPARSED_ARGUMENTS}"
                        "${check_KEYWORDS_MISSING_VALUES}")
  endif()

  set(expect "${check_EXPECT}")
  set(timeout 60)
  if(expect STREQUAL "hang")
    set(timeout 10)
  elseif(NOT expect MATCHES "^(clean|race)$" AND NOT expect IN_LIST PYTHON_TSAN_RULES)
    cmake_path(ABSOLUTE_PATH expect BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
    if(NOT check_EXPECT OR NOT EXISTS "${expect}")
      message(FATAL_ERROR "python_tsan_add_check(${target}): EXPECT is clean, race, hang, a rule or a file, "
                          "not '${check_EXPECT}'")
    endif()
  endif()
  if(NOT DEFINED check_NAME)
    set(check_NAME ${target})
  endif()
  if(NOT DEFINED check_REPEAT)
    set(check_REPEAT 1)
  endif()
  if(DEFINED check_TIMEOUT)
    set(timeout ${check_TIMEOUT})
  endif()
  foreach(number IN ITEMS check_REPEAT timeout)
    if(NOT "${${number}}" MATCHES "^[1-9][0-9]*$")
      message(FATAL_ERROR "python_tsan_add_check(${target}): REPEAT and TIMEOUT are whole numbers from 1, not "
                          "'${${number}}'")
    endif()
  endforeach()
  if(NOT DEFINED check_OWN)
    set(check_OWN "${PROJECT_SOURCE_DIR}")
  endif()

  set(options --expect "${expect}" --repeat ${check_REPEAT} --timeout ${timeout} --output
              "${CMAKE_CURRENT_BINARY_DIR}/python_tsan/${check_NAME}")
  get_property(prefix GLOBAL PROPERTY PYTHON_TSAN_PREFIX)
  if(prefix)
    list(APPEND options --python "${prefix}")
  endif()
  if(check_UNTIL_FOUND)
    list(APPEND options --until-found)
  endif()
  foreach(path IN LISTS check_OWN)
    list(APPEND options --own "${path}")
  endforeach()
  add_test(NAME ${check_NAME} COMMAND "${PYTHON_TSAN_COMMAND}" run ${options} ${check_OPTIONS} --
                                      "$<TARGET_FILE:${target}>" ${check_ARGS})
  # python-tsan ends the run itself and saves the stacks of a hang; CTest's limit is for a failure of python-tsan.
  math(EXPR limit "${check_REPEAT} * (${timeout} + 30) + 120")
  set_tests_properties(${check_NAME} PROPERTIES TIMEOUT ${limit} LABELS python_tsan PROCESSORS 2)
endfunction()
