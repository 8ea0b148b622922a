# Defines python_tsan_binding: nanobind has a part that is compiled, and so must be compiled under the sanitizer too. Not
# by nanobind's own CMake functions: they make extension modules, and ask the interpreter, which is slow here, for a name.
if(NOT EXISTS "${PYTHON_TSAN_BINDING_PACKAGE}/src/nb_combined.cpp")
  message(FATAL_ERROR "PYTHON_TSAN_BINDING_PACKAGE=${PYTHON_TSAN_BINDING_PACKAGE} holds no src/nb_combined.cpp")
endif()

function(python_tsan_nanobind target)
  set(library "${PYTHON_TSAN_BINDING_PACKAGE}/src/nb_combined.cpp")
  set_source_files_properties("${library}" PROPERTIES COMPILE_DEFINITIONS NB_BUILD)
  target_sources(${target} PRIVATE "${library}")
  target_include_directories(${target} SYSTEM PUBLIC "${PYTHON_TSAN_BINDING_PACKAGE}/include")
  target_include_directories(${target} SYSTEM PRIVATE "${PYTHON_TSAN_BINDING_PACKAGE}/ext/robin_map/include")
  target_compile_features(${target} PUBLIC cxx_std_17)
  # As nanobind's own build has it: Python's objects are reached by pointers of several types.
  target_compile_options(${target} PRIVATE -fno-strict-aliasing "-ffile-prefix-map=${PYTHON_TSAN_BINDING_PACKAGE}=nanobind")
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden UNITY_BUILD OFF)
  target_link_libraries(${target} PUBLIC python_tsan::interpreter)
  python_tsan_sanitize(${target})
endfunction()

add_library(python_tsan_binding STATIC)
python_tsan_nanobind(python_tsan_binding)
if(PYTHON_TSAN_FREE_THREADED)
  # Without it, nanobind's modules enable the GIL, and its locks do nothing.
  target_compile_definitions(python_tsan_binding PUBLIC NB_FREE_THREADED)
endif()

# An extension module with its own copy of nanobind, for the scenario without FREE_THREADED.
if(PYTHON_TSAN_FREE_THREADED)
  add_library(python_tsan_nanobind_unmarked MODULE bindings/nanobind/modules/unmarked.cpp)
  python_tsan_nanobind(python_tsan_nanobind_unmarked)
  set_target_properties(python_tsan_nanobind_unmarked PROPERTIES PREFIX "")
endif()
