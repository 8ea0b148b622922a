# The version of this package, for find_package(python_tsan VERSION). A test compares it with the Python package's.
#
# Before 1.0 a minor version may change the interface, so that only the same minor version is compatible.
set(PACKAGE_VERSION "0.1.0")

if(PACKAGE_FIND_VERSION_RANGE)
  set(python_tsan_above FALSE)
  if(PACKAGE_FIND_VERSION_RANGE_MAX STREQUAL "INCLUDE" AND PACKAGE_VERSION VERSION_GREATER PACKAGE_FIND_VERSION_MAX)
    set(python_tsan_above TRUE)
  elseif(PACKAGE_FIND_VERSION_RANGE_MAX STREQUAL "EXCLUDE" AND PACKAGE_VERSION VERSION_GREATER_EQUAL
                                                               PACKAGE_FIND_VERSION_MAX)
    set(python_tsan_above TRUE)
  endif()
  if(python_tsan_above OR PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION_MIN)
    set(PACKAGE_VERSION_COMPATIBLE FALSE)
  else()
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
  endif()
  return()
endif()

string(REGEX MATCH "^[0-9]+\\.[0-9]+" python_tsan_series "${PACKAGE_VERSION}")
if(PACKAGE_FIND_VERSION_COUNT LESS 2)
  string(REGEX MATCH "^[0-9]+" python_tsan_series "${PACKAGE_VERSION}")
  set(python_tsan_requested "${PACKAGE_FIND_VERSION_MAJOR}")
else()
  set(python_tsan_requested "${PACKAGE_FIND_VERSION_MAJOR}.${PACKAGE_FIND_VERSION_MINOR}")
endif()

if(PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION OR NOT python_tsan_series STREQUAL python_tsan_requested)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()
