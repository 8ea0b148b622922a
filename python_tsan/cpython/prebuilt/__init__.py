"""Own interpreters as archives: a build leaves one machine in a file and is restored, file by file, on another."""
