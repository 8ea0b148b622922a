# Compiles and links a target under ThreadSanitizer.

function(python_tsan_sanitize target)
  # Stack traces need only line tables, which take a fifth less compile time than full debug information.
  set(lines "$<IF:$<CXX_COMPILER_ID:Clang,AppleClang>,-gline-tables-only,-g1>")
  target_compile_options(
    ${target}
    PRIVATE -fsanitize=thread
            -O1
            -fno-omit-frame-pointer
            ${lines}
            # Findings have paths relative to the repository, regardless of where it is checked out.
            "-ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}=native"
            "-ffile-prefix-map=${CMAKE_CURRENT_BINARY_DIR}=.")
  # GCC 12 warns that TSan does not support std::atomic_thread_fence; libstdc++ uses it in shared_ptr.
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
  target_link_options(${target} PRIVATE -fsanitize=thread)
endfunction()

# The same for the project's code, with warnings as errors.
function(python_tsan_instrument target)
  python_tsan_sanitize(${target})
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
endfunction()
