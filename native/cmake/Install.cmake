# Installs the public headers and the CMake package, which finds the headers three folders up.
install(DIRECTORY include/python_tsan DESTINATION include FILES_MATCHING PATTERN "*.hpp")
install(DIRECTORY package/ DESTINATION share/cmake/python_tsan FILES_MATCHING PATTERN "*.cmake")
