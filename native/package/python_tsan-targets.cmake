# Defines the targets and commands of each component. Each function sets its argument to an error, or to nothing.

include("${CMAKE_CURRENT_LIST_DIR}/python_tsan-interpreter.cmake")
set(PYTHON_TSAN_PACKAGE_DIR "${CMAKE_CURRENT_LIST_DIR}")

function(python_tsan_provide_headers problem)
  set(${problem} "" PARENT_SCOPE)
  if(TARGET python_tsan::headers)
    return()
  endif()
  # Next to this folder in a wheel or a checkout, below the prefix when CMake has installed it.
  find_path(include python_tsan/barrier.hpp PATHS "${PYTHON_TSAN_PACKAGE_DIR}/../include"
                                                  "${PYTHON_TSAN_PACKAGE_DIR}/../../../include"
            NO_CACHE NO_DEFAULT_PATH)
  if(NOT include)
    set(${problem} "the headers were not found: ${PYTHON_TSAN_PACKAGE_DIR}" PARENT_SCOPE)
    return()
  endif()
  cmake_path(NORMAL_PATH include)
  add_library(python_tsan::headers INTERFACE IMPORTED)
  target_include_directories(python_tsan::headers INTERFACE "${include}")
  target_compile_features(python_tsan::headers INTERFACE cxx_std_17)
endfunction()

function(python_tsan_provide_sanitizer problem)
  set(${problem} "" PARENT_SCOPE)
  if(TARGET python_tsan::sanitizer)
    return()
  endif()
  add_library(python_tsan::sanitizer INTERFACE IMPORTED)
  # Stack traces need only line tables, which cost less than full debug information.
  set(clang "$<OR:$<COMPILE_LANG_AND_ID:CXX,Clang>,$<COMPILE_LANG_AND_ID:C,Clang>>")
  set(lines "$<IF:${clang},-gline-tables-only,-g1>")
  # clang instruments after it has vectorized, and leaves out masked stores and accesses of 32 bytes or more.
  set(scalar "$<${clang}:-fno-vectorize;-fno-slp-vectorize>")
  # GCC does not instrument what it makes of these calls if the size is constant.
  set(gcc "$<OR:$<COMPILE_LANG_AND_ID:CXX,GNU>,$<COMPILE_LANG_AND_ID:C,GNU>>")
  string(CONCAT calls "$<${gcc}:-fno-builtin-memset;-fno-builtin-memmove;-fno-builtin-memcmp;"
                      "-fno-builtin-strcpy;-fno-builtin-strncpy>")
  # GCC warns about std::atomic_thread_fence, which its own libstdc++ uses in shared_ptr.
  set(fences "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-tsan>")
  target_compile_options(
    python_tsan::sanitizer
    INTERFACE -fsanitize=thread -fno-omit-frame-pointer ${lines} ${fences} "${scalar}" "${calls}")
  target_link_options(python_tsan::sanitizer INTERFACE -fsanitize=thread)
endfunction()

function(python_tsan_provide_instrumented problem)
  set(${problem} "" PARENT_SCOPE)
  if(TARGET python_tsan::instrumented)
    return()
  endif()
  python_tsan_find_interpreter(manifest words)
  if(NOT words)
    python_tsan_refuse_compiler("${manifest}" words)
  endif()
  if(NOT words)
    python_tsan_provide_headers(words)
  endif()
  if(words)
    set(${problem} "${words}" PARENT_SCOPE)
    return()
  endif()
  python_tsan_provide_sanitizer(words)

  foreach(field IN ITEMS library include version prefix executable instrumented)
    string(JSON ${field} GET "${manifest}" ${field})
  endforeach()
  # Imported by full path, so that the library's folder becomes the program's rpath.
  add_library(python_tsan::interpreter SHARED IMPORTED)
  set_target_properties(python_tsan::interpreter PROPERTIES IMPORTED_LOCATION "${library}")
  target_include_directories(python_tsan::interpreter SYSTEM INTERFACE "${include}")
  add_library(python_tsan::instrumented INTERFACE IMPORTED)
  target_link_libraries(python_tsan::instrumented
                        INTERFACE python_tsan::sanitizer python_tsan::headers python_tsan::interpreter)
  # python_tsan_add_check() passes this to `run`; a stock interpreter is found in the program itself.
  if(instrumented)
    set_property(GLOBAL PROPERTY PYTHON_TSAN_PREFIX "${prefix}")
  endif()
  set(python_tsan_PYTHON_VERSION "${version}" PARENT_SCOPE)
  set(python_tsan_PYTHON_EXECUTABLE "${executable}" PARENT_SCOPE)
  if(NOT python_tsan_FIND_QUIETLY)
    message(STATUS "python_tsan: CPython ${version}, ${PYTHON_TSAN_LANE} lane: ${library}")
  endif()
endfunction()

# A process can have only one ThreadSanitizer runtime, so an instrumented interpreter determines the compiler.
function(python_tsan_refuse_compiler manifest problem)
  set(${problem} "" PARENT_SCOPE)
  string(JSON instrumented GET "${manifest}" instrumented)
  string(JSON toolchain GET "${manifest}" toolchain)
  string(JSON version GET "${manifest}" version)
  string(JSON cxx GET "${manifest}" cxx)
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  foreach(language IN ITEMS CXX C)
    if(instrumented AND language IN_LIST languages)
      string(REGEX REPLACE "\\..*" "" major "${CMAKE_${language}_COMPILER_VERSION}")
      set(ours "${CMAKE_${language}_COMPILER_ID}-${major}")
      string(REGEX REPLACE "^Clang-" "clang-" ours "${ours}")
      string(REGEX REPLACE "^GNU-" "gcc-" ours "${ours}")
      if(NOT ours STREQUAL toolchain)
        set(${problem}
            "CPython ${version} was built with ${toolchain}, and ${CMAKE_${language}_COMPILER} is ${ours}; one process \
can hold only one ThreadSanitizer runtime. Configure an empty build folder with -DCMAKE_CXX_COMPILER=${cxx}, or with \
-DCMAKE_TOOLCHAIN_FILE=${PYTHON_TSAN_PACKAGE_DIR}/toolchain.cmake"
            PARENT_SCOPE)
        return()
      endif()
    endif()
  endforeach()
endfunction()

function(python_tsan_provide_check problem)
  set(${problem} "" PARENT_SCOPE)
  if(NOT PYTHON_TSAN_COMMAND)
    set(${problem} "the program python-tsan was not found; install the wheel and put it on PATH" PARENT_SCOPE)
  endif()
endfunction()

include("${CMAKE_CURRENT_LIST_DIR}/python_tsan-check.cmake")
