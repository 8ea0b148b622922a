# A toolchain file: the compiler that built the interpreter, the interpreter itself, and the path of this package.
#
#   cmake -S . -B build -DCMAKE_TOOLCHAIN_FILE="$(python-tsan cmake-dir)/toolchain.cmake"

include("${CMAKE_CURRENT_LIST_DIR}/python_tsan-interpreter.cmake")
# CMake tests compilers in separate projects, which get these variables.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PYTHON_TSAN_LANE PYTHON_TSAN_MANIFEST PYTHON_TSAN_COMMAND)

get_property(python_tsan_trying GLOBAL PROPERTY IN_TRY_COMPILE)
if(NOT python_tsan_trying)
  python_tsan_find_interpreter(python_tsan_manifest python_tsan_problem)
  if(python_tsan_problem)
    message(FATAL_ERROR "python-tsan: ${python_tsan_problem}")
  endif()
  string(JSON CMAKE_C_COMPILER GET "${python_tsan_manifest}" cc)
  string(JSON CMAKE_CXX_COMPILER GET "${python_tsan_manifest}" cxx)
  string(JSON python_tsan_executable GET "${python_tsan_manifest}" executable)
  # FindPython's hint, which pybind11 follows too.
  set(Python_EXECUTABLE "${python_tsan_executable}" CACHE FILEPATH "the Python that python-tsan selects")
  set(python_tsan_DIR "${CMAKE_CURRENT_LIST_DIR}" CACHE PATH "the CMake package of python-tsan")
endif()
