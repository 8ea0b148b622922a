# Defines python_tsan_binding: pybind11 is headers alone.
if(NOT EXISTS "${PYTHON_TSAN_BINDING_PACKAGE}/include/pybind11/embed.h")
  message(FATAL_ERROR "PYTHON_TSAN_BINDING_PACKAGE=${PYTHON_TSAN_BINDING_PACKAGE} holds no include/pybind11/embed.h")
endif()

add_library(python_tsan_binding INTERFACE)
target_include_directories(python_tsan_binding SYSTEM INTERFACE "${PYTHON_TSAN_BINDING_PACKAGE}/include")
