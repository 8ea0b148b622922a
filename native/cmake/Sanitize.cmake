# Compiles and links a target under ThreadSanitizer.

function(python_tsan_sanitize target)
  # Line tables are all that a stack trace reads, and cost a fifth less compile time than full debug information.
  set(lines "$<IF:$<CXX_COMPILER_ID:Clang,AppleClang>,-gline-tables-only,-g1>")
  target_compile_options(
    ${target}
    PRIVATE -fsanitize=thread
            -O1
            -fno-omit-frame-pointer
            ${lines}
            # Reports name files as they are named in the repository, wherever it has been checked out.
            "-ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}=native"
            "-ffile-prefix-map=${CMAKE_CURRENT_BINARY_DIR}=.")
  # GCC 12 says that a plain std::atomic_thread_fence is unknown to TSan; libstdc++ has one in shared_ptr.
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
  target_link_options(${target} PRIVATE -fsanitize=thread)
endfunction()

# The same for code of ours, with warnings as errors.
function(python_tsan_instrument target)
  python_tsan_sanitize(${target})
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
endfunction()
